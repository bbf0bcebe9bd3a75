"""Texture: how fine and how strong detail is, which must not give the class away."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from train.texture import balance_texture, describe_texture, find_soft

RANDOM = np.random.default_rng(0)


def pictures(strengths: np.ndarray) -> np.ndarray:
    """Noise of one brightness and of the strengths given, uint8 [N, 40, 40]."""
    noise = np.random.default_rng(1).normal(0, 1, (len(strengths), 40, 40))
    return (120 + noise * strengths[:, None, None]).clip(0, 255).astype(np.uint8)


def test_stronger_detail_is_described_as_stronger_and_its_brightness_as_the_same() -> None:
    weak, strong = describe_texture(pictures(np.array([5.0, 20.0])))
    assert strong[0] - weak[0] == pytest.approx(np.log(4), abs=0.1)
    assert strong[1] - weak[1] == pytest.approx(np.log(4), abs=0.1)
    assert strong[2] == pytest.approx(weak[2], abs=1)


def test_blur_takes_more_of_the_fine_detail_than_of_the_coarse() -> None:
    picture = pictures(np.array([20.0]))[0]
    sharp, soft = describe_texture(np.stack([picture, gaussian_filter(picture, 1)]))
    fine, coarse = (sharp - soft)[:2]
    assert fine > coarse > 0


def test_flat_pictures_and_what_lies_in_the_frame_alone_have_no_detail() -> None:
    framed = np.full((1, 40, 40), 90, np.uint8)
    framed[:, :3] = 255
    flat = np.full((1, 40, 40), 90, np.uint8)
    assert np.array_equal(describe_texture(framed), describe_texture(flat))
    assert np.isfinite(describe_texture(flat)).all()


def test_the_soft_among_the_sharp_and_the_sharp_among_the_soft_count_more() -> None:
    ill = np.arange(400) % 2 > 0
    strengths = np.where(ill, RANDOM.uniform(4, 16, 400), RANDOM.uniform(8, 32, 400))
    weights = balance_texture(pictures(strengths), ill)
    assert weights[ill].mean() == pytest.approx(1)
    assert weights[~ill].mean() == pytest.approx(1)
    assert weights[~ill & (strengths < 12)].mean() > 1.2 * weights[~ill & (strengths > 24)].mean()
    assert weights[ill & (strengths > 12)].mean() > 1.2 * weights[ill & (strengths < 8)].mean()


def test_under_the_weights_texture_differs_less_between_the_classes() -> None:
    ill = np.arange(400) % 2 > 0
    images = pictures(np.where(ill, RANDOM.uniform(4, 16, 400), RANDOM.uniform(8, 32, 400)))
    fine, weights = describe_texture(images)[:, 0], balance_texture(images, ill)
    before = fine[~ill].mean() - fine[ill].mean()
    after = np.average(fine[~ill], weights=weights[~ill]) - np.average(fine[ill], weights=weights[ill])
    assert 0 <= after < 0.6 * before


def test_no_picture_outweighs_all_others_even_where_texture_tells_everything() -> None:
    ill = np.arange(200) % 2 > 0
    strengths = np.where(ill, 5.0, 30.0)
    strengths[0] = 5.0  # a normal picture like every pneumonia
    weights = balance_texture(pictures(strengths), ill)
    assert weights.max() < 30
    assert weights.min() > 0


def test_soft_normal_pictures_are_those_whose_coarse_detail_is_as_weak_as_that_of_pneumonias() -> None:
    random, number = np.random.default_rng(0), np.arange(60)
    ill, odd = number < 30, number >= 45  # the odd: normal, of weak coarse and strong fine detail
    fine = random.normal(0, 1, (60, 40, 40))
    coarse = np.stack([gaussian_filter(random.normal(0, 1, (40, 40)), 2) for _ in number])
    coarse /= coarse.std((1, 2), keepdims=True)
    strengths = np.where(odd, 3, np.where(ill, 8, 30)), np.where(odd, 6, 2)
    images = 120 + sum(each[:, None, None] * noise for each, noise in zip(strengths, (coarse, fine), strict=True))
    assert np.array_equal(find_soft(images.clip(0, 255).astype(np.uint8), ill), odd)
