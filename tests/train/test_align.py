import numpy as np
import pytest
from scipy.special import softmax

from train.align import align
from train.calibrate import Calibration

OF_FOLDS = Calibration(1.5, (0.0, -0.4, 0.3), 0.6, (0.5, 0.7), 0.7)


def simulate(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and classes drawn from their calibrated probabilities."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, 3))
    probabilities = OF_FOLDS.probabilities(logits)
    return logits, (probabilities.cumsum(1) > random.random((count, 1))).argmax(1)


def test_a_network_on_another_scale_and_level_is_brought_to_that_of_the_folds() -> None:
    folds = [simulate(4000, seed) for seed in (1, 2)]
    logits, classes = simulate(4000, 3)
    aligned = align(OF_FOLDS, *zip(*folds, strict=True), (logits - np.array([0, 1, -2])) / 2, classes)
    assert aligned.temperature == pytest.approx(0.75, rel=0.08)
    assert aligned.offsets == pytest.approx((0, -0.4 + 1 / 1.5, 0.3 - 2 / 1.5), abs=0.15)


def test_decisions_stay_those_of_the_folds() -> None:
    fold, shipped = simulate(500, 1), simulate(500, 2)
    aligned = align(OF_FOLDS, [fold[0]], [fold[1]], *shipped)
    assert (aligned.threshold, aligned.review_band, aligned.subtype_threshold) == (0.6, (0.5, 0.7), 0.7)


def test_at_the_threshold_the_shipped_network_calls_as_many_ill_as_those_of_the_folds() -> None:
    folds = [simulate(4000, seed) for seed in (1, 2)]
    logits, classes = simulate(4000, 3)
    shipped = logits * 1.7 + np.array([0.8, 0, 0])
    aligned = align(OF_FOLDS, *zip(*folds, strict=True), shipped, classes)
    for ill in (False, True):
        expected = np.mean([(OF_FOLDS.pneumonia(each)[(of > 0) == ill] >= 0.6).mean() for each, of in folds])
        before = (OF_FOLDS.pneumonia(shipped)[(classes > 0) == ill] >= 0.6).mean()
        found = (aligned.pneumonia(shipped)[(classes > 0) == ill] >= 0.6).mean()
        assert found == pytest.approx(expected, abs=0.015)
        assert abs(found - expected) < abs(before - expected)


def test_the_viral_share_is_that_of_the_two_probabilities() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))
    probabilities = softmax(logits / 1.5 + np.array([0, -0.4, 0.3]), axis=1)
    assert OF_FOLDS.viral_share(logits) == pytest.approx(probabilities[:, 2] / probabilities[:, 1:].sum(1))
