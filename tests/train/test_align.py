from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from train.align import align, align_shipped
from train.calibrate import Calibration
from train.dataset import SOME_PNEUMONIA
from train.graph import Read, Seen

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


def test_labels_of_which_a_network_has_seen_none_are_not_compared() -> None:
    """All pneumonias of unknown kind are held out by the second fold's network."""
    folds = [simulate(4000, seed) for seed in (1, 2)]
    logits, classes = simulate(4000, 3)
    few = np.arange(4000) < 5
    labels = [np.where(few, SOME_PNEUMONIA, folds[0][1]), folds[1][1]]
    of_folds = [each for each, _ in folds]
    shipped = (logits - np.array([0, 1, -2])) / 2
    aligned = align(OF_FOLDS, of_folds, labels, shipped, np.where(few, SOME_PNEUMONIA, classes))
    assert aligned.temperature == pytest.approx(0.75, rel=0.08)
    assert aligned.offsets == pytest.approx((0, -0.4 + 1 / 1.5, 0.3 - 2 / 1.5), abs=0.15)


class TestTheShippedNetwork:
    TARGETS = np.where(np.arange(240) < 3, 2, np.arange(240) % 2)
    FOLDS = np.arange(240) % 4

    @pytest.fixture
    def compared(self, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
        """Pictures by which it is compared: of each fold's network, and last its own. Each is its own place."""
        pixels = np.broadcast_to(np.arange(240, dtype=np.uint8)[:, None, None], (240, 32, 32)).copy()

        def reader(part: str) -> Read:
            return lambda images: Seen(np.repeat(images[:, :1, 0], 3, 1).astype(np.float32), np.zeros(0, np.float32))

        monkeypatch.setattr("train.align.PICTURES", 40)
        monkeypatch.setattr("train.align.OF_CLASS", 10)
        found: list[np.ndarray] = []

        def noting(_: Calibration, of_folds: list[np.ndarray], classes: list[np.ndarray], *shipped: np.ndarray) -> None:
            for logits, each in zip([*of_folds, shipped[0]], [*classes, shipped[1]], strict=True):
                places = logits[: len(logits) // 2, 0].astype(int)  # the first half is plain
                assert np.array_equal(each, np.tile(self.TARGETS[places], 2))
                found.append(places)

        monkeypatch.setattr("train.align.align", noting)
        fit = SimpleNamespace(
            pixels=pixels,
            size=32,
            folds=self.FOLDS,
            labels=self.TARGETS,
            reader=reader,
            trained_on=lambda part: np.flatnonzero([f"fold{fold}" != part for fold in self.FOLDS]),
        )
        align_shipped(OF_FOLDS, fit)  # type: ignore[arg-type]
        return found

    def test_is_compared_with_those_of_the_folds_on_pictures_that_each_was_trained_on(
        self, compared: list[np.ndarray]
    ) -> None:
        *of_folds, of_all = compared
        for fold, places in enumerate(of_folds):
            assert set(places) == set(of_all[self.FOLDS[of_all] != fold])

    def test_is_compared_on_enough_of_a_rare_class(self, compared: list[np.ndarray]) -> None:
        assert set(compared[-1]) >= {0, 1, 2}
        assert 40 <= len(compared[-1]) <= 43


def test_the_viral_share_is_that_of_the_two_probabilities() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 3))
    probabilities = softmax(logits / 1.5 + np.array([0, -0.4, 0.3]), axis=1)
    assert OF_FOLDS.viral_share(logits) == pytest.approx(probabilities[:, 2] / probabilities[:, 1:].sum(1))
