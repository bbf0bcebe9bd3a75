"""Out of fold: what each fold's network and gate say of the patients that they never saw."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from train.alter import ALTERATIONS, mild
from train.dataset import resize
from train.errors import FitError
from train.fit import Settings, check_identity
from train.gate import Scores, fit_gate, score
from train.network import Network, predict_logits
from train.stress import stress

STRESS_SEED = 20180222
ALTERED_EVERY = 8
"""One held-out picture in so many is altered, each in every way: their rates need no more."""


def load_settings(run: Path) -> Settings:
    """The settings of a finished fit.

    Raises:
        FitError: not finished.
    """
    return Settings(**_load(run, "all")["settings"])


def load_network(run: Path, part: str, size: int, identity: dict[str, object]) -> Network:
    """A finished network of a fit, for pictures of `size`, in evaluation mode on the CPU.

    Raises:
        FitError: not finished, or of another identity (see `train.fit.identify`): of other pictures, or with other
            patients held out.
    """
    saved = _load(run, part)
    check_identity(saved, identity, run / part)
    network = Network(size, pretrained=False)
    network.load_state_dict(saved["weights"])
    return network.eval()


def _load(run: Path, part: str) -> dict[str, Any]:
    path = run / part / "weights.pt"
    if not path.exists():
        raise FitError(f"{path} is missing; run or resume the fit first")
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return saved


def out_of_fold_logits(
    run: Path, pixels: NDArray[np.uint8], folds: NDArray[np.int64], size: int, identity: dict[str, object]
) -> dict[str, NDArray[np.float32]]:
    """Logits of every picture by the network that did not train on its patient.

    Args:
        run: folder of a finished fit.
        pixels: uint8 [N, H, W], at the size that training kept them.
        folds: int64 [N], the fold in which each was held out.
        size: side at which pictures are scanned.
        identity: of the fit.

    Returns:
        Float32 [N, 3] under `plain` and `stressed`.
    """
    views = {"plain": resize(pixels, size), "stressed": stress(pixels, size, STRESS_SEED)}
    logits = {name: np.empty((len(pixels), 3), np.float32) for name in views}
    for fold in np.unique(folds):
        network = load_network(run, f"fold{fold}", size, identity)
        here = folds == fold
        for name, images in views.items():
            logits[name][here] = predict_logits(network, images[here])
    return logits


def out_of_fold_outliers(
    run: Path, pixels: NDArray[np.uint8], folds: NDArray[np.int64], size: int, identity: dict[str, object]
) -> tuple[dict[str, Scores], dict[str, Scores]]:
    """Outlier scores of every picture by a gate that was fitted without its patient, on a network likewise.

    Args:
        run, pixels, folds, size, identity: as for `out_of_fold_logits`.

    Returns:
        Float32 [N] of what must be taken, under `plain`, `stressed` and `mild`, and of what must be refused, by the
        names of `ALTERATIONS`; one picture in `ALTERED_EVERY` is altered, the others are not a number.
    """
    plain = resize(pixels, size)
    views = {"plain": plain, "stressed": stress(pixels, size, STRESS_SEED), "mild": mild(plain, STRESS_SEED)}
    sound = {name: np.empty(len(pixels), np.float32) for name in views}
    other = {name: np.full(len(pixels), np.nan, np.float32) for name in ALTERATIONS}
    for fold in np.unique(folds):
        network = load_network(run, f"fold{fold}", size, identity).to(memory_format=torch.channels_last)  # faster
        here = folds == fold
        gate = fit_gate(network, plain[~here])
        for name, images in views.items():
            sound[name][here] = score(network, gate, images[here])
        some = np.flatnonzero(here)[::ALTERED_EVERY]
        for name, alter in ALTERATIONS.items():
            other[name][some] = score(network, gate, alter(plain[some], STRESS_SEED))
    return sound, other
