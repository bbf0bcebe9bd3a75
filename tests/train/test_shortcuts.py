from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from sklearn.model_selection import PredefinedSplit

from pneumoscan import metrics
from train import dataset
from train import shortcuts as shortcuts_module
from train.dataset import Sample
from train.errors import DatasetError
from train.shortcuts import SIDE, read_sizes, shortcuts

SAMPLES = [Sample(Path(f"{number}.png"), number % 3, f"patient{number // 2}") for number in range(240)]
TRUTH = np.array([sample.target > 0 for sample in SAMPLES])
UNKNOWN = np.full((240, 2), np.nan)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "bootstrap", partial(metrics.bootstrap, rounds=20))


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (240, SIDE, SIDE)).astype(np.uint8)


def test_pictures_without_shortcuts_are_told_apart_by_chance_only() -> None:
    sizes = np.random.default_rng(1).uniform(900, 1100, (240, 2))
    for auc, pictures in shortcuts(SAMPLES, noise(), sizes).values():
        assert auc is not None
        assert auc.value == pytest.approx(0.5, abs=0.15)
        assert pictures == 240


def test_a_class_that_is_in_the_frame_is_found_there() -> None:
    pixels = noise()
    pixels[TRUTH, 0] += 55
    found = shortcuts(SAMPLES, pixels, UNKNOWN)
    assert found["frame"].auc is not None
    assert found["frame"].auc.value > 0.9
    assert found["size"] == (None, 0)


def test_a_class_that_is_in_the_strength_of_detail_is_found_there() -> None:
    middle = noise().astype(float)
    middle[TRUTH] = 100 + (middle[TRUTH] - 100) / 2
    found = shortcuts(SAMPLES, middle.astype(np.uint8), UNKNOWN)
    assert found["texture"].auc is not None
    assert found["texture"].auc.value > 0.9


def test_a_class_that_is_in_the_corners_is_found_there() -> None:
    pixels = noise()
    pixels[:, 2:4, 2:4] = np.where(TRUTH, 150, 50)[:, None, None]
    found = shortcuts(SAMPLES, pixels, UNKNOWN)
    assert found["corners"].auc is not None
    assert found["frame"].auc is not None
    assert found["corners"].auc.value > 0.9
    assert found["frame"].auc.value < 0.7


def test_a_class_that_is_in_the_size_is_found_among_pictures_of_known_size() -> None:
    sizes = np.column_stack([np.full(240, 1000.0), np.where(TRUTH, 700.0, 900.0)])
    sizes[200:] = np.nan
    auc, pictures = shortcuts(SAMPLES, noise(), sizes)["size"]
    assert auc == (1, 1, 1)
    assert pictures == 200


def test_a_class_whose_sizes_alone_are_known_has_none() -> None:
    sizes = np.where(TRUTH[:, None], (1000.0, 700.0), np.nan)
    assert shortcuts(SAMPLES, noise(), sizes)["size"] == (None, 160)


def test_are_measured_on_patients_that_they_did_not_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every patient has a size of its own, which tells the class of its other picture and nothing of new patients."""
    patients = np.arange(240) // 2
    samples = [replace(sample, target=int(patient % 3)) for sample, patient in zip(SAMPLES, patients, strict=True)]
    dealt = {}
    real = shortcuts_module.cross_val_predict

    def noted(*arguments: object, cv: PredefinedSplit, **options: object) -> np.ndarray:
        dealt.update(zip(patients, cv.test_fold, strict=True))
        assert all(dealt[patient] == fold for patient, fold in zip(patients, cv.test_fold, strict=True))
        return real(*arguments, cv=cv, **options)

    monkeypatch.setattr(shortcuts_module, "cross_val_predict", noted)
    shortcuts(samples, noise(), UNKNOWN)
    assert len(set(dealt.values())) == 4


def test_intervals_tell_what_other_patients_would_change(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap, drawn = metrics.bootstrap, []

    def noting(figure: Callable[[np.ndarray], float], groups: list[str]) -> metrics.Interval:
        drawn.append(groups)
        return bootstrap(figure, groups)

    monkeypatch.setattr(metrics, "bootstrap", noting)
    shortcuts(SAMPLES, noise(), UNKNOWN)
    assert drawn == [[sample.group for sample in SAMPLES]] * 3  # of the frame, the corners and texture


def test_a_table_does_not_say_which_of_several_files_of_a_name_it_means(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("name,original_width,original_height\n1.png,1200,800\n")
    samples = [replace(SAMPLES[1], path=Path(folder) / "1.png") for folder in "ab"]
    with pytest.raises(DatasetError, match=r"goes by the names of files, but several are called 1\.png"):
        read_sizes(samples, tmp_path / "index.csv")


def test_sizes_are_read_from_a_table_by_name(tmp_path: Path) -> None:
    table = tmp_path / "index.csv"
    table.write_text("name,original_width,original_height\n1.png,1200,800\n2.png,,\n")
    sizes = read_sizes(SAMPLES[:4], table)
    assert sizes[1].tolist() == [1200, 800]
    assert np.isnan(sizes[[0, 2, 3]]).all()


@pytest.mark.parametrize("content", ["name,width\n1.png,3\n", "name,original_width,original_height\n1.png,wide,3\n"])
def test_a_table_of_another_kind_is_told(tmp_path: Path, content: str) -> None:
    table = tmp_path / "index.csv"
    table.write_text(content)
    with pytest.raises(DatasetError, match="cannot be read as a table of name, original_width and original_height"):
        read_sizes(SAMPLES, table)
    with pytest.raises(DatasetError, match="cannot be read as a table"):
        read_sizes(SAMPLES, tmp_path / "none.csv")


def test_sizes_of_files_count_only_where_they_differ(make_dataset: Callable[[int], Path]) -> None:
    samples = dataset.read_samples(make_dataset(1))
    assert np.isnan(read_sizes(samples, None)).all()
    Image.new("L", (60, 50)).save(samples[0].path)
    sizes = read_sizes(samples, None)
    assert sizes[0].tolist() == [60, 50]
    assert (sizes[1:] == 48).all()


def test_sizes_of_files_are_those_of_pictures_as_they_are_displayed(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.new("L", (60, 50)).save(tmp_path / "1.png")
    Image.new("L", (60, 50)).save(tmp_path / "2.jpg", exif=turned)
    samples = [replace(SAMPLES[1], path=tmp_path / name) for name in ("1.png", "2.jpg")]
    assert read_sizes(samples, None).tolist() == [[60, 50], [50, 60]]


def test_intervals_of_what_sizes_give_away_are_of_the_patients_of_known_size(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[str]] = []

    def noting(figure: object, groups: list[str]) -> metrics.Interval:
        drawn.append(list(groups))
        return metrics.Interval(0, 0, 0)

    monkeypatch.setattr(metrics, "bootstrap", noting)
    known = np.arange(len(SAMPLES)) >= 30
    sizes = np.where(known[:, None], 100.0, np.nan) + np.arange(len(SAMPLES))[:, None] % [7, 5]
    shortcuts(SAMPLES, noise(), sizes)
    assert drawn[0] == [sample.group for sample, is_known in zip(SAMPLES, known, strict=True) if is_known]
