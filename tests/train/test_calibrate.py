from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import softmax

from pneumoscan import metrics
from train import calibrate
from train.calibrate import (
    SUBTYPE_PRECISION,
    TENTHS,
    Calibration,
    fit_calibration,
    fit_calibration_of_folds,
    judge_out_of_fold,
    out_of_fold_figures,
    specificity_at,
)
from train.dataset import SOME_PNEUMONIA


def simulate(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from their softmax at a temperature: what a perfectly calibrated model would see."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 3))
    probabilities = softmax(logits / temperature, axis=1)
    return logits, (probabilities.cumsum(1) > random.random((count, 1))).argmax(1)


def fitted_to(logits: np.ndarray, targets: np.ndarray) -> Calibration:
    return fit_calibration({"plain": logits}, targets)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found(temperature: float) -> None:
    assert fitted_to(*simulate(20_000, temperature)).temperature == pytest.approx(temperature, rel=0.05)


def test_class_offsets_are_found() -> None:
    logits, targets = simulate(20_000, 1.0)
    fitted = fitted_to(logits + np.array([0, 1, -2]), targets)
    assert fitted.offsets == pytest.approx((0, -1, 2), abs=0.1)


def test_calibrated_probabilities_mean_what_they_say() -> None:
    logits, targets = simulate(20_000, 2.0)
    scores = fitted_to(logits, targets).pneumonia(logits)
    for low in np.arange(0, 1, 0.2):
        here = (scores >= low) & (scores < low + 0.2)
        assert (targets[here] > 0).mean() == pytest.approx(scores[here].mean(), abs=0.02)


def test_temperature_and_offsets_are_found_though_half_of_the_kinds_are_in_doubt_and_wrong() -> None:
    logits, targets = simulate(20_000, 2.0)
    doubtful = (targets > 0) & (np.arange(20_000) % 2 == 0)
    fitted = fitted_to(logits + np.array([0, 1, -2]), np.where(doubtful, SOME_PNEUMONIA, targets))
    assert fitted.temperature == pytest.approx(2, rel=0.05)
    assert fitted.offsets == pytest.approx((0, -0.5, 1), abs=0.1)
    swapped = np.where(doubtful, 3 - targets, targets)
    assert fitted_to(logits + np.array([0, 1, -2]), swapped).temperature > 2.5  # were they believed


def test_the_threshold_is_the_highest_that_keeps_the_sensitivity() -> None:
    logits, targets = simulate(5000, 1.0)
    fitted = fitted_to(logits, targets)
    ill = np.sort(fitted.pneumonia(logits)[targets > 0])
    assert (ill >= fitted.threshold).mean() >= 0.96
    assert (ill >= np.nextafter(fitted.threshold, 1)).mean() < 0.96


def test_outside_the_review_band_verdicts_keep_their_coverage_on_new_cases() -> None:
    fitted = fitted_to(*simulate(4000, 1.0))
    logits, targets = simulate(40_000, 1.0, seed=1)
    scores, (low, high) = fitted.pneumonia(logits), fitted.review_band
    assert low <= fitted.threshold <= high
    assert (scores[targets > 0] < low).mean() == pytest.approx(0.02, abs=0.01)
    assert (scores[targets == 0] > high).mean() == pytest.approx(0.02, abs=0.01)


def test_kinds_that_are_scored_at_different_levels_all_keep_their_coverage() -> None:
    logits, targets = simulate(4000, 1.0)
    higher = logits - np.array([2, 0, 0])
    fitted = fit_calibration({"plain": logits, "stressed": higher}, targets)
    low, high = fitted.review_band
    for each in (logits, higher):
        scores = fitted.pneumonia(each)
        assert (scores[targets > 0] < low).mean() <= 0.02
        assert (scores[targets == 0] > high).mean() <= 0.02


def test_too_few_cases_for_the_coverage_have_no_limits_beyond_which_nobody_looks() -> None:
    logits, targets = simulate(5000, 1.0)
    few = np.concatenate([np.flatnonzero(targets == target)[:count] for target, count in ((0, 48), (1, 24), (2, 24))])
    assert fitted_to(logits[few], targets[few]).review_band == (0.0, 1.0)


def test_a_subtype_is_claimed_where_claims_are_right_often_enough() -> None:
    fitted = fitted_to(*simulate(20_000, 3.0))
    logits, targets = simulate(40_000, 3.0, seed=1)
    found = (fitted.pneumonia(logits) >= fitted.threshold) & (targets > 0)
    share = fitted.viral_share(logits)
    assert 0.5 < fitted.subtype_threshold < 1
    for claimed, label in ((share, 2), (1 - share, 1)):
        claims = found & (claimed >= fitted.subtype_threshold)
        assert (targets[claims] == label).mean() == pytest.approx(SUBTYPE_PRECISION, abs=0.05) or claims.mean() > 0.5
        assert (targets[claims] == label).mean() > 0.78


def test_no_subtype_is_claimed_by_a_model_that_cannot_tell() -> None:
    logits, targets = simulate(6000, 1.0)
    targets = np.where(targets > 0, np.random.default_rng(5).integers(1, 3, len(targets)), 0)
    assert fitted_to(logits, targets).subtype_threshold == 1


@pytest.mark.parametrize("vague", [1, 2])
def test_no_subtype_is_claimed_where_only_one_kind_can_be_told(vague: int) -> None:
    targets = np.repeat([0, 1, 2], 400)
    logits = np.eye(3)[targets] * 9.0
    logits[np.flatnonzero(targets == 3 - vague)[:200]] = (
        np.eye(3)[vague] * 9.0
    )  # so that a third of its claims is wrong
    assert fitted_to(logits, targets).subtype_threshold == 1


def test_no_subtype_is_claimed_where_no_label_tells_a_kind_however_sure_the_network_is() -> None:
    logits, targets = simulate(6000, 3.0)
    fitted = fitted_to(logits, np.where(targets > 0, SOME_PNEUMONIA, 0))
    assert fitted.subtype_threshold == 1
    sure = np.array([[-9.0, -99.0, 99.0], [-9.0, 99.0, -99.0]])
    assert fitted.viral_share(sure).tolist() == [1, pytest.approx(0)]
    judged = fitted.judge(sure)
    assert (judged.verdicts.tolist(), judged.subtypes.tolist()) == ([True, True], [0, 0])


@pytest.mark.parametrize(("told", "named"), [(49, False), (50, True)])
def test_no_subtype_is_claimed_on_the_strength_of_a_few_labels(told: int, named: bool) -> None:
    targets = np.repeat([0, 1, 2], 400)
    logits = np.eye(3)[targets] * 9.0
    labels = np.where((targets > 0) & (np.arange(1200) % 400 >= told), SOME_PNEUMONIA, targets)
    assert (fitted_to(logits, labels).subtype_threshold < 1) is named


def test_probabilities_sum_to_one() -> None:
    calibration = Calibration(2.0, (0.0, 1.0, -1.0), 0.5, (0.4, 0.6))
    assert calibration.probabilities(np.eye(3)).sum(1) == pytest.approx(np.ones(3))
    assert calibration.pneumonia(np.zeros((1, 3))) == pytest.approx([1 - softmax([0, 1, -1])[0]])


def test_specificity_at_a_sensitivity() -> None:
    truth = np.array([True] * 10 + [False] * 4)
    scores = np.array([*np.arange(1, 11) / 10, 0.05, 0.15, 0.25, 0.35])
    assert specificity_at(0.9, truth, scores) == 0.5  # the threshold is 0.2
    assert specificity_at(1.0, truth, scores) == 0.25
    for one_class in (truth[:10], truth[10:]):
        assert np.isnan(specificity_at(0.9, one_class, scores[: len(one_class)]))


@pytest.fixture
def no_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many cases need no intervals by resampling, which take minutes."""
    monkeypatch.setattr(metrics, "bootstrap", lambda figure, groups, by_chance=None: metrics.Interval(0, 0, 0))
    monkeypatch.setattr(metrics, "calibration_error_by_chance", lambda scores, groups: 0.0)


def test_the_band_holds_the_threshold_where_classes_lie_far_apart() -> None:
    targets = np.arange(300) % 3
    noise = np.random.default_rng(0).normal(size=(300, 3))
    found = fit_calibration({"plain": np.eye(3)[targets] * 10 + noise}, targets)
    assert found.review_band[0] <= found.threshold <= found.review_band[1]


class TestFigures:
    def figures(self, logits: np.ndarray, targets: np.ndarray) -> dict[str, tuple[float, float, float]]:
        count = len(targets)
        views = {"plain": logits, "stressed": logits}
        return out_of_fold_figures(views, targets, np.arange(count) // 3 % 3, np.arange(count).astype(str))

    def test_tell_of_the_pneumonias_that_are_found_how_many_have_a_subtype(self, no_bootstrap: None) -> None:
        targets = np.arange(3000) % 3
        missed = (targets > 0) & (np.arange(3000) % 100 < 3)
        figures = self.figures(np.eye(3)[np.where(missed, 0, targets)] * 10, targets)
        assert figures["plain_sensitivity"][0] == pytest.approx(0.97, abs=0.01)
        assert figures["plain_subtype_claimed"][0] == 1

    def test_hold_a_probability_of_1_in_the_last_row(self, no_bootstrap: None) -> None:
        targets = np.arange(300) % 3
        figures = self.figures(np.eye(3)[targets] * 1e6, targets)
        assert figures["plain_ill_of_0.9"][0] == 1

    def test_have_an_interval_of_the_calibration_error_that_knows_chance(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def noting(figure: object, groups: np.ndarray, by_chance: float = -1) -> metrics.Interval:
            return metrics.Interval(by_chance, 0, 0)

        monkeypatch.setattr(metrics, "bootstrap", noting)
        monkeypatch.setattr(metrics, "calibration_error_by_chance", lambda scores, groups: len(set(groups)) / 1000)
        targets = np.arange(300) % 3
        figures = self.figures(np.eye(3)[targets] * 5, targets)
        assert {name for name, figure in figures.items() if figure[0] == 0.3} == {
            "plain_calibration_error",
            "stressed_calibration_error",
        }

    def test_have_the_specificity_at_a_sensitivity_of_90_percent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def value(figure: Callable[[np.ndarray], float], groups: np.ndarray, **_: object) -> metrics.Interval:
            return metrics.Interval(figure(np.arange(len(groups))), 0, 0)

        monkeypatch.setattr(metrics, "bootstrap", value)
        targets, number = np.arange(3000) % 3, np.arange(3000) // 3
        ill = np.where(number % 100 < 7, 0.0, 5.0)  # 7 % of them below half of the healthy
        evidence = np.where(targets > 0, ill, np.where(number % 2, -5.0, 2.0))
        views = dict.fromkeys(("plain", "stressed"), np.stack([-evidence, evidence, evidence], 1))
        figures = out_of_fold_figures(views, targets, number % 4, np.arange(3000).astype(str))
        assert figures["plain_specificity_at_sensitivity_90"].value == 1

    def test_of_a_perfect_model_are_perfect(self) -> None:
        targets = np.arange(300) % 3
        found = self.figures(np.eye(3)[targets] * 10, targets)
        for name in ("auc", "specificity", "specificity_at_sensitivity_90", "subtype_auc"):
            assert found[f"plain_{name}"][0] == 1
        assert found["plain_brier"][0] == pytest.approx(0, abs=1e-4)

    def test_of_a_guessing_model_are_those_of_chance(self) -> None:
        random = np.random.default_rng(0)
        found = self.figures(random.normal(size=(3000, 3)), random.integers(0, 3, 3000))
        for name in ("plain_auc", "stressed_subtype_auc"):
            value, low, high = found[name]
            assert value == pytest.approx(0.5, abs=0.04)
            assert 0.02 < high - low < 0.08

    def test_tell_how_many_are_ill_of_those_of_like_probability(self, no_bootstrap: None) -> None:
        logits, targets = simulate(30_000, 1.0)
        found = self.figures(logits, targets)
        for low in TENTHS:
            share, lowest, highest = found[f"plain_ill_of_{low:.1f}"]
            assert share == pytest.approx(low + 0.05, abs=0.03)
            assert highest - lowest < 0.12

    def test_count_every_probability_in_one_tenth(self) -> None:
        edges = np.array([0, 0.0999, 0.1, 0.3, 0.1 + 0.2, 0.7, 0.8, 0.9, 0.9999, 1])
        assert metrics.bins_of(edges, len(TENTHS)).tolist() == [0, 0, 1, 3, 3, 7, 8, 9, 9, 9]

    def test_cover_each_class_by_verdict_and_review_as_promised(self, no_bootstrap: None) -> None:
        logits, targets = simulate(30_000, 1.0)
        found = self.figures(logits, targets)
        assert found["plain_coverage_ill"][0] == pytest.approx(0.98, abs=0.01)
        assert found["plain_coverage_healthy"][0] == pytest.approx(0.98, abs=0.01)

    def test_count_claims_of_a_subtype_and_how_many_are_right(self) -> None:
        targets = np.arange(300) % 3
        found = self.figures(np.eye(3)[targets] * 10, targets)
        for name in ("subtype_claimed", "bacterial_precision", "viral_precision"):
            assert found[f"plain_{name}"][0] == 1

    def test_count_a_subtype_named_for_a_healthy_picture_as_wrong(self) -> None:
        """Of 1,000 of each class the healthy are scored as if every tenth of them were viral."""
        targets = np.arange(3000) % 3
        seen = np.where((targets == 0) & (np.arange(3000) % 30 == 0), 2, targets)
        found = self.figures(np.eye(3)[seen] * 10, targets)
        assert found["plain_viral_precision"][0] == 1000 / 1100
        assert found["plain_bacterial_precision"][0] == 1

    def test_of_kinds_leave_out_those_in_doubt_and_all_others_count_them(self) -> None:
        targets = np.arange(600) % 3
        doubtful = (targets > 0) & (np.arange(600) // 3 % 4 == 0)
        seen = np.where(doubtful, 3 - targets, targets)  # as the other kind than the label says
        believed = self.figures(np.eye(3)[seen] * 10, targets)
        found = self.figures(np.eye(3)[seen] * 10, np.where(doubtful, SOME_PNEUMONIA, targets))
        assert believed["plain_subtype_auc"][0] < 0.8
        for name in ("subtype_auc", "bacterial_precision", "viral_precision"):
            assert found[f"plain_{name}"][0] == 1
        for name in ("auc", "sensitivity", "accuracy", "coverage_ill"):
            assert found[f"plain_{name}"][0] == pytest.approx(believed[f"plain_{name}"][0], abs=1e-3)

    def test_count_a_subtype_named_for_a_healthy_picture_as_wrong_where_kinds_are_in_doubt(self) -> None:
        targets = np.arange(3000) % 3
        seen = np.where((targets == 0) & (np.arange(3000) % 30 == 0), 2, targets)
        doubtful = (targets == 2) & (np.arange(3000) % 2 == 0)
        found = self.figures(np.eye(3)[seen] * 10, np.where(doubtful, SOME_PNEUMONIA, targets))
        assert found["plain_viral_precision"][0] == 500 / 600

    def test_tell_how_well_the_pneumonias_of_each_fold_are_told_apart(self) -> None:
        """The last of three folds has the kinds the wrong way round, and some in doubt; few reach the threshold."""
        targets, folds = np.arange(900) % 3, np.arange(900) // 3 % 3
        seen = np.where((folds == 2) & (targets > 0), 3 - targets, targets)
        logits = np.eye(3)[seen] * 10 + np.where(np.arange(900) // 9 % 2, 20, 0)[:, None] * np.array([1, 0, 0])
        labels = np.where((folds == 2) & (np.arange(900) >= 450) & (targets > 0), SOME_PNEUMONIA, targets)
        found = out_of_fold_figures({"plain": logits}, labels, folds, np.arange(900).astype(str))
        for fold, right in enumerate((1, 1, 0)):
            assert found[f"plain_subtype_auc_fold_{fold}"].value == right
            assert found[f"plain_subtype_accuracy_fold_{fold}"].value == right
        known = [found[f"plain_subtype_accuracy_fold_{fold}"] for fold in (0, 2)]
        assert known[0].high - known[0].low < known[1].high - known[1].low  # of half as many

    def test_of_a_fold_use_no_calibration_of_its_own(self) -> None:
        """One fold's logits are on another scale: a calibration that saw them would save its sensitivity."""
        targets = np.arange(300) % 3
        logits = np.eye(3)[targets] * 10
        shifted = np.where((np.arange(300) % 3 == 0)[:, None], logits + np.array([1000, 0, 0]), logits)
        folds = np.arange(300) % 3
        found = out_of_fold_figures(
            {"plain": shifted, "stressed": shifted}, (np.arange(300) // 3) % 3, folds, np.arange(300).astype(str)
        )
        assert found["plain_sensitivity"][0] < 0.7

    def test_tell_how_many_of_the_wrong_verdicts_are_flagged(self, no_bootstrap: None) -> None:
        """Of each class a fifth lies where the other one is, half of these so far that nobody would look."""
        kinds, targets = np.arange(600) // 3 % 10, np.arange(600) % 3
        lean = np.select([kinds == 0, kinds == 1], [-1.0, -0.02], 1.0) * np.where(targets > 0, 1, -1)
        logits = np.stack([-lean, lean, lean], 1) * 5
        patients, folds = np.arange(600).astype(str), np.arange(600) // 3 % 4
        views = {"plain": logits, "stressed": logits}
        unfamiliar = {"plain": (kinds == 0) & (np.arange(600) % 2 == 0)}
        found = out_of_fold_figures(views, targets, folds, patients)
        flagged = out_of_fold_figures(views, targets, folds, patients, unfamiliar)
        judged = judge_out_of_fold(logits, fit_calibration_of_folds(views, targets, folds), folds)
        wrong = judged.verdicts != (targets > 0)
        for figures, more in ((found, False), (flagged, unfamiliar["plain"])):
            review = ~(judged.below | judged.above) | more
            assert figures["plain_errors_in_review"].value == (review & wrong).sum() / wrong.sum()
        assert wrong.any()

    def test_count_what_is_unfamiliar_among_the_reviewed(self) -> None:
        targets = np.arange(300) % 3
        views, folds = {"plain": np.eye(3)[targets] * 10}, np.arange(300) // 3 % 3
        patients = np.arange(300).astype(str)
        without = out_of_fold_figures(views, targets, folds, patients)
        found = out_of_fold_figures(views, targets, folds, patients, {"plain": np.ones(300, bool)})
        assert without["plain_review"][0] < 1
        assert found["plain_review"][0] == 1
        assert found["plain_sensitivity"] == without["plain_sensitivity"]


def test_the_share_below_a_limit_is_corrected_for_a_finite_number_of_cases() -> None:
    """Of 49 scores and a new one, each has the same chance to be the lowest: 2 %."""
    assert calibrate._lowest(np.arange(1, 50) / 1000) == 0.001
    assert calibrate._lowest(np.arange(1, 101) / 1000) == 0.002
