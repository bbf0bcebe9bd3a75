"""How good scores are: ROC, calibration, confusion, intervals. Knows nothing of how the scores were made.

Everywhere, `truth` is bool [N] (True for PNEUMONIA) and `scores` float [N] (probability of pneumonia, 0 to 1).
"""

from collections.abc import Callable, Iterator
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.floating]

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""

CALIBRATION_BINS = 15
"""Of the expected calibration error, as in Guo et al. (ICML 2017)."""


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """For people, to three digits: `value (low to high)`."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def roc_auc(truth: BoolArray, scores: FloatArray) -> float:
    """Area under the ROC curve: the chance that an ill case scores above a healthy one (ties count half).

    The Mann-Whitney statistic, after Hanley and McNeil (Radiology 1982). Not a number when a class is missing.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    rank = (last - (counts - 1) / 2)[inverse]
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def wilson(successes: int, trials: int) -> Interval:
    """A proportion with its Wilson score interval (Wilson, JASA 1927). Not a number when there are no trials."""
    if not trials:
        return Interval(float("nan"), 0.0, 1.0)
    share, z2 = successes / trials, Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return Interval(share, max(0.0, centre - reach), min(1.0, centre + reach))


def sensitivity(truth: BoolArray, positive: BoolArray) -> Interval:
    """Share of the ill that are called so. `positive` is bool [N], the verdicts."""
    return wilson(int((truth & positive).sum()), int(truth.sum()))


def specificity(truth: BoolArray, positive: BoolArray) -> Interval:
    """Share of the healthy that are called so. `positive` is bool [N], the verdicts."""
    return wilson(int((~truth & ~positive).sum()), int((~truth).sum()))


def accuracy(truth: BoolArray, positive: BoolArray) -> Interval:
    """Share of right verdicts. `positive` is bool [N], the verdicts."""
    return wilson(int((truth == positive).sum()), len(truth))


def f1(truth: BoolArray, positive: BoolArray) -> float:
    """Harmonic mean of PPV and sensitivity (van Rijsbergen, 1979), 0 to 1; `positive` is bool [N], the verdicts.

    Not a number when nobody is ill and nobody is called so.
    """
    named = int(truth.sum()) + int(positive.sum())
    return 2 * int((truth & positive).sum()) / named if named else float("nan")


def matthews(truth: BoolArray, positive: BoolArray) -> float:
    """Correlation of truth and verdicts, -1 to 1 (Matthews, 1975); `positive` is bool [N], the verdicts.

    Not a number when a class or a verdict is missing: there is nothing to correlate.
    """
    total, ill, called = len(truth), int(truth.sum()), int(positive.sum())
    spread = ill * (total - ill) * called * (total - called)
    return (total * int((truth & positive).sum()) - ill * called) / sqrt(spread) if spread else float("nan")


def threshold_at(sensitivity: float, ill: FloatArray) -> float:
    """The highest threshold that keeps a sensitivity for the scores [N] of the ill."""
    missed = int((1 - sensitivity) * len(ill) + 1e-9)  # 0.1 * 10 is a little less than 1
    return float(np.sort(ill)[missed])


def brier(truth: BoolArray, scores: FloatArray) -> float:
    """Mean squared distance of probability and truth (Brier, 1950): 0 is perfect."""
    return float(np.mean((scores - truth) ** 2))


def calibration_error(truth: BoolArray, scores: FloatArray, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: mean |observed share - mean score| over equal bins (Guo et al., ICML 2017)."""
    where = np.minimum((scores * bins).astype(int), bins - 1)
    counts = np.bincount(where, minlength=bins)
    gaps = np.abs(np.bincount(where, scores - truth, minlength=bins))
    return float(gaps.sum() / counts.sum())


def bootstrap(
    figure: Callable[[NDArray[np.intp]], float],
    groups: ArrayLike,
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Interval:
    """A figure with the percentile interval over resampled groups (Efron and Tibshirani, 1993).

    Args:
        figure: computes the figure for an array of positions (intp [M]); not-a-number results are left out.
        groups: [N], the patient of each case: whole patients are drawn, since their pictures are no independent cases.
        rounds: resamples.
        seed: the same seed gives the same interval.
    """
    draws = [figure(at) for at in resamples(groups, rounds=rounds, seed=seed)]
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return Interval(figure(np.arange(len(np.asarray(groups)))), float(low), float(high))


def resamples(groups: ArrayLike, *, rounds: int = 1000, seed: int = 0) -> Iterator[NDArray[np.intp]]:
    """The bootstrap's draws: positions (intp [M]) of the cases of as many groups as there are, with replacement."""
    _, inverse, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    members = np.split(np.argsort(inverse, kind="stable"), counts.cumsum()[:-1])
    random = np.random.default_rng(seed)
    for _ in range(rounds):
        yield np.concatenate([members[group] for group in random.integers(len(members), size=len(members))])
