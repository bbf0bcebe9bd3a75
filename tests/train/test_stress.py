import numpy as np
import pytest

from train.stress import FRAME, LUNGS, MASK, PROPORTIONS, STRESSES, apply, ring, stress

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


def view(name: str, *images: np.ndarray) -> np.ndarray:
    return apply(name, np.stack(images), len(images[0]), 1, np.arange(len(images)))


def extent(picture: np.ndarray) -> tuple[int, int]:
    """Width and height of what is bright."""
    bright = picture > 127
    return int(bright.any(0).sum()), int(bright.any(1).sum())


class TestEachStress:
    @pytest.mark.parametrize("name", STRESSES)
    def test_depends_on_a_pictures_place_alone_and_has_the_size_asked_for(self, name: str) -> None:
        views = apply(name, IMAGES, 40, 1, np.arange(5))
        assert (views.shape, views.dtype) == ((5, 40, 40), np.uint8)
        assert np.array_equal(apply(name, IMAGES[[4, 1]], 40, 1, np.array([4, 1])), views[[4, 1]])

    @pytest.mark.parametrize("name", set(STRESSES) - {"plain"})
    def test_changes_the_picture(self, name: str) -> None:
        assert not np.array_equal(view(name, *IMAGES), IMAGES)

    @pytest.mark.parametrize(("ratio", "middle"), [(2.0, np.s_[:, 10:30]), (0.5, np.s_[10:30])])
    def test_true_proportions_are_those_of_the_middle_square_of_the_original(
        self, ratio: float, middle: tuple[slice, ...]
    ) -> None:
        image = np.zeros((1, 40, 40), np.uint8)
        image[0][middle] = 255
        restored = apply(PROPORTIONS, image, 40, 1, np.zeros(1, int), np.array([ratio]))[0]
        assert (restored > 127).all()  # all of it bright
        wider = apply(PROPORTIONS, image, 40, 1, np.zeros(1, int), np.array([1.0]))[0]
        assert np.array_equal(wider, image[0])

    def test_plain_is_the_picture_itself(self) -> None:
        assert np.array_equal(view("plain", *IMAGES), IMAGES)

    def test_stressed_is_the_one_that_models_are_calibrated_on(self) -> None:
        assert np.array_equal(apply("stressed", IMAGES, 40, 1, np.arange(5)), stress(IMAGES, 40, seed=1))

    def test_frame_masked_blackens_the_frame_alone(self) -> None:
        frame = ring(50)
        assert frame[: round(FRAME * 50)].all()
        assert frame.sum() == 50**2 - (50 - 2 * round(FRAME * 50)) ** 2
        masked = view("frame masked", *IMAGES)
        assert not masked[:, frame].any()
        assert np.array_equal(masked[:, ~frame], IMAGES[:, ~frame])

    def test_frame_only_tells_nothing_of_the_rest(self) -> None:
        frame = ring(50)
        other = np.where(frame, IMAGES[0], 255 - IMAGES[0])
        for name in ("frame only", "frame only, filled"):
            kept = view(name, IMAGES[0], other)
            assert np.array_equal(kept[0], kept[1])
            assert np.array_equal(kept[0][frame], IMAGES[0][frame])
        assert not view("frame only", IMAGES[0])[0][~frame].any()
        assert set(view("frame only, filled", IMAGES[0])[0][~frame]) == {int(IMAGES[0][frame].mean())}

    def test_lungs_removed_leaves_frame_and_shoulders(self) -> None:
        removed = view("lungs removed", np.full((100, 100), 200, np.uint8))[0]
        left, top, right, bottom = (round(100 * share) for share in LUNGS)
        assert not removed[top:bottom, left:right].any()
        assert (removed == 0).sum() == (bottom - top) * (right - left)

    def test_lungs_removed_tells_nothing_of_them(self) -> None:
        lungs = view("lungs removed", np.full((50, 50), 200, np.uint8))[0] == 0
        other = np.where(lungs, 255 - IMAGES[0], IMAGES[0])
        for name, within in (("lungs removed", 0), ("lungs removed, filled", int(IMAGES[0][~lungs].mean()))):
            kept = view(name, IMAGES[0], other)
            assert np.array_equal(kept[0], kept[1])
            assert np.array_equal(kept[0][~lungs], IMAGES[0][~lungs])
            assert set(kept[0][lungs]) == {within}

    def test_re_cropped_keeps_80_to_95_percent_of_each_side(self) -> None:
        ramp = np.tile(np.linspace(0, 255, 200).astype(np.uint8), (200, 1))
        shares = np.ptp(view("re-cropped", *[ramp] * 30).astype(int), axis=(1, 2)) / 255
        assert 0.78 < shares.min() < 0.85
        assert 0.90 < shares.max() < 0.97

    def test_aspect_makes_things_wider_or_higher(self) -> None:
        square = np.zeros((100, 100), np.uint8)
        square[30:70, 30:70] = 255
        assert extent(view("aspect x 1.25", square)[0]) == (50, 40)
        assert extent(view("aspect x 0.8", square)[0]) == (40, 50)

    @pytest.mark.parametrize("factor", [1.4, 0.6])
    def test_contrast_is_scaled_about_the_mean(self, factor: float) -> None:
        picture = IMAGES[0] // 4 + 90
        changed = view(f"contrast x {factor}", picture)[0]
        assert changed.std() == pytest.approx(picture.std() * factor, rel=0.01)
        assert changed.mean() == pytest.approx(picture.mean(), abs=0.5)

    def test_gamma_brightens_below_one_and_keeps_black_and_white(self) -> None:
        picture = np.array([[0, 100], [200, 255]], np.uint8)
        assert view("gamma 0.7", picture)[0].tolist() == [[0, 132], [215, 255]]
        assert view("gamma 1.4", picture)[0].tolist() == [[0, 69], [181, 255]]

    def test_blurred_has_less_detail_and_the_same_brightness(self) -> None:
        blurred = view("blurred", IMAGES[0])[0]
        assert blurred.std() < IMAGES[0].std() / 4
        assert blurred.mean() == pytest.approx(IMAGES[0].mean(), abs=3)

    @pytest.mark.parametrize("factor", [0.6, 1.6])
    def test_detail_is_scaled_and_what_is_smooth_stays(self, factor: float) -> None:
        y, x = np.mgrid[0:96, 0:96]
        checks = np.where((x + y) % 2, 110, 90).astype(np.uint8) + (x // 2).astype(np.uint8)
        changed = view(f"detail x {factor}", checks)[0]
        inner = slice(12, -12)
        before, after = (np.diff(each[inner, inner].astype(float)).std() for each in (checks, changed))
        assert after / before == pytest.approx(factor, abs=0.06)
        assert changed.mean() == pytest.approx(checks.mean(), abs=1)

    def test_jpeg_quality_30_adds_errors_of_a_few_levels(self) -> None:
        smooth = np.tile(100 + 50 * np.sin(np.arange(96) / 4), (96, 1)).astype(np.uint8)
        errors = np.abs(view("JPEG quality 30", smooth)[0].astype(int) - smooth)
        assert 0 < errors.mean() < 8

    def test_downscaled_loses_what_112_pixels_cannot_show(self) -> None:
        y, x = np.mgrid[0:224, 0:224]
        fine, coarse = ((y // width + x // width) % 2 * 255 for width in (1, 56))
        lost, kept = view("downscaled", fine.astype(np.uint8), coarse.astype(np.uint8))
        assert lost.std() < 1
        assert kept.std() > 120

    def test_rotated_turns_by_ten_degrees_to_either_side(self) -> None:
        bar = np.zeros((101, 101), np.uint8)
        bar[:, 49:52] = 255
        turned = view("rotated", *[bar] * 20)
        tops = {int(picture[10].argmax()) - 50 for picture in turned}
        assert {abs(top) for top in tops} <= {6, 7, 8}  # 40 pixels above the centre, 40 tan 10° aside
        assert min(tops) < 0 < max(tops)

    def test_inverted_makes_black_white(self) -> None:
        assert np.array_equal(view("inverted", *IMAGES), 255 - IMAGES)
