import numpy as np
import pytest
import torch

from train import fitted
from train import gate as gate_module
from train.alter import ALTERATIONS, mild
from train.gate import REJECTED, UNFAMILIAR, Gate, fit_gate, fit_limits, fit_textures, judge, score
from train.graph import reader, reading_graph
from train.network import Network
from train.stress import STRESS_SEED

WIDTH = 40
RANDOM = np.random.default_rng(0)
MIX = RANDOM.normal(size=(6, WIDTH))


def textures(count: int, seed: int = 1) -> np.ndarray:
    """Points near a plane of six dimensions."""
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, 6)) @ MIX + 0.1 * random.normal(size=(count, WIDTH))).astype(np.float32)


def scores_of(gate: Gate, texture: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return gate(torch.from_numpy(texture)).numpy()


@pytest.fixture(scope="module")
def gate() -> Gate:
    shifts = 5 * MIX
    return fit_textures(textures(600), [textures(200, 2 + kind) + np.float32(shifts[kind]) for kind in range(6)])


class TestAFittedGate:
    def test_scores_a_percent_or_two_of_its_own_kind_above_one(self, gate: Gate) -> None:
        assert 0.002 < (scores_of(gate, textures(2000, 9)) > 1).mean() < 0.05

    def test_scores_what_leaves_the_plane_high(self, gate: Gate) -> None:
        off = textures(200, 9) + np.random.default_rng(3).normal(size=(200, WIDTH)).astype(np.float32)
        assert scores_of(gate, off).min() > 1

    @pytest.mark.parametrize("kind", range(6))
    def test_scores_what_was_altered_high(self, gate: Gate, kind: int) -> None:
        assert (scores_of(gate, textures(200, 30) + np.float32(5 * MIX[kind])) > 1).mean() > 0.95

    def test_scores_a_picture_the_same_in_any_batch(self, gate: Gate) -> None:
        some = textures(20, 9)
        one_by_one = np.concatenate([scores_of(gate, each[None]) for each in some])
        assert scores_of(gate, some) == pytest.approx(one_by_one, rel=1e-4, abs=1e-4)

    def test_survives_a_channel_that_is_always_zero(self) -> None:
        sound, altered = textures(100), [textures(40, 2) + 3] * 6
        for each in (sound, *altered[:1]):
            each[:, 0] = 0
        assert np.isfinite(scores_of(fit_textures(sound, altered), sound)).all()


def test_a_gate_fitted_twice_is_the_same() -> None:
    network = Network(64, pretrained=False, network="lite0-3").eval()
    images = RANDOM.integers(0, 256, (40, 64, 64)).astype(np.uint8)
    read = reader(reading_graph(network, 64))
    first, second = fit_gate(read, images), fit_gate(read, images)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    assert score(first, read(images).texture).shape == (40,)


class TestLimits:
    def test_leave_the_agreed_shares_of_the_kind_that_suffers_most_beyond(self) -> None:
        easy, hard = np.linspace(0, 1, 1001, dtype=np.float32), np.linspace(0, 2, 1001, dtype=np.float32)
        limits = fit_limits({"easy": easy, "hard": hard})
        assert limits == pytest.approx((2 * (1 - REJECTED), 2 * (1 - UNFAMILIAR)))

    def test_leave_no_more_than_the_agreed_shares_beyond_however_few_there_are(self) -> None:
        scores = np.arange(90).astype(np.float32)
        limits = fit_limits({"plain": scores})
        assert (scores > limits.rejected).mean() <= REJECTED
        assert (scores > limits.unfamiliar).mean() <= UNFAMILIAR

    def test_ignore_pictures_that_were_not_scored(self) -> None:
        every = np.linspace(0, 1, 1001, dtype=np.float32)
        gaps = np.where(np.arange(1001) % 2, np.float32(np.nan), every)
        assert fit_limits({"gaps": gaps}) == pytest.approx(fit_limits({"every": every}), abs=0.002)


class TestJudging:
    def test_takes_each_folds_limits_from_the_other_folds(self) -> None:
        folds = np.repeat([0, 1], 500)
        sound = {"plain": np.float32(np.where(folds == 0, 10, 1))}
        flagged, figures = judge(sound, {}, folds)
        assert flagged["plain"][folds == 0].all()
        assert not flagged["plain"][folds == 1].any()
        assert figures["plain_rejected"].value == 0.5
        assert figures["plain_unfamiliar"].value == 0

    def test_counts_only_what_was_scored(self) -> None:
        folds = np.arange(1000) % 2
        sound = {"plain": np.linspace(0, 1, 1000, dtype=np.float32)}
        other = np.full(1000, np.nan, np.float32)
        other[:4] = 5, 5, 5, 0
        figures = judge(sound, {"inverted": other}, folds)[1]
        assert figures["inverted_rejected"].value == 0.75
        assert figures["plain_rejected"].value == pytest.approx(REJECTED, abs=0.002)
        assert figures["plain_unfamiliar"].value == pytest.approx(UNFAMILIAR - REJECTED, abs=0.002)
        assert "inverted_unfamiliar" not in figures


class TestAlteredPictures:
    IMAGES = np.random.default_rng(5).integers(0, 256, (6, 56, 56)).astype(np.uint8)

    @pytest.mark.parametrize("name", ALTERATIONS)
    def test_differ_keep_their_shape_and_repeat(self, name: str) -> None:
        altered = ALTERATIONS[name](self.IMAGES, 7)
        assert (altered.shape, altered.dtype) == (self.IMAGES.shape, np.uint8)
        assert all((a != b).any() for a, b in zip(altered, self.IMAGES, strict=True))
        assert np.array_equal(altered, ALTERATIONS[name](self.IMAGES, 7))

    def test_that_are_shuffled_hold_the_same_pixels(self) -> None:
        shuffled = ALTERATIONS["shuffled"](self.IMAGES, 7)
        assert np.array_equal(np.sort(shuffled.reshape(6, -1)), np.sort(self.IMAGES.reshape(6, -1)))

    def test_that_are_mild_stay_alike_and_repeat(self) -> None:
        y, x = np.mgrid[0:56, 0:56]
        smooth = np.stack([80 + x + y + k for k in range(6)]).astype(np.uint8)
        changed = mild(smooth, 3)
        assert np.array_equal(changed, mild(smooth, 3))
        assert min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(changed, smooth, strict=True)) > 0.8


def test_it_is_measured_on_other_changes_than_those_it_was_fitted_on() -> None:
    assert not {gate_module.SEED, gate_module.SEED + 1, fitted.SEED} & {STRESS_SEED}
