"""ROC and precision-recall curves at places of their own, with bands over resampled patients. Draws nothing."""

from collections.abc import Callable

import numpy as np

from pneumoscan import metrics
from pneumoscan.evaluation import Cases
from pneumoscan.metrics import FloatArray, IntArray, Ranking

GRID = np.linspace(0, 1, 201)
"""False positive rates, or recalls, at which curves are compared."""

Curve = Callable[[IntArray, IntArray], FloatArray]
"""Of the numbers of ill and of healthy cases at each of D distinct scores, int [D], the highest first and neither all
zero, makes float [len(GRID)]."""


def roc_on_grid(ill: IntArray, healthy: IntArray) -> FloatArray:
    """Sensitivity [len(GRID)] at these false positive rates; where the curve is vertical, its upper end."""
    true, false = (np.concatenate([[0.0], each.cumsum() / each.sum()]) for each in (ill, healthy))
    return np.asarray(np.interp(GRID, false, true))


def precision_on_grid(ill: IntArray, healthy: IntArray) -> FloatArray:
    """Precision [len(GRID)] at the highest threshold that reaches each recall."""
    found, called = ill.cumsum(), (ill + healthy).cumsum()
    recall = np.concatenate([[0.0], found / found[-1]])
    precision = np.concatenate([[1.0], found / np.maximum(called, 1)])  # a resample may lack the highest scores
    return np.asarray(precision[np.searchsorted(recall, GRID)])


def band(cases: Cases, curve: Curve, rounds: int) -> FloatArray:
    """The pointwise 95 % interval, [2, len(GRID)], over resampled patients."""
    ranking = Ranking(cases.truth, cases.scores)
    counts = (ranking.counts(weights) for weights in metrics.resamples(cases.groups, rounds=rounds))
    draws = [curve(ill, healthy) for ill, healthy in counts if ill.any() and healthy.any()]
    return np.asarray(np.percentile(draws, (2.5, 97.5), axis=0))
