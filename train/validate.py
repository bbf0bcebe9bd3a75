"""Out-of-fold logits: what each fold's network says of the patients that it never saw."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from train.dataset import Sample, assign_folds, resize
from train.errors import FitError
from train.fit import Settings, check_identity, identify
from train.network import Network, predict_logits
from train.stress import stress

STRESS_SEED = 20180222


def load_network(
    run: Path, part: str, size: int, samples: list[Sample], pixels: NDArray[np.uint8]
) -> tuple[Network, Settings]:
    """A finished network of a fit, for pictures of `size`, in evaluation mode on the CPU, with the fit's settings.

    Raises:
        FitError: not finished, or trained on other pictures or with other patients held out.
    """
    path = run / part / "weights.pt"
    if not path.exists():
        raise FitError(f"{path} is missing; run or resume the fit first")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    settings = Settings(**saved["settings"])
    check_identity(saved, identify(samples, pixels, settings), path)
    network = Network(size, pretrained=False)
    network.load_state_dict(saved["weights"])
    return network.eval(), settings


def out_of_fold_logits(
    run: Path, samples: list[Sample], pixels: NDArray[np.uint8], size: int
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
    """Logits of every picture by the network that did not train on its patient.

    Args:
        run: folder of a finished fit.
        samples: N pictures' labels and groups.
        pixels: uint8 [N, H, W], at the size that training kept them.
        size: side at which pictures are scanned.

    Returns:
        Float32 [N, 3] under `plain` and `stressed`, and the fold of each picture, int64 [N].
    """
    _, settings = load_network(run, "all", size, samples, pixels)
    folds = assign_folds(samples, settings.folds, settings.seed)
    views = {"plain": resize(pixels, size), "stressed": stress(pixels, size, STRESS_SEED)}
    logits = {name: np.empty((len(samples), 3), np.float32) for name in views}
    for fold in range(settings.folds):
        network, _ = load_network(run, f"fold{fold}", size, samples, pixels)
        here = folds == fold
        for name, images in views.items():
            logits[name][here] = predict_logits(network, images[here])
    return logits, folds
