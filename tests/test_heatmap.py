"""What is not grey in a picture is evidence, and no more than that."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pneumoscan.heatmap import COLDEST, HOTTEST, OPACITY, TICKS, blend, colour, enlarge, evidence, layer, smooth_layer

HEATS = arrays(np.float32, (7, 7), elements=st.floats(width=32))
XRAY = np.random.default_rng(0).integers(0, 256, (90, 120)).astype(np.uint8)


def heat(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


class TestEvidence:
    def test_is_the_log_odds_between_even_and_a_million_to_one(self) -> None:
        assert evidence(np.array([COLDEST, HOTTEST])).tolist() == [0, 1]
        assert evidence(np.array(TICKS)) == pytest.approx(np.arange(7) / 6, abs=0.01)

    def test_against_pneumonia_is_none(self) -> None:
        assert evidence(heat([0, 0.2, 0.5])).tolist() == [[0, 0, 0]]

    def test_is_full_where_the_network_is_certain(self) -> None:
        assert evidence(heat([1, 2, np.inf])).tolist() == [[1, 1, 1]]

    def test_that_is_no_number_is_none(self) -> None:
        assert evidence(heat([np.nan, -np.inf])).tolist() == [[0, 0]]

    @given(HEATS)
    def test_lies_between_0_and_1_whatever_a_model_answers(self, heat: np.ndarray) -> None:
        assert ((evidence(heat) >= 0) & (evidence(heat) <= 1)).all()


class TestColours:
    def test_grow_lighter_with_the_evidence_also_in_grey(self) -> None:
        grey = np.asarray(Image.fromarray(colour(np.linspace(0, 1, 64, dtype=np.float32))[None]).convert("L"))
        assert (np.diff(grey[0].astype(int)) >= 0).all()
        assert grey[0, -1] - int(grey[0, 0]) > 180

    def test_are_never_grey(self) -> None:
        colours = colour(np.linspace(0, 1, 256, dtype=np.float32)).astype(int)
        assert (colours.max(1) - colours.min(1)).min() > 100

    def test_are_those_of_plasma(self) -> None:
        mpl = pytest.importorskip("matplotlib")
        at = np.linspace(0, 1, 256, dtype=np.float32)
        plasma = 255 * mpl.colormaps["plasma"](at)[:, :3]
        assert np.abs(colour(at) - plasma).max() < 6


class TestALayer:
    def test_has_a_pixel_for_each_cell_and_is_transparent_where_there_is_no_evidence(self) -> None:
        cells = layer(heat([0, 0.5, 1], [0.9, 0.99, 0.999]))
        assert (cells.shape, cells.dtype) == ((2, 3, 4), np.uint8)
        assert cells[0, :, 3].tolist() == [0, 0, round(255 * OPACITY)]
        assert (np.diff(cells[1, :, 3].astype(int)) > 0).all()

    def test_is_a_tiny_png(self) -> None:
        file = BytesIO()
        Image.fromarray(layer(np.random.default_rng(1).random((7, 7), np.float32))).save(file, "PNG")
        assert len(file.getvalue()) < 400

    def test_enlarged_keeps_its_cells_in_place(self) -> None:
        cells = np.zeros((4, 6), np.float32)
        cells[1, 4] = 1
        smooth = smooth_layer(cells, 600, 200)
        assert (smooth.shape, smooth.dtype) == ((200, 600, 4), np.uint8)
        top, left = np.unravel_index(smooth[..., 3].argmax(), (200, 600))
        assert (top // 50, left // 100) == (1, 4)
        assert not smooth[:, :250, 3].any()

    @given(HEATS, st.integers(1, 40), st.integers(1, 40))
    def test_can_be_of_any_size(self, heat: np.ndarray, width: int, height: int) -> None:
        assert smooth_layer(heat, width, height).shape == (height, width, 4)
        assert (smooth_layer(heat, width, height)[..., 3] <= round(255 * OPACITY)).all()

    def test_of_one_heat_everywhere_is_even(self) -> None:
        assert enlarge(np.full((7, 7), 0.99, np.float32), 50, 30) == pytest.approx(
            np.full((30, 50), evidence(0.99)), abs=1e-6
        )


class TestAPictureUnderItsHeat:
    def test_is_untouched_without_evidence(self) -> None:
        assert (blend(XRAY, np.full((7, 7), 0.4, np.float32)) == XRAY[..., None]).all()

    def test_is_still_to_be_seen_where_it_is_hottest(self) -> None:
        hot = blend(XRAY, np.ones((7, 7), np.float32)).astype(float)
        assert np.corrcoef(hot.mean(-1).ravel(), XRAY.ravel())[0, 1] > 0.99

    def test_keeps_its_size_and_is_coloured_where_it_is_hot(self) -> None:
        half = np.zeros((8, 8), np.float32)
        half[:, 4:] = 1
        picture = blend(XRAY, half)
        assert picture.shape == (90, 120, 3)
        assert (picture[:, :45] == XRAY[:, :45, None]).all()
        assert (picture[:, 75:, 0].astype(int) > picture[:, 75:, 2]).all()
