import numpy as np

from train.stress import MASK, stress

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 50, 50)).astype(np.uint8)


def test_the_outer_tenth_is_black() -> None:
    stressed = stress(IMAGES, 40, seed=1)
    border = round(MASK * 40)
    assert stressed.shape == (5, 40, 40)
    assert stressed.dtype == np.uint8
    inside = np.zeros((40, 40), bool)
    inside[border:-border, border:-border] = True
    assert not stressed[:, ~inside].any()
    assert stressed[:, inside].mean() > 50


def test_the_change_of_a_picture_depends_on_its_place_and_the_seed_alone() -> None:
    assert np.array_equal(stress(IMAGES, 40, seed=1)[:3], stress(IMAGES[:3], 40, seed=1))
    assert not np.array_equal(stress(IMAGES, 40, seed=1), stress(IMAGES, 40, seed=2))


def test_exposure_and_crop_vary_from_picture_to_picture() -> None:
    same = np.repeat(IMAGES[:1], 20, 0)
    stressed = stress(same, 40, seed=1)[:, 4:-4, 4:-4]
    assert len({picture.tobytes() for picture in stressed}) == 20
    assert np.ptp(stressed.std((1, 2))) > 5
