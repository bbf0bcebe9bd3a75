import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pneumoscan import metrics

TRUTH = np.array([False, False, True, True])


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    assert metrics.roc_auc(TRUTH, np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert metrics.roc_auc(TRUTH, np.array([0.1, 0.2, 0.3, 0.4])) == 1
    assert metrics.roc_auc(TRUTH, np.array([0.5, 0.5, 0.5, 0.5])) == 0.5


def test_auc_of_a_single_class_is_not_a_number() -> None:
    assert np.isnan(metrics.roc_auc(np.array([True, True]), np.array([0.1, 0.2])))


@given(
    hnp.arrays(bool, st.integers(2, 40))
    .filter(lambda truth: truth.any() and not truth.all())
    .flatmap(
        lambda truth: st.tuples(
            st.just(truth), hnp.arrays(float, len(truth), elements=st.sampled_from([0.1, 0.2, 0.5, 0.9]))
        )
    )
)
def test_auc_agrees_with_counting_every_pair(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = pair
    ill, healthy = scores[truth][:, None], scores[~truth][None]
    assert metrics.roc_auc(truth, scores) == pytest.approx(((ill > healthy) + 0.5 * (ill == healthy)).mean())


WEIGHTED = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        hnp.arrays(bool, count),
        hnp.arrays(bool, count),
        hnp.arrays(float, count, elements=st.sampled_from([0, 0.1, 0.2, 0.5, 0.9, 1])),
        hnp.arrays(int, count, elements=st.integers(0, 3)).filter(lambda weights: weights.any()),
    )
)


@given(WEIGHTED)
def test_weights_count_a_case_as_often_as_they_say(
    cases: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    truth, positive, scores, weights = cases
    copies = [np.repeat(each, weights) for each in (truth, positive, scores)]
    for figure in (metrics.f1, metrics.matthews):
        assert figure(truth, positive, weights) == pytest.approx(figure(*copies[:2]), nan_ok=True)
    for figure in (metrics.brier, metrics.calibration_error):
        assert figure(truth, scores, weights) == pytest.approx(figure(copies[0], copies[2]))
    ranking, of_copies = metrics.Ranking(truth, scores), metrics.Ranking(copies[0], copies[2])
    assert ranking.roc_auc(weights) == pytest.approx(of_copies.roc_auc(), nan_ok=True)
    assert ranking.average_precision(weights) == pytest.approx(of_copies.average_precision(), nan_ok=True)


def test_a_ranking_of_nothing_has_no_areas() -> None:
    ranking = metrics.Ranking(np.zeros(0, bool), np.zeros(0))
    assert np.isnan(ranking.roc_auc())
    assert np.isnan(ranking.average_precision())


def test_a_ranking_counts_the_classes_at_each_score_from_the_highest_down() -> None:
    ill, healthy = metrics.Ranking(TRUTH, np.array([0.5, 0.1, 0.5, 0.9])).counts(np.array([2, 1, 1, 3]))
    assert (ill.tolist(), healthy.tolist()) == ([3, 1, 0], [0, 2, 1])


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe (Statistics in Medicine 1998), Table I: 81 of 263, method 3.
    assert metrics.wilson(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert metrics.wilson(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)


def test_wilson_without_trials_says_nothing() -> None:
    share, low, high = metrics.wilson(0, 0)
    assert np.isnan(share)
    assert (low, high) == (0, 1)


def test_a_figure_is_written_with_its_interval() -> None:
    assert str(metrics.Interval(0.98765, 0.9, 1)) == "0.988 (0.900 to 1.000)"
    assert str(metrics.Interval(float("nan"), 0, 1)) == "none"


def test_sensitivity_specificity_and_accuracy_count_what_they_say() -> None:
    truth, positive = np.array([True, True, True, False, False]), np.array([True, True, False, False, True])
    assert metrics.sensitivity(truth, positive).value == pytest.approx(2 / 3)
    assert metrics.specificity(truth, positive).value == 0.5
    assert metrics.accuracy(truth, positive).value == 0.6


def test_brier_score() -> None:
    assert metrics.brier(TRUTH, np.array([0, 0.5, 1, 0.5])) == 0.125


def test_calibration_error_is_the_gap_between_score_and_share() -> None:
    scores = np.array([0.8] * 10)
    truth = np.array([True] * 8 + [False] * 2)
    assert metrics.calibration_error(truth, scores) == pytest.approx(0)
    assert metrics.calibration_error(~truth, scores) == pytest.approx(0.6)
    assert metrics.calibration_error(np.array([True]), np.array([1.0])) == 0


class TestTheIntervalOfAnError:
    draws = np.linspace(0.03, 0.07, 1001)  # their interval goes from 0.031 to 0.069

    def test_begins_at_nothing_where_chance_may_have_made_it(self) -> None:
        assert metrics.interval_of(0.03, self.draws, by_chance=0.03) == pytest.approx((0.03, 0, 0.069))

    def test_is_reflected_otherwise_and_ends_at_nothing(self) -> None:
        assert metrics.interval_of(0.05, self.draws, by_chance=0.04) == pytest.approx((0.05, 0.031, 0.069))
        assert metrics.interval_of(0.04, self.draws, by_chance=0.03) == pytest.approx((0.04, 0.011, 0.049))
        assert metrics.interval_of(0.03, self.draws, by_chance=0.02) == pytest.approx((0.03, 0, 0.03))

    def test_is_none_where_resamples_are_all_alike(self) -> None:
        assert metrics.interval_of(0.03, np.full(100, 0.03), by_chance=0.05) == (0.03, 0.03, 0.03)

    def test_holds_the_true_error_in_most_data_sets(self) -> None:
        """Of calibrated scores, 0, and of some that are too low by 0.1 throughout."""
        held = {0.0: 0, 0.1: 0}
        for seed in range(40):
            random = np.random.default_rng(seed)
            scores = random.uniform(0, 0.9, size=200)
            groups = np.arange(200) // 2
            for error in held:
                truth = random.random(100)[groups] < scores + error
                draws = [
                    metrics.calibration_error(truth, scores, weights)
                    for weights in metrics.resamples(groups, rounds=100)
                ]
                by_chance = metrics.calibration_error_by_chance(scores, groups, rounds=100)
                _, low, high = metrics.interval_of(
                    metrics.calibration_error(truth, scores), np.array(draws), by_chance=by_chance
                )
                held[error] += low <= error <= high
        assert min(held.values()) >= 35


def test_patients_of_several_pictures_leave_more_to_chance() -> None:
    scores = np.random.default_rng(0).uniform(size=400)
    alone = metrics.calibration_error_by_chance(scores, np.arange(400), rounds=200)
    assert 0.05 < alone < 0.1
    assert metrics.calibration_error_by_chance(scores, np.arange(400) // 20, rounds=200) > 1.5 * alone


class TestBootstrap:
    values = np.random.default_rng(1).normal(size=400)

    def mean(self, at: np.ndarray) -> float:
        return float(self.values[at].mean())

    def test_gives_the_figure_and_an_interval_of_the_known_width(self) -> None:
        value, low, high = metrics.bootstrap(self.mean, np.arange(400))
        assert value == pytest.approx(self.values.mean())
        assert high - low == pytest.approx(2 * 1.96 * self.values.std() / 20, rel=0.1)

    def test_draws_whole_patients_so_that_copies_add_no_certainty(self) -> None:
        self.values = np.repeat(self.values, 4)
        _, low, high = metrics.bootstrap(self.mean, np.repeat(np.arange(400), 4))
        assert high - low == pytest.approx(2 * 1.96 * self.values.std() / 20, rel=0.1)

    def test_repeats_itself(self) -> None:
        assert metrics.bootstrap(self.mean, np.arange(400)) == metrics.bootstrap(self.mean, np.arange(400))


def test_a_probability_of_1_is_in_the_last_bin_of_the_calibration_error() -> None:
    assert metrics.calibration_error(np.array([False, True]), np.array([1.0, 0.95])) == pytest.approx(0.475)


def test_the_calibration_error_has_as_many_bins_as_texts_say() -> None:
    scores = np.array([0.06, 0.07])  # in different ones of 15 bins, in the same of 10
    assert metrics.calibration_error(np.array([True, False]), scores) == pytest.approx((0.94 + 0.07) / 2)


def test_wilson_never_leaves_0_to_1() -> None:
    for trials in range(1, 100):
        assert metrics.wilson(0, trials).low >= 0
        assert metrics.wilson(trials, trials).high <= 1
    assert str(metrics.wilson(0, 7)) == "0.000 (0.000 to 0.354)"  # -0.000 looks like a mistake


def test_chance_makes_a_calibration_error_larger_than_it_says_once_in_40_times() -> None:
    """Of 100 tosses of a coin, heads are 11 or more from 50 in 3.5 % of cases, 12 or more in 2.1 %."""
    assert metrics.calibration_error_by_chance(np.full(100, 0.5), np.arange(100)) == pytest.approx(0.11)


def test_the_threshold_that_keeps_a_sensitivity_is_the_highest_one() -> None:
    assert metrics.threshold_at(0.9, np.arange(10) / 10) == 0.1  # one of ten may be missed
    assert metrics.threshold_at(0.91, np.arange(10) / 10) == 0
