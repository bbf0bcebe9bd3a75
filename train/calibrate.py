"""From logits to decisions: calibration, threshold, review band, and the figures that they earn.

Everything is fitted on out-of-fold logits: of pictures as they are and of the same pictures stressed, since a user's
pictures will differ from the training ones. A figure for a fold uses what was fitted on the other folds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax

from pneumoscan import metrics
from pneumoscan.metrics import Interval, threshold_at
from train.dataset import tells_kind

SENSITIVITY = 0.96
"""Sensitivity that the threshold keeps."""
COVERAGE = 0.98
"""Share of each class that must not lie beyond the review band on the wrong side."""
SUBTYPE_PRECISION = 0.9
"""Share of the claims of either subtype, of pneumonias, that must agree with labels that are not in doubt."""
FEWEST_OF_KIND = 50
"""So many claims of either subtype, of found pneumonias, plain and stressed, are needed to say how often they agree."""
TENTHS = tuple(tenth / 10 for tenth in range(10))
"""Lower ends of the ranges of probability whose share of pneumonias is reported."""

Logits = NDArray[np.floating]


class Judged(NamedTuple):
    """What is said of N pictures.

    Attributes:
        scores: float [N], probability of pneumonia.
        verdicts: bool [N], whether that reaches the threshold.
        below, above: bool [N], whether it lies below or above the review band.
        subtypes: int [N], the class that is named as the subtype, 0 for none.
    """

    scores: NDArray[np.floating]
    verdicts: NDArray[np.bool_]
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]
    subtypes: NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What turns logits into decisions.

    Attributes:
        temperature, offsets: divide the logits, then shift each class (Guo et al., ICML 2017). The first class stays.
        threshold: probability of pneumonia at and above which the label is PNEUMONIA.
        review_band: lowest and highest probability between which a person must look.
        subtype_threshold: share of the probability of pneumonia that a subtype needs to be claimed; at 1 none is.
    """

    temperature: float
    offsets: tuple[float, float, float]
    threshold: float
    review_band: tuple[float, float]
    subtype_threshold: float = 0.5

    def probabilities(self, logits: Logits) -> NDArray[np.floating]:
        """Class probabilities [N, 3] of logits [N, 3]."""
        result: NDArray[np.floating] = softmax(logits / self.temperature + np.array(self.offsets), axis=1)
        return result

    def pneumonia(self, logits: Logits) -> NDArray[np.floating]:
        """Probability of pneumonia [N] of logits [N, 3]."""
        return 1 - self.probabilities(logits)[:, 0]

    def viral_share(self, logits: Logits) -> NDArray[np.floating]:
        """Share of the probability of pneumonia that is viral, [N], of logits [N, 3]."""
        share: NDArray[np.floating] = expit(
            (logits[:, 2] - logits[:, 1]) / self.temperature + self.offsets[2] - self.offsets[1]
        )
        return share

    def judge(self, logits: Logits) -> Judged:
        """Everything that is said of pictures with logits [N, 3]."""
        scores, viral = self.pneumonia(logits), self.viral_share(logits)
        verdicts, (low, high) = scores >= self.threshold, self.review_band
        named = np.select([viral >= self.subtype_threshold, 1 - viral >= self.subtype_threshold], [2, 1], 0)
        claimed = verdicts & (self.subtype_threshold < 1)
        return Judged(scores, verdicts, scores < low, scores > high, named * claimed)


def fit_calibration(logits: Mapping[str, Logits], labels: NDArray[np.intp]) -> Calibration:
    """Fits everything to the logits [N, 3] of each kind of pictures together, and to labels [N] (see
    `train.dataset.labels_of`).

    The threshold is the highest with a sensitivity of `SENSITIVITY`. The band comes from class-conditional conformal
    prediction (Vovk, ACML 2012): of each kind, a share of at most 1 - `COVERAGE` of the ill score below its lower end,
    and of the healthy above its upper end. Kinds are scored at different levels: of one, less would be left.
    The threshold for subtypes is the lowest at which either is right in a share of `SUBTYPE_PRECISION` of the
    pneumonias that it is named for, of those whose kind is not in doubt.
    """
    pooled, told = np.concatenate(list(logits.values())), np.tile(labels, len(logits))

    def loss(parameters: NDArray[np.floating]) -> float:
        log_temperature, *offsets = parameters
        each = log_softmax(pooled / np.exp(log_temperature) + np.array([0, *offsets]), axis=1)
        each = np.column_stack([each, logsumexp(each[:, 1:], axis=1)])  # of `SOME_PNEUMONIA`
        return float(-each[np.arange(len(told)), told].mean())

    log_temperature, *shifts = minimize(loss, np.zeros(3)).x
    temperature, offsets = float(np.exp(log_temperature)), (0.0, float(shifts[0]), float(shifts[1]))
    scores = 1 - softmax(pooled / temperature + np.array(offsets), axis=1)[:, 0]
    threshold = threshold_at(SENSITIVITY, scores[told > 0])
    ends = [threshold]
    for of_kind in np.split(scores, len(logits)):
        ends += [_lowest(of_kind[labels > 0]), 1 - _lowest(1 - of_kind[labels == 0])]
    fitted = Calibration(temperature, offsets, threshold, (min(ends), max(ends)))
    detected = tells_kind(told) & (scores >= threshold)
    claimable = _subtype_threshold(fitted.viral_share(pooled[detected]), told[detected] == 2)
    return replace(fitted, subtype_threshold=claimable)


def _lowest(scores: NDArray[np.floating]) -> float:
    """What a share of `COVERAGE` of scores [N] reaches: the k-th of them with k = floor((N + 1) (1 - `COVERAGE`)), the
    finite-sample correction of split-conformal prediction. 0 where k is, since there are too few for a limit.
    """
    k = int((len(scores) + 1) * (1 - COVERAGE))
    return float(np.sort(scores)[k - 1]) if k else 0.0


def _subtype_threshold(shares: NDArray[np.floating], viral: NDArray[np.bool_]) -> float:
    """The lowest from 0.5 on, in steps of 0.01, with `SUBTYPE_PRECISION` of either claim, of which there must be
    `FEWEST_OF_KIND`; 1 where there is none.

    Args:
        shares: [N], viral shares of pneumonias.
        viral: bool [N], what they are labelled.
    """
    for threshold in np.arange(50, 100) / 100:
        claims = (shares >= threshold, viral), (1 - shares >= threshold, ~viral)
        if all(
            claimed.sum() >= FEWEST_OF_KIND and right[claimed].mean() >= SUBTYPE_PRECISION for claimed, right in claims
        ):
            return float(threshold)
    return 1.0


def fit_calibration_of_folds(
    logits: Mapping[str, Logits], labels: NDArray[np.intp], folds: NDArray[np.integer]
) -> dict[int, Calibration]:
    """For each fold a calibration that never saw it: fitted to all kinds of logits float [N, 3] of the others."""
    calibrations = {}
    for fold in np.unique(folds):
        others = folds != fold
        of_others = {kind: each[others] for kind, each in logits.items()}
        calibrations[int(fold)] = fit_calibration(of_others, labels[others])
    return calibrations


def judge_out_of_fold(logits: Logits, calibrations: Mapping[int, Calibration], folds: NDArray[np.integer]) -> Judged:
    """What is said of pictures with logits [N, 3], each by the calibration of its fold."""
    count = len(logits)
    below, verdicts, above = np.empty((3, count), bool)
    judged = Judged(np.empty(count), verdicts, below, above, np.empty(count, np.int64))
    for fold, calibration in calibrations.items():
        here = folds == fold
        for whole, part in zip(judged, calibration.judge(logits[here]), strict=True):
            whole[here] = part
    return judged


def out_of_fold_figures(
    logits: Mapping[str, Logits],
    labels: NDArray[np.intp],
    folds: NDArray[np.integer],
    groups: NDArray[np.str_],
    unfamiliar: Mapping[str, NDArray[np.bool_]] = MappingProxyType({}),
) -> dict[str, Interval]:
    """The figures of a fit, each with its 95 % interval.

    Args:
        logits: float [N, 3] out of fold, under `plain` and `stressed`.
        labels: [N], what the pictures show (see `train.dataset.labels_of`). Those whose kind is in doubt are in no
            figure of kinds.
        folds: [N], the fold in which each picture was held out.
        groups: [N], patients.
        unfamiliar: bool [N] by the names in `logits`: what a gate flags or refuses, and a review must thus catch.

    Returns:
        Figures by name, prefixed with the kind of pictures that they hold for. Where labels tell subtypes, also how
        well the pneumonias of each fold are told apart; accuracy is that of the likelier one, whether named or not.
    """
    truth, told = labels > 0, tells_kind(labels)
    calibrations = fit_calibration_of_folds(logits, labels, folds)
    figures: dict[str, Interval] = {}
    for name, each in logits.items():
        score, verdict, below, above, named = judge_out_of_fold(each, calibrations, folds)
        review = ~(below | above) | unfamiliar.get(name, False)
        wrong, tenths = verdict != truth, metrics.bins_of(score, len(TENTHS))
        subtype = each[:, 2] - each[:, 1]
        of_patients = partial(metrics.bootstrap, groups=groups)
        figures |= {
            f"{name}_auc": of_patients(_of(metrics.roc_auc, truth, score)),
            f"{name}_sensitivity": metrics.sensitivity(truth, verdict),
            f"{name}_specificity": metrics.specificity(truth, verdict),
            f"{name}_accuracy": metrics.accuracy(truth, verdict),
            f"{name}_specificity_at_sensitivity_90": of_patients(_of(partial(specificity_at, 0.90), truth, score)),
            f"{name}_calibration_error": of_patients(
                _of(metrics.calibration_error, truth, score),
                by_chance=metrics.calibration_error_by_chance(score, groups),
            ),
            f"{name}_brier": of_patients(_of(metrics.brier, truth, score)),
            f"{name}_subtype_auc": metrics.bootstrap(
                _of(metrics.roc_auc, labels[told] == 2, subtype[told]), groups=groups[told]
            ),
            f"{name}_subtype_claimed": _share(named[told & verdict] > 0),
            f"{name}_bacterial_precision": _share(labels[(named == 1) & (told | ~truth)] == 1),
            f"{name}_viral_precision": _share(labels[(named == 2) & (told | ~truth)] == 2),
            f"{name}_coverage_ill": _share(~below[truth]),
            f"{name}_coverage_healthy": _share(~above[~truth]),
            **{f"{name}_ill_of_{low:.1f}": _share(truth[tenths == tenth]) for tenth, low in enumerate(TENTHS)},
            f"{name}_review": _share(review),
            f"{name}_errors_in_review": _share(review[wrong]),
        }
        for fold, calibration in calibrations.items() if told.any() else ():
            here = told & (folds == fold)
            viral, share = labels[here] == 2, calibration.viral_share(each[here])
            figures |= {
                f"{name}_subtype_auc_fold_{fold}": metrics.bootstrap(
                    _of(metrics.roc_auc, viral, share), groups=groups[here]
                ),
                f"{name}_subtype_accuracy_fold_{fold}": metrics.accuracy(viral, share >= 0.5),
            }
    return figures


def _share(holds: NDArray[np.bool_]) -> Interval:
    return metrics.wilson(int(holds.sum()), len(holds))


def _of(
    figure: Callable[[NDArray[np.bool_], NDArray[np.floating]], float],
    truth: NDArray[np.bool_],
    scores: NDArray[np.floating],
) -> Callable[[NDArray[np.intp]], float]:
    """A figure of truth and scores as one of positions, for the bootstrap."""
    return lambda at: figure(truth[at], scores[at])


def specificity_at(sensitivity: float, truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Specificity at the highest threshold that keeps a sensitivity. Not a number when a class is missing."""
    if truth.all() or not truth.any():
        return float("nan")
    return float((scores[~truth] < threshold_at(sensitivity, scores[truth])).mean())
