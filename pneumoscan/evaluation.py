"""How good records are on labelled pictures: figures with intervals. Needs scikit-learn; prints nothing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pneumoscan import metrics
from pneumoscan.labels import Pair
from pneumoscan.metrics import BoolArray, FloatArray, IntArray, Ranking
from pneumoscan.records import Label, Subtype

try:
    from sklearn.metrics import confusion_matrix
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "evaluate needs scikit-learn: pip install 'pneumoscan[evaluate]'", name=error.name
    ) from error

KEPT_SENSITIVITY = 0.95
"""Sensitivity of the threshold that is chosen on the very pictures that it is then measured on."""

NO_INTERVAL = "no interval"
"""Where all resamples agree, which is no certainty."""
TOO_FEW = "too few patients"
"""Where resamples too often lack a class, or what else the figure needs, for an interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The scored pictures as arrays of one length, N.

    Attributes:
        truth: bool, whether it shows a pneumonia.
        scores: float64, probability of pneumonia.
        verdicts: bool, whether the record says PNEUMONIA.
        review: bool, whether the record asks for a person.
        viral, bacterial: bool, the true subtype where it is known; neither elsewhere.
        viral_share: float64, p(viral) of a pneumonia: p_viral / (p_bacterial + p_viral), or 0.5 where both are 0.
        groups: str, patient.
        thresholds: those that the verdicts were made with, sorted.
    """

    truth: BoolArray
    scores: FloatArray
    verdicts: BoolArray
    review: BoolArray
    viral: BoolArray
    bacterial: BoolArray
    viral_share: FloatArray
    groups: NDArray[np.str_]
    thresholds: tuple[float, ...]

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Self:
        """The arrays of pairs whose records all have the status `ok`."""
        labels, records = [each.labelled for each in pairs], [each.record for each in pairs]
        viral, either = (
            np.array([getattr(record, name) for record in records], float) for name in ("p_viral", "probability")
        )
        return cls(
            truth=np.array([each.label == Label.PNEUMONIA for each in labels], bool),
            scores=either,
            verdicts=np.array([record.label == Label.PNEUMONIA for record in records], bool),
            review=np.array([record.review for record in records], bool),
            viral=np.array([each.subtype == Subtype.VIRAL for each in labels], bool),
            bacterial=np.array([each.subtype == Subtype.BACTERIAL for each in labels], bool),
            # Sums of rounded numbers may differ from the rounded sum.
            viral_share=np.divide(viral, either, out=np.full(len(pairs), 0.5), where=either > 0).clip(0, 1),
            groups=np.array([each.group for each in labels], str),
            thresholds=tuple(sorted({record.threshold for record in records})),
        )

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval and its denominator.

    Attributes:
        value: None where it cannot be told, for the `reason`.
        low, high: ends of the interval; None where it cannot be told.
        cases: how many pictures it is about.
        of: which.
        reason: why value or interval is missing, else None.
    """

    value: float | None
    low: float | None
    high: float | None
    cases: int
    of: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What holds at one threshold.

    Attributes:
        threshold: None where the records have been made with several.
        origin: why this one, in a few words.
        same_data: whether it was chosen on the pictures that it is measured on, so that its figures are optimistic.
        confusion: `true_negative`, `false_positive`, `false_negative`, `true_positive`.
        figures: by name.
    """

    threshold: float | None
    origin: str
    same_data: bool
    confusion: dict[str, int]
    figures: dict[str, Figure]

    def report(self) -> dict[Label, dict[str, Figure]]:
        """Precision, recall and F1 of each class."""
        names = {Label.NORMAL: ("npv", "specificity", "f1_normal"), Label.PNEUMONIA: ("ppv", "sensitivity", "f1")}
        return {
            label: dict(zip(("precision", "recall", "f1"), (self.figures[name] for name in each), strict=True))
            for label, each in names.items()
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures: those that no threshold changes, and those at each threshold, the recorded one first."""

    figures: dict[str, Figure]
    at: list[Verdicts]


def evaluate(
    cases: Cases, at: Sequence[float] | None = None, *, unscored: Sequence[Label] = (), rounds: int = 1000
) -> Evaluation:
    """Measures scores and verdicts.

    Proportions have Wilson intervals, everything else bootstrap intervals over patients.

    Args:
        cases: at least one.
        at: thresholds besides the recorded one; unless given, 0.5 and the highest that keeps a sensitivity of
            `KEPT_SENSITIVITY` on these very cases.
        unscored: labels of the pictures without a score, each of which `sensitivity_of_all`, `specificity_of_all` and
            `accuracy_of_all` count as a wrong verdict.
        rounds: resamples of the bootstrap.
    """
    cuts = list(_cuts(cases, at))
    measures = [_score_measures(cases, rounds), *(_verdict_measures(cases, cut.positive) for cut in cuts)]
    of_scores, *of_verdicts = _bootstrapped(measures, cases.groups, rounds)
    of_scores["review"] = _share(cases.review, np.ones(len(cases), bool), "scored")
    return Evaluation(
        of_scores,
        [
            Verdicts(
                cut.threshold,
                cut.origin,
                cut.same_data,
                _confusion(cases.truth, cut.positive),
                _shares(cases, cut.positive, unscored) | _flagged(cases, cut) | figures,
            )
            for cut, figures in zip(cuts, of_verdicts, strict=True)
        ],
    )


class _Cut(NamedTuple):
    """Verdicts at a threshold; see `Verdicts`."""

    threshold: float | None
    origin: str
    positive: BoolArray
    same_data: bool = False


def _cuts(cases: Cases, at: Sequence[float] | None) -> Iterator[_Cut]:
    recorded = cases.thresholds[0] if len(cases.thresholds) == 1 else None
    yield _Cut(recorded, "as recorded", cases.verdicts)
    for threshold in dict.fromkeys([0.5] if at is None else at):
        if threshold == recorded:
            continue
        yield _Cut(threshold, "for comparison" if at is None else "as asked for", cases.scores >= threshold)
    if at is None and cases.truth.any():
        threshold = metrics.threshold_at(KEPT_SENSITIVITY, cases.scores[cases.truth])
        origin = f"sensitivity {KEPT_SENSITIVITY} on these pictures"
        yield _Cut(threshold, origin, cases.scores >= threshold, same_data=True)


def _confusion(truth: BoolArray, positive: BoolArray) -> dict[str, int]:
    names = ("true_negative", "false_positive", "false_negative", "true_positive")
    return dict(zip(names, map(int, confusion_matrix(truth, positive, labels=[False, True]).ravel()), strict=True))


def _shares(cases: Cases, positive: BoolArray, unscored: Sequence[Label]) -> dict[str, Figure]:
    """The figures that are proportions, for verdicts bool [N]."""
    truth, right, everything = cases.truth, cases.truth == positive, np.ones(len(cases), bool)
    ill = sum(label == Label.PNEUMONIA for label in unscored)
    return {
        "sensitivity": _share(positive, truth, "pneumonia"),
        "sensitivity_of_all": _share(positive, truth, "labelled pneumonia", ill),
        "sensitivity_bacterial": _share(positive, truth & cases.bacterial, "bacterial"),
        "sensitivity_viral": _share(positive, truth & cases.viral, "viral"),
        "specificity": _share(~positive, ~truth, "normal"),
        "specificity_of_all": _share(~positive, ~truth, "labelled normal", len(unscored) - ill),
        "ppv": _share(truth, positive, "called PNEUMONIA"),
        "npv": _share(~truth, ~positive, "called NORMAL"),
        "accuracy": _share(right, everything, "scored"),
        "accuracy_of_all": _share(right, everything, "labelled", len(unscored)),
    }


def _flagged(cases: Cases, cut: _Cut) -> dict[str, Figure]:
    """The share of wrong verdicts that were flagged, where verdicts are those recorded: others may get other flags."""
    wrong = cases.truth != cut.positive
    if np.array_equal(cut.positive, cases.verdicts):
        return {"errors_flagged": _share(cases.review, wrong, "wrong verdicts")}
    return {"errors_flagged": Figure(None, None, None, int(wrong.sum()), "wrong verdicts", "not recorded")}


def _share(hits: BoolArray, among: BoolArray, of: str, missed: int = 0) -> Figure:
    """The share of the cases `among` which are also `hits`; `missed` more cases are not."""
    cases = int(among.sum()) + missed
    if not cases:
        return Figure(None, None, None, 0, of, "there are none")
    return Figure(*metrics.wilson(int((hits & among).sum()), cases), cases, of)


class _Measure(NamedTuple):
    """A figure that gets its interval from the bootstrap.

    Attributes:
        value: the figure for weights (see `pneumoscan.metrics`), or none; not a number where it cannot be told.
        needs: why it cannot be told then.
        among: bool [N], the cases that it is about; None for all of them.
        of: what those are.
        by_chance: see `pneumoscan.metrics.interval_of`.
    """

    value: Callable[[IntArray | None], float]
    needs: str = ""
    among: BoolArray | None = None
    of: str = "scored"
    by_chance: float | None = None


def _score_measures(cases: Cases, rounds: int) -> dict[str, _Measure]:
    truth, scores, known = cases.truth, cases.scores, cases.viral | cases.bacterial
    ranking, subtypes = Ranking(truth, scores), Ranking(cases.viral[known], cases.viral_share[known])
    return {
        "roc_auc": _Measure(ranking.roc_auc, "needs both classes"),
        "pr_auc": _Measure(ranking.average_precision, "needs both classes"),
        "calibration_error": _Measure(
            partial(metrics.calibration_error, truth, scores),
            by_chance=metrics.calibration_error_by_chance(scores, cases.groups, rounds=rounds),
        ),
        "brier": _Measure(partial(metrics.brier, truth, scores)),
        "subtype_auc": _Measure(
            lambda weights: subtypes.roc_auc(None if weights is None else weights[known]),
            "needs both subtypes",
            known,
            "of known subtype",
        ),
    }


def _verdict_measures(cases: Cases, positive: BoolArray) -> dict[str, _Measure]:
    truth = cases.truth
    return {
        "f1": _Measure(partial(metrics.f1, truth, positive), "no such case"),
        "f1_normal": _Measure(partial(metrics.f1, ~truth, ~positive), "no such case"),
        "mcc": _Measure(partial(metrics.matthews, truth, positive), "nothing to correlate"),
    }


def _bootstrapped(
    measures: Sequence[Mapping[str, _Measure]], groups: NDArray[np.str_], rounds: int
) -> list[dict[str, Figure]]:
    """The figures of all measures, from the same resamples."""
    each = [measure for named in measures for measure in named.values()]
    draws = np.array([[one.value(weights) for one in each] for weights in metrics.resamples(groups, rounds=rounds)])
    figures = iter(_figure(one, one.value(None), draws[:, i], len(groups)) for i, one in enumerate(each))
    return [{name: next(figures) for name in named} for named in measures]


def _figure(measure: _Measure, value: float, draws: FloatArray, total: int) -> Figure:
    cases = total if measure.among is None else int(measure.among.sum())
    if np.isnan(value):
        return Figure(None, None, None, cases, measure.of, measure.needs)
    _, low, high = metrics.interval_of(value, draws, by_chance=measure.by_chance)
    if np.isnan(low):
        return Figure(value, None, None, cases, measure.of, TOO_FEW)
    if np.isclose(low, high, rtol=0, atol=1e-9):  # every verdict is right, or there is one patient: no certainty
        return Figure(value, None, None, cases, measure.of, NO_INTERVAL)
    return Figure(value, low, high, cases, measure.of)
