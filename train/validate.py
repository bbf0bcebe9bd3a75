"""Out of fold: what each fold's network and gate say of the patients that they never saw."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from train.alter import ALTERATIONS, mild
from train.dataset import resize
from train.errors import FitError
from train.gate import Scores, fit_gate, score
from train.graph import reader
from train.network import Network
from train.settings import Settings, check_identity
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
        FitError: not finished, or of another identity (see `train.settings.identify`): of other pictures, or with other
            patients held out.
    """
    saved = _load(run, part)
    check_identity(saved, identity, run / part)
    network = Network(size, pretrained=False, network=saved["settings"]["network"])
    network.load_state_dict(saved["weights"])
    return network.eval()


def _load(run: Path, part: str) -> dict[str, Any]:
    path = run / part / "weights.pt"
    if not path.exists():
        raise FitError(f"{path} is missing; run or resume the fit first")
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return saved


class OutOfFold(NamedTuple):
    """What was said of every picture by the network, and by the gate, that did not train on its patient.

    Attributes:
        logits: float32 [N, 3] under `plain` and `stressed`.
        sound: outlier scores float32 [N] of what must be taken, under `plain`, `stressed` and `mild`.
        altered: the same of what must be refused, by the names of `ALTERATIONS`; one picture in `ALTERED_EVERY` is
            altered, the others are not a number.
    """

    logits: dict[str, NDArray[np.float32]]
    sound: dict[str, Scores]
    altered: dict[str, Scores]


def out_of_fold(
    run: Path, pixels: NDArray[np.uint8], folds: NDArray[np.int64], size: int, identity: dict[str, object]
) -> OutOfFold:
    """Asks the network and fits the gate of every fold.

    Args:
        run: folder of a finished fit.
        pixels: uint8 [N, H, W], at the size that training kept them.
        folds: int64 [N], the fold in which each was held out.
        size: side at which pictures are scanned.
        identity: of the fit.
    """
    plain = resize(pixels, size)
    views = {"plain": plain, "stressed": stress(pixels, size, STRESS_SEED), "mild": mild(plain, STRESS_SEED)}
    logits = {name: np.empty((len(pixels), 3), np.float32) for name in ("plain", "stressed")}
    sound = {name: np.empty(len(pixels), np.float32) for name in views}
    altered = {name: np.full(len(pixels), np.nan, np.float32) for name in ALTERATIONS}
    for fold in np.unique(folds):
        read = reader(load_network(run, f"fold{fold}", size, identity), size)
        here = folds == fold
        gate = fit_gate(read, plain[~here])
        for name, images in views.items():
            seen = read(images[here])
            sound[name][here] = score(gate, seen.texture)
            if name in logits:
                logits[name][here] = seen.logits
        some = np.flatnonzero(here)[::ALTERED_EVERY]
        for name, alter in ALTERATIONS.items():
            pictures = np.ascontiguousarray(alter(plain[some], STRESS_SEED))
            altered[name][some] = score(gate, read(pictures).texture)
    return OutOfFold(logits, sound, altered)
