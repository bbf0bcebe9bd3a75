"""Teachers: finished fits, whose networks tell those of a smaller one what to say of each view.

Distillation after Hinton, Vinyals, Dean (2015), with both looking at the same view (Beyer et al., CVPR 2022). The
network of a fold is taught by the teachers' networks of that fold, so that none has seen the patients that are held
out, and the network on everything by all of their networks. Each batch is taught by one of them, drawn at random: for
the time of one, a network learns on average what they say together, which is better founded than what each says alone.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from train.dataset import Sample, assign_folds
from train.errors import FitError
from train.fit import parts
from train.fitted import open_fit
from train.goals import Teach
from train.settings import Settings

VIEW = 128
"""Side in pixels at which a teacher looks at larger views: two thirds of the cost of its own training views of 160."""


def fingerprint(runs: Sequence[Path]) -> str:
    """SHA-256 (hexadecimal) of all networks of each of these finished fits, joined by commas.

    Raises:
        FitError: one is not finished.
    """
    digests = []
    for run in runs:
        if not (run / "all" / "weights.pt").exists():  # the last part
            raise FitError(f"the teacher {run} is not finished")
        digest = hashlib.sha256()
        for weights in sorted(run.glob("*/weights.pt")):
            digest.update(weights.read_bytes())
        digests.append(digest.hexdigest())
    return ",".join(digests)


def load_teachers(
    runs: Sequence[Path], samples: list[Sample], pixels: NDArray[np.uint8], settings: Settings
) -> Callable[[str], Teach]:
    """Who teaches each part of a fit. They run on the CPU.

    Args:
        runs: folders of the teachers' finished fits.
        samples, pixels: what is to be trained on (see `train.fit.fit`).
        settings: of the fit that is to be taught.

    Returns:
        For the name of a part, who teaches it.

    Raises:
        FitError: one is not finished, was fitted on other pictures, or held out other patients.
    """
    size = min(VIEW, settings.size)
    fits = [open_fit(run, samples, pixels, size) for run in runs]
    folds = assign_folds(samples, settings.folds, settings.seed)
    for fit in fits:
        if not np.array_equal(fit.folds, folds):
            raise FitError(
                f"the teacher {fit.run} held out other patients: train with its folds, {fit.settings.folds}, and seed, "
                f"{fit.settings.seed}"
            )
        for part in parts(settings.folds):
            try:
                fit.weights(part)
            except FitError as error:
                raise FitError(f"the teacher {fit.run} cannot teach this fit: {error}") from error

    def of(part: str) -> Teach:
        teaching = [(fit, each) for fit in fits for each in (parts(settings.folds) if part == "all" else [part])]

        def teach(views: Tensor, generator: torch.Generator) -> Tensor:
            if views.shape[1] != size:
                views = functional.interpolate(views[:, None], (size, size), mode="bilinear", antialias=True)[:, 0]
            fit, drawn = teaching[int(torch.randint(len(teaching), (), generator=generator))]
            logits = fit.reader(drawn)(views.round().clamp(0, 255).to(torch.uint8).cpu().numpy()).logits
            return torch.from_numpy(logits).softmax(1).to(views.device)

        return teach

    return of
