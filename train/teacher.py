"""The teacher: a finished fit, whose networks tell those of a smaller one what to say of each view.

Distillation after Hinton, Vinyals, Dean (2015), with both looking at the same view (Beyer et al., CVPR 2022). The
network of a fold is taught by the teacher's network of that fold, so that neither has seen the patients that are held
out.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from train.dataset import Sample, assign_folds
from train.errors import FitError
from train.fit import Teach
from train.graph import reader
from train.settings import Settings, identify
from train.validate import load_network, load_settings

VIEW = 128
"""Side in pixels at which a teacher looks at larger views: a third of the cost of its own training views of 160."""


def fingerprint(run: Path) -> str:
    """SHA-256 (hexadecimal) of the network on everything of a finished fit.

    Raises:
        FitError: not finished.
    """
    try:
        return hashlib.sha256((run / "all" / "weights.pt").read_bytes()).hexdigest()
    except OSError as error:
        raise FitError(f"the teacher {run} is not finished: {error}") from error


def load_teacher(
    run: Path, samples: list[Sample], pixels: NDArray[np.uint8], settings: Settings
) -> Callable[[str], Teach]:
    """The teacher of each part of a fit. It runs on the CPU.

    Args:
        run: folder of the teacher's finished fit.
        samples, pixels: what is to be trained on (see `train.fit.fit`).
        settings: of the fit that is to be taught.

    Raises:
        FitError: not finished, of other pictures, or with other patients held out.
    """
    own = load_settings(run)
    folds = assign_folds(samples, own.folds, own.seed)
    if not np.array_equal(folds, assign_folds(samples, settings.folds, settings.seed)):
        raise FitError(
            f"the teacher {run} held out other patients: train with its folds, {own.folds}, and seed, {own.seed}"
        )
    identity = identify(samples, pixels, own, folds)
    size = min(VIEW, settings.size)

    def of(part: str) -> Teach:
        read = reader(load_network(run, part, size, identity), size)

        def teach(views: Tensor) -> Tensor:
            if views.shape[1] != size:
                views = functional.interpolate(views[:, None], (size, size), mode="bilinear", antialias=True)[:, 0]
            logits = read(views.round().clamp(0, 255).to(torch.uint8).cpu().numpy()).logits
            return torch.from_numpy(logits).softmax(1).to(views.device)

        return teach

    return of
