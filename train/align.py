"""Makes the network on everything speak as those of the folds do, on which calibration and threshold were found.

Networks of one recipe differ in level and spread of their logits. Those of the folds are calibrated on pictures that
they never saw; the one on everything has none left. What can be compared is what each says of pictures that it was
trained on.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from train.calibrate import Calibration, Logits
from train.candidates import FULL, ask_each, load_reader

PICTURES = 1000
"""About so many training pictures are compared, each plain and stressed."""
QUANTILES = np.linspace(0.005, 0.995, 100)


def align_shipped(
    calibration: Calibration,
    run: Path,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.intp],
    folds: NDArray[np.integer],
    size: int,
    identity: dict[str, object],
) -> Calibration:
    """The calibration of the network on everything, from that of the folds' networks.

    Args:
        calibration: fitted on the out-of-fold logits.
        run: folder of a finished fit.
        pixels, targets, folds: uint8 [N, H, W], classes [N], and the fold in which each picture was held out, [N].
        size: side at which pictures are scanned.
        identity: of the fit.
    """
    some = np.unique(np.linspace(0, len(pixels) - 1, min(PICTURES, len(pixels))).astype(int))

    def said(part: str, pictures: NDArray[np.intp]) -> Logits:
        views = ask_each(load_reader(run, part, size, identity), pixels, dict.fromkeys(FULL, pictures), size, part)
        return np.concatenate([views[name] for name in FULL])

    of_folds, classes = [], []
    for fold in np.unique(folds):
        trained_on = some[folds[some] != fold]
        of_folds.append(said(f"fold{fold}", trained_on))
        classes.append(np.tile(targets[trained_on], len(FULL)))
    return align(calibration, of_folds, classes, said("all", some), np.tile(targets[some], len(FULL)))


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
    goal = np.mean(
        [_quantiles(calibration, logits, each) for logits, each in zip(of_folds, classes_of_folds, strict=True)], axis=0
    )

    def candidate(parameters: NDArray[np.floating]) -> Calibration:
        log_temperature, bacterial, viral = (float(each) for each in parameters)
        return replace(calibration, temperature=float(np.exp(log_temperature)), offsets=(0.0, bacterial, viral))

    def distance(parameters: NDArray[np.floating]) -> float:
        return float(np.square(_quantiles(candidate(parameters), shipped, classes) - goal).sum())

    start = np.array([np.log(calibration.temperature), *calibration.offsets[1:]])
    return candidate(minimize(distance, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}).x)


def align_rounded(calibration: Calibration, before: Logits, after: Logits) -> Calibration:
    """The calibration of a network whose numbers were rounded, from that of the network before.

    Args:
        calibration: of the network before.
        before, after: logits [M, 3] of the same pictures. Their classes are what was said before: no labels are needed.
    """
    classes = calibration.probabilities(before).argmax(1)
    return align(calibration, [before], [classes], after, classes)


def _quantiles(calibration: Calibration, logits: Logits, classes: NDArray[np.intp]) -> NDArray[np.floating]:
    """Of the probability of pneumonia in each class, and of the viral share in each pneumonia."""
    ill, viral = calibration.pneumonia(logits), calibration.viral_share(logits)
    return np.stack(
        [np.quantile(ill[classes == each], QUANTILES) for each in np.unique(classes)]
        + [np.quantile(viral[classes == each], QUANTILES) for each in np.unique(classes[classes > 0])]
    )
