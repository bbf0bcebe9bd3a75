from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from pneumoscan import evaluation, metrics
from pneumoscan.evaluation import NO_INTERVAL, TOO_FEW, Cases, Figure
from pneumoscan.labels import Labelled, Pair
from pneumoscan.records import Label, Subtype
from tests.records import ILL

evaluate = partial(evaluation.evaluate, rounds=100)

CASES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])), min_size=2, max_size=30)


def cases(*rows: tuple[str, float], threshold: float = 0.5, review: tuple[float, ...] = (), groups: str = "") -> Cases:
    """Cases of kind and probability; `review` names the flagged probabilities, `groups` a letter for each patient."""
    kinds = {"n": (Label.NORMAL, None), "p": (Label.PNEUMONIA, None)}
    kinds |= {"b": (Label.PNEUMONIA, Subtype.BACTERIAL), "v": (Label.PNEUMONIA, Subtype.VIRAL)}
    pairs = []
    for index, (kind, probability) in enumerate(rows):
        record = replace(
            ILL,
            label=Label.PNEUMONIA if probability >= threshold else Label.NORMAL,
            probability=probability,
            p_viral=probability if kind == "v" else probability / 4,
            threshold=threshold,
            review=probability in review,
        )
        group = groups[index] if groups else str(index)
        pairs.append(Pair(Labelled(str(index), *kinds[kind], group), record))
    return Cases.of(pairs)


# One normal picture is called ill, one viral pneumonia is missed.
MIXED = cases(
    ("n", 0.1), ("n", 0.2), ("n", 0.6), ("b", 0.9), ("b", 0.7), ("v", 0.4), ("v", 0.8), review=(0.4, 0.6, 0.7)
)


def value(figure: Figure) -> float:
    assert figure.value is not None
    return figure.value


class TestAtTheRecordedThreshold:
    recorded = evaluate(MIXED).at[0]

    def test_the_confusion_counts_truth_and_verdict(self) -> None:
        assert self.recorded.confusion == {
            "true_negative": 2,
            "false_positive": 1,
            "false_negative": 1,
            "true_positive": 3,
        }
        assert (self.recorded.threshold, self.recorded.same_data) == (0.5, False)

    @pytest.mark.parametrize(
        ("name", "hits", "among", "of"),
        [
            ("sensitivity", 3, 4, "pneumonia"),
            ("sensitivity_bacterial", 2, 2, "bacterial"),
            ("sensitivity_viral", 1, 2, "viral"),
            ("specificity", 2, 3, "normal"),
            ("ppv", 3, 4, "called PNEUMONIA"),
            ("npv", 2, 3, "called NORMAL"),
            ("accuracy", 5, 7, "scored"),
            ("errors_flagged", 2, 2, "wrong verdicts"),
        ],
    )
    def test_each_share_has_its_own_denominator_and_a_wilson_interval(
        self, name: str, hits: int, among: int, of: str
    ) -> None:
        assert self.recorded.figures[name] == Figure(*metrics.wilson(hits, among), among, of)

    def test_f1_and_the_correlation_are_those_worked_out_by_hand(self) -> None:
        assert value(self.recorded.figures["f1"]) == 6 / 8
        assert value(self.recorded.figures["f1_normal"]) == 4 / 6
        assert value(self.recorded.figures["mcc"]) == pytest.approx((3 * 2 - 1 * 1) / (4 * 4 * 3 * 3) ** 0.5)

    def test_the_report_has_precision_recall_and_f1_of_both_classes(self) -> None:
        report = {
            label: {name: value(figure) for name, figure in row.items()}
            for label, row in self.recorded.report().items()
        }
        assert report == {
            "NORMAL": {"precision": 2 / 3, "recall": 2 / 3, "f1": 4 / 6},
            "PNEUMONIA": {"precision": 3 / 4, "recall": 3 / 4, "f1": 6 / 8},
        }

    def test_pictures_without_a_score_can_be_held_against_the_verdicts(self) -> None:
        figures = evaluate(MIXED, unscored=[Label.NORMAL, Label.PNEUMONIA, Label.PNEUMONIA]).at[0].figures
        assert figures["sensitivity_of_all"] == Figure(*metrics.wilson(3, 6), 6, "labelled pneumonia")
        assert figures["specificity_of_all"] == Figure(*metrics.wilson(2, 4), 4, "labelled normal")
        assert figures["accuracy_of_all"] == Figure(*metrics.wilson(5, 10), 10, "labelled")
        assert [figures[name].cases for name in ("sensitivity", "specificity", "accuracy")] == [4, 3, 7]

    def test_verdicts_are_the_records_own_where_thresholds_differ(self) -> None:
        pairs = [
            Pair(Labelled("a", Label.PNEUMONIA, None, "a"), replace(ILL, threshold=0.2)),
            Pair(Labelled("b", Label.PNEUMONIA, None, "b"), replace(ILL, threshold=0.9, label=Label.NORMAL)),
        ]
        recorded = evaluate(Cases.of(pairs)).at[0]
        assert (recorded.threshold, value(recorded.figures["sensitivity"])) == (None, 0.5)


class TestAtOtherThresholds:
    def test_flags_are_told_only_where_the_verdicts_are_those_that_were_recorded(self) -> None:
        _, same, other = evaluate(MIXED, [0.45, 0.3]).at
        assert same.figures["errors_flagged"] == Figure(*metrics.wilson(2, 2), 2, "wrong verdicts")
        assert other.figures["errors_flagged"] == Figure(None, None, None, 1, "wrong verdicts", "not recorded")


class TestWhateverTheThreshold:
    figures = evaluate(MIXED).figures

    def test_areas_and_calibration_are_those_worked_out_by_hand(self) -> None:
        assert value(self.figures["roc_auc"]) == pytest.approx(11 / 12)
        assert value(self.figures["pr_auc"]) == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)
        assert value(self.figures["brier"]) == pytest.approx(
            (0.1**2 + 0.2**2 + 0.6**2 + 0.1**2 + 0.3**2 + 0.6**2 + 0.2**2) / 7
        )
        assert self.figures["review"] == Figure(*metrics.wilson(3, 7), 7, "scored")

    def test_viral_against_bacterial_compares_pneumonias_of_known_subtype_only(self) -> None:
        figure = evaluate(cases(("n", 0.9), ("p", 0.9), ("b", 0.9), ("v", 0.2), ("v", 0.9))).figures["subtype_auc"]
        assert (figure.value, figure.cases, figure.of) == (1, 3, "of known subtype")

    def test_a_probability_of_nothing_at_all_is_undecided_between_subtypes(self) -> None:
        assert cases(("v", 0.0), ("v", 0.4)).viral_share.tolist() == [0.5, 1]

    def test_intervals_enclose_the_figure(self) -> None:
        figure = evaluate(cases(*[("n", 0.1), ("n", 0.6), ("b", 0.4), ("b", 0.9)] * 5)).figures["roc_auc"]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < value(figure) <= figure.high

    def test_pictures_of_one_patient_are_no_independent_cases(self) -> None:
        rows = [("n", 0.1), ("n", 0.6), ("b", 0.4), ("b", 0.9)] * 5
        apart = evaluate(cases(*rows)).figures["brier"]
        together = evaluate(cases(*rows, groups="abcd" * 5)).figures["brier"]
        assert None not in (apart.low, apart.high, together.low, together.high)
        assert together.high - together.low > 1.5 * (apart.high - apart.low)  # type: ignore[operator]

    def test_resamples_that_all_agree_give_no_interval(self) -> None:
        figure = evaluate(cases(*[("n", 0.1), ("b", 0.9)] * 9)).figures["roc_auc"]
        assert (figure.value, figure.low, figure.high, figure.reason) == (1, None, None, NO_INTERVAL)

    @pytest.mark.parametrize(("patients", "reason"), [(3, TOO_FEW), (8, None)])
    def test_resamples_that_too_often_lack_a_class_give_no_interval(self, patients: int, reason: str | None) -> None:
        rows = [("n", 0.1), ("n", 0.6), *[("n", 0.2)] * (patients - 2), *[("b", 0.4), ("b", 0.9)] * 20]
        figure = evaluate(cases(*rows)).figures["roc_auc"]
        assert (figure.reason, figure.low is None, figure.high is None) == (
            reason,
            reason is not None,
            reason is not None,
        )
        assert figure.value is not None

    def test_resamples_without_a_subtype_count_for_the_figure_of_subtypes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of the others, which stand first, do not."""
        found = cases(*[("n", 0.1)] * 40, *[("b", 0.9), ("v", 0.8)] * 20)
        without_viral = np.where(found.viral, 0, 1)
        monkeypatch.setattr(metrics, "resamples", lambda groups, rounds: [without_viral] * rounds)
        figures = evaluate(found, rounds=20).figures
        assert figures["subtype_auc"].reason == TOO_FEW
        assert figures["roc_auc"].reason != TOO_FEW

    def test_the_calibration_error_that_chance_alone_makes_is_within_its_interval(self) -> None:
        """Scores are right to the last: an interval of percentiles would lie above the error of 0."""
        random = np.random.default_rng(0)
        scores = random.uniform(size=400)
        found = evaluate(cases(*(("b" if random.uniform() < score else "n", score) for score in scores)))
        figure = found.figures["calibration_error"]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low == 0
        assert 0.02 < value(figure) < figure.high < 0.15


class TestOtherThresholds:
    def test_unless_named_are_one_half_and_the_one_that_keeps_the_sensitivity(self) -> None:
        rows = [("p", 0.2 + index / 50) for index in range(20)] + [("n", 0.1), ("n", 0.9)]
        _, half, kept = evaluate(cases(*rows, threshold=0.7)).at
        assert (half.threshold, half.same_data) == (0.5, False)
        assert (kept.threshold, kept.same_data) == (pytest.approx(0.22), True)
        assert value(kept.figures["sensitivity"]) == 0.95

    def test_are_those_named_each_once(self) -> None:
        found = evaluate(MIXED, [0.65, 0.05, 0.65])
        assert [each.threshold for each in found.at] == [0.5, 0.65, 0.05]
        assert found.at[1].confusion["false_positive"] == 0
        assert not any(each.same_data for each in found.at)

    def test_are_not_told_again_for_the_recorded_threshold(self) -> None:
        assert [each.threshold for each in evaluate(MIXED, [0.5, 0.4, 0.5]).at] == [0.5, 0.4]

    def test_count_a_score_on_the_threshold_as_pneumonia(self) -> None:
        assert evaluate(MIXED, [0.4]).at[1].confusion["false_negative"] == 0


class TestOneClassOnly:
    @pytest.mark.parametrize("kind", ["n", "p"])
    def test_leaves_out_what_needs_two_with_the_reason(self, kind: str) -> None:
        found = evaluate(cases((kind, 0.1), (kind, 0.9)))
        for name in ("roc_auc", "pr_auc"):
            assert found.figures[name] == Figure(None, None, None, 2, "scored", "needs both classes")
        assert found.figures["subtype_auc"].reason == "needs both subtypes"
        assert found.at[0].figures["mcc"].reason == "nothing to correlate"
        missing = "sensitivity" if kind == "n" else "specificity"
        assert (found.at[0].figures[missing].value, found.at[0].figures[missing].cases) == (None, 0)

    def test_has_no_threshold_of_a_sensitivity_without_pneumonia(self) -> None:
        assert [each.threshold for each in evaluate(cases(("n", 0.1))).at] == [0.5]


@settings(deadline=None, max_examples=40)
@given(CASES)
def test_figures_agree_with_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    some = cases(*[("p" if ill else "n", score) for ill, score in rows])
    result = evaluate(some, [], rounds=2)
    truth, verdicts = some.truth, some.verdicts
    expected = {
        "accuracy": reference.accuracy_score(truth, verdicts),
        "sensitivity": reference.recall_score(truth, verdicts, zero_division=np.nan),
        "specificity": reference.recall_score(~truth, ~verdicts, zero_division=np.nan),
        "ppv": reference.precision_score(truth, verdicts, zero_division=np.nan),
        "npv": reference.precision_score(~truth, ~verdicts, zero_division=np.nan),
        "f1": reference.f1_score(truth, verdicts, zero_division=np.nan),
        "f1_normal": reference.f1_score(~truth, ~verdicts, zero_division=np.nan),
    }
    found = result.at[0].figures | result.figures
    if truth.any() and not truth.all():
        expected |= {
            "roc_auc": reference.roc_auc_score(truth, some.scores),
            "pr_auc": reference.average_precision_score(truth, some.scores),
            "brier": reference.brier_score_loss(truth, some.scores),
        }
        if verdicts.any() and not verdicts.all():
            expected["mcc"] = reference.matthews_corrcoef(truth, verdicts)
    for name, number in expected.items():
        figure = found[name].value
        assert (np.nan if figure is None else figure) == pytest.approx(number, nan_ok=True), name
