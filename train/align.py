"""Makes the network on everything speak as those of the folds do, on which calibration and threshold were found.

Networks of one recipe differ in level and spread of their logits. Those of the folds are calibrated on pictures that
they never saw; the one on everything has none left. What can be compared is what each says of pictures that it was
trained on.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from train.calibrate import Calibration, Logits
from train.candidates import FULL, ask_each
from train.fitted import Fitted

PICTURES = 1000
"""About so many training pictures are compared, each plain and stressed."""
OF_CLASS = 100
"""Of a class that is rare among them, so many, or all."""
QUANTILES = np.linspace(0.005, 0.995, 100)


def align_shipped(calibration: Calibration, fit: Fitted) -> Calibration:
    """The calibration of the network on everything, from that of the folds' networks, fitted on out-of-fold logits."""
    some = _spread(np.arange(len(fit.pixels)), PICTURES)
    for each in np.unique(fit.labels):
        if (fit.labels[some] == each).sum() < OF_CLASS:
            some = np.union1d(some, _spread(np.flatnonzero(fit.labels == each), OF_CLASS))

    def said(part: str, pictures: NDArray[np.intp]) -> Logits:
        read = fit.reader(part)
        views = ask_each(lambda images: read(images).logits, fit.pixels, dict.fromkeys(FULL, pictures), fit.size, part)
        return np.concatenate([views[name] for name in FULL])

    of_folds, classes = [], []
    for fold in np.unique(fit.folds):
        trained_on = np.intersect1d(some, fit.trained_on(f"fold{fold}"))
        of_folds.append(said(f"fold{fold}", trained_on))
        classes.append(np.tile(fit.labels[trained_on], len(FULL)))
    return align(calibration, of_folds, classes, said("all", some), np.tile(fit.labels[some], len(FULL)))


def _spread(positions: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """About `count` of ascending positions, or all, evenly."""
    return positions[np.unique(np.linspace(0, len(positions) - 1, min(count, len(positions))).astype(int))]


def align(
    calibration: Calibration,
    of_folds: Sequence[Logits],
    classes_of_folds: Sequence[NDArray[np.intp]],
    shipped: Logits,
    classes: NDArray[np.intp],
) -> Calibration:
    """Fits temperature and offsets so that the shipped network's probabilities are distributed as the folds' are.

    Class by class, quantiles of the probability of pneumonia, and of the viral share, are brought together by least
    squares. Threshold, review band and the rest stay as they are.

    Args:
        calibration: of the networks of the folds.
        of_folds, classes_of_folds: by fold, logits [M, 3] of pictures that its network was trained on, and classes [M].
        shipped, classes: the same of the shipped network, [K, 3] and [K].
    """
    told = sorted(set(classes).intersection(*classes_of_folds))  # few pictures of a class may all lie in one fold
    goal = np.mean(
        [_quantiles(calibration, logits, each, told) for logits, each in zip(of_folds, classes_of_folds, strict=True)],
        axis=0,
    )

    def candidate(parameters: NDArray[np.floating]) -> Calibration:
        log_temperature, bacterial, viral = (float(each) for each in parameters)
        return replace(calibration, temperature=float(np.exp(log_temperature)), offsets=(0.0, bacterial, viral))

    def distance(parameters: NDArray[np.floating]) -> float:
        return float(np.square(_quantiles(candidate(parameters), shipped, classes, told) - goal).sum())

    start = np.array([np.log(calibration.temperature), *calibration.offsets[1:]])
    return candidate(minimize(distance, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}).x)


def _quantiles(
    calibration: Calibration, logits: Logits, classes: NDArray[np.intp], told: Sequence[int]
) -> NDArray[np.floating]:
    """Of the probability of pneumonia under each label that is told, and of the viral share under each of pneumonia."""
    ill, viral = calibration.pneumonia(logits), calibration.viral_share(logits)
    return np.stack(
        [np.quantile(ill[classes == each], QUANTILES) for each in told]
        + [np.quantile(viral[classes == each], QUANTILES) for each in told if each > 0]
    )
