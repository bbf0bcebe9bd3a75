import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from tests.tiny_model import write_model
from train.cli import app
from train.errors import AuditError
from train.heat import central_share, measure

Flat = Callable[[str, int], Path]


@given(st.integers(1, 20), st.integers(1, 20))
def test_even_heat_has_its_area_in_the_middle(height: int, width: int) -> None:
    assert central_share(np.full((height, width), 0.3, np.float32)) == pytest.approx(0.64)


def test_a_cell_across_the_edge_counts_by_its_area() -> None:
    heat = np.zeros((5, 7), np.float32)
    heat[2, 0] = 1  # 0 to 1/7 of the width, of which 0.1 to 1/7 is in the middle
    assert central_share(heat) == pytest.approx(0.3)
    heat[2, 0], heat[2, 3] = 0, 1
    assert central_share(heat) == pytest.approx(1)


def test_no_heat_has_no_share() -> None:
    assert np.isnan(central_share(np.zeros((7, 7), np.float32)))


def test_a_model_is_measured_over_what_it_calls_pneumonia(tiny_model: Path, flat: Flat, tmp_path: Path) -> None:
    flat("data/NORMAL/IM-0001-0001.png", 20)
    for number in range(3):
        picture = np.full((8, 8), 255, np.uint8)
        picture[:, :2] = 0  # so that all heat lies right of a quarter
        Image.fromarray(picture).save(tmp_path / "data" / f"person{number}_virus_{number}.png")
    (tmp_path / "data" / "PNEUMONIA").mkdir()
    for path in (tmp_path / "data").glob("person*"):
        path.rename(tmp_path / "data" / "PNEUMONIA" / path.name)
    found = measure(tiny_model, tmp_path / "data")
    expected = 0.8 * (0.9 - 0.25) / 0.75
    assert found.pictures == 3
    assert found.heat == pytest.approx((expected,) * 3)
    assert found.evidence == pytest.approx((expected,) * 3)
    result = CliRunner().invoke(app, ["heat", str(tiny_model), "--data", str(tmp_path / "data")])
    assert re.search(r"heat +0\.693 \(0\.693 to 0\.693\)", result.output)


def test_pictures_of_one_patient_say_nothing_of_others(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "PNEUMONIA").mkdir()
    for number, black in enumerate((1, 2, 3)):
        picture = np.full((8, 8), 255, np.uint8)
        picture[:, :black] = 0
        Image.fromarray(picture).save(tmp_path / "PNEUMONIA" / f"person1_virus_{number}.png")
    found = measure(tiny_model, tmp_path)
    assert (found.pictures, found.heat.low, found.heat.high) == (3, found.heat.value, found.heat.value)


def test_pictures_that_cannot_be_scored_are_counted_and_the_first_named(
    tiny_model: Path, flat: Flat, tmp_path: Path
) -> None:
    flat("data/PNEUMONIA/z.png", 255)
    for number in range(4):
        (tmp_path / "data" / "PNEUMONIA" / f"{number}.png").touch()
    result = CliRunner().invoke(app, ["heat", str(tiny_model), "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert "1 pictures called PNEUMONIA" in result.stdout
    assert "train: 4 pictures could not be scored: " in result.stderr
    assert [f"{number}.png: the file is empty" in result.stderr for number in range(4)] == [True] * 3 + [False]

    (tmp_path / "data" / "PNEUMONIA" / "z.png").unlink()
    with pytest.raises(AuditError, match=r"PNEUMONIA; 4 could not be scored, the first: .*0\.png: the file is empty"):
        measure(tiny_model, tmp_path / "data")


def test_what_cannot_be_measured_is_told(tiny_model: Path, flat: Flat, tmp_path: Path) -> None:
    flat("data/NORMAL/a.png", 20)
    with pytest.raises(AuditError, match=r"calls no picture of .* PNEUMONIA"):
        measure(tiny_model, tmp_path / "data")
    with pytest.raises(AuditError, match="has no heatmaps"):
        measure(write_model(tmp_path / "blind.onnx", has_heatmap=False), tmp_path / "data")
    with pytest.raises(AuditError, match="cannot read"):
        measure(tmp_path / "gone.onnx", tmp_path / "data")
    with pytest.raises(AuditError, match="cannot read"):
        measure(tiny_model, tmp_path / "gone")
