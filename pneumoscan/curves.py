"""ROC and precision-recall curves at places of their own, with bands over resampled patients. Draws nothing."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumoscan import metrics
from pneumoscan.evaluation import Cases
from pneumoscan.metrics import BoolArray, FloatArray

GRID = np.linspace(0, 1, 201)
"""False positive rates, or recalls, at which curves are compared."""


def roc_on_grid(truth: BoolArray, scores: FloatArray) -> FloatArray:
    """Sensitivity [len(GRID)] at these false positive rates; where the curve is vertical, its upper end."""
    false, true, _ = roc_curve(truth, scores)
    return np.asarray(np.interp(GRID, false, true))


def precision_on_grid(truth: BoolArray, scores: FloatArray) -> FloatArray:
    """Precision [len(GRID)] at the highest threshold that reaches each recall."""
    precision, recall, _ = precision_recall_curve(truth, scores)
    return np.asarray(precision[np.searchsorted(-recall, -GRID, side="right") - 1])


def band(cases: Cases, curve: Callable[[BoolArray, FloatArray], FloatArray], rounds: int) -> FloatArray:
    """The pointwise 95 % interval, [2, len(GRID)], over resampled patients, of a curve of truth and scores."""
    draws = [
        curve(cases.truth[at], cases.scores[at])
        for at in metrics.resamples(cases.groups, rounds=rounds)
        if cases.truth[at].any() and not cases.truth[at].all()
    ]
    return np.asarray(np.percentile(draws, (2.5, 97.5), axis=0))
