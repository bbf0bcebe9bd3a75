"""Out of fold: what each fold's network and gate say of the patients that they never saw."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.alter import ALTERATIONS, mild
from train.dataset import resize
from train.fitted import Fitted
from train.gate import Scores, fit_gate, score
from train.stress import STRESS_SEED, stress

ALTERED_EVERY = 8
"""One held-out picture in so many is altered, each in every way: their rates need no more."""


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


def out_of_fold(fit: Fitted) -> OutOfFold:
    """Asks the network and fits the gate of every fold."""
    pixels, size = fit.pixels, fit.size
    plain = resize(pixels, size)
    views = {"plain": plain, "stressed": stress(pixels, size, STRESS_SEED), "mild": mild(plain, STRESS_SEED)}
    logits = {name: np.empty((len(pixels), 3), np.float32) for name in ("plain", "stressed")}
    sound = {name: np.empty(len(pixels), np.float32) for name in views}
    altered = {name: np.full(len(pixels), np.nan, np.float32) for name in ALTERATIONS}
    for fold in np.unique(fit.folds):
        read = fit.reader(f"fold{fold}")
        here = fit.folds == fold
        gate = fit_gate(read, plain[~here])
        for name, images in views.items():
            seen = read(images[here])
            sound[name][here] = score(gate, seen.texture)
            if name in logits:
                logits[name][here] = seen.logits
        some = np.flatnonzero(here)[::ALTERED_EVERY]
        for name, alter in ALTERATIONS.items():
            pictures = np.ascontiguousarray(alter(plain[some], STRESS_SEED + int(fold)))
            altered[name][some] = score(gate, read(pictures).texture)
    return OutOfFold(logits, sound, altered)
