"""The shipped models on real chest X-rays: the demo pictures, and where PNEUMOSCAN_DATA is set, the data set."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pneumoscan import Record, Scanner, models
from pneumoscan.decode import decode
from pneumoscan.model import Model, Prediction
from tests import foreign_pictures

MOST_WRONG = {"accurate": 0, "fast": 1}
"""Of the 16 demo pictures; the README says so."""
LEAST_AGREEMENT = {"accurate": (0.97, 0.025), "fast": (0.98, 0.02)}
"""Share of the originals with the label of their small copy, and mean difference in probability."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module", params=models.names())
def model(request: pytest.FixtureRequest) -> str:
    """Name of each shipped model."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def records(model: str, demo_images: list[Path]) -> list[Record]:
    return list(Scanner(model, device="cpu").scan(demo_images))


def test_the_demo_pictures_get_the_right_labels_but_for_as_many_as_the_readme_says(
    model: str, records: list[Record]
) -> None:
    wrong = [
        record.path for record in records if record.label != ("NORMAL" if "NORMAL" in record.path else "PNEUMONIA")
    ]
    assert len(records) == 16
    assert len(wrong) <= MOST_WRONG[model], wrong


def test_class_probabilities_add_up(records: list[Record]) -> None:
    for record in records:
        assert record.p_normal + record.p_bacterial + record.p_viral == pytest.approx(1, abs=2e-6)
        assert record.probability == pytest.approx(record.p_bacterial + record.p_viral, abs=2e-6)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (1, 8), (2, 1), (3, 1), (7, 1), (7, 8), (16, 8)])
def test_a_picture_gets_the_same_record_to_the_last_digit_alone_and_in_any_batch_with_any_workers(
    model: str, demo_images: list[Path], records: list[Record], batch_size: int, workers: int
) -> None:
    scanner = Scanner(model, device="cpu", batch_size=batch_size, workers=workers)
    assert list(scanner.scan(demo_images)) == records


def test_a_picture_keeps_its_record_to_the_last_digit_when_its_batch_fails(
    model: str, demo_images: list[Path], records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = Scanner(model, device="cpu", batch_size=6)
    predict = scanner.model.predict

    def failing(images: np.ndarray, **options: bool) -> Prediction:
        if len(images) > 3:
            raise RuntimeError("no memory")
        return predict(images, **options)

    monkeypatch.setattr(scanner.model, "predict", failing)
    assert list(scanner.scan(demo_images)) == records


def test_broken_files_among_good_ones_get_three_codes_and_change_no_score(
    model: str, demo_images: list[Path], records: list[Record], tmp_path: Path, run: Run
) -> None:
    for path in demo_images:
        shutil.copy(path, tmp_path)
    (tmp_path / "IM-text.jpg").write_text("this is no picture")
    (tmp_path / "NORMAL3-empty.jpg").touch()
    whole = demo_images[0].read_bytes()
    (tmp_path / "person-half.jpg").write_bytes(whole[: len(whole) // 2])
    result = run("predict", tmp_path, "--model", model, "--device", "cpu")
    found = {Path(record["path"]).name: record for record in map(json.loads, result.stdout.splitlines())}
    assert result.returncode == 1
    assert len(found) == 19
    assert found["IM-text.jpg"]["error"] == "not_an_image"
    assert found["NORMAL3-empty.jpg"]["error"] == "empty_file"
    assert found["person-half.jpg"]["error"] == "truncated"
    for record in records:
        assert found[Path(record.path).name]["probability"] == pytest.approx(record.probability, abs=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_real_file_cut_anywhere_gets_no_score(demo_images: list[Path], tmp_path: Path, share: float) -> None:
    for path in demo_images:
        whole = path.read_bytes()
        (tmp_path / path.name).write_bytes(whole[: int(len(whole) * share)])
    records = list(Scanner(device="cpu").scan([tmp_path]))
    assert len(records) == 16
    for record in records:
        assert (record.status, record.error, record.probability) == ("error", "truncated", None), record.path


def test_scaled_decoding_is_as_good_as_full_decoding(demo_images: list[Path]) -> None:
    for path in demo_images:
        data = path.read_bytes()
        scaled, full = decode(data, 224).pixels.astype(float), _full(data).astype(float)
        assert np.abs(scaled - full).mean() < 1.5, path.name


def test_scaled_and_full_decoding_get_the_same_labels(dataset: Path) -> None:
    model = Model(device="cpu")
    size = model.card.input_size
    originals = [path.read_bytes() for path in sorted((dataset / "originals").rglob("*.jpeg"))]
    scaled, full = (
        np.concatenate([model.predict(pixels[None]).probabilities[:, 1:].sum(axis=1) for pixels in pictures])
        for pictures in ((decode(data, size).pixels for data in originals), (_full(data, size) for data in originals))
    )
    assert len(scaled) == 320
    threshold = model.card.threshold
    assert np.mean((scaled >= threshold) == (full >= threshold)) >= 0.995
    assert np.abs(scaled - full).mean() <= 0.005


def _full(data: bytes, size: int = 224) -> np.ndarray:
    return np.asarray(Image.fromarray(decode(data).pixels).resize((size, size), Image.Resampling.BILINEAR))


def test_an_original_and_its_small_copy_agree(model: str, dataset: Path) -> None:
    originals = sorted((dataset / "originals").rglob("*.jpeg"))
    copies = [dataset / "chest_xray_224" / "train" / path.parent.name / path.name for path in originals]
    scanner = Scanner(model, device="cpu")
    pairs = [
        (a, b)
        for a, b in zip(scanner.scan(originals), Scanner(model, device="cpu").scan(copies), strict=True)
        if a.probability is not None and b.probability is not None
    ]
    assert len(originals) == 320
    assert len(pairs) >= 0.98 * 320
    same = np.mean([a.label == b.label for a, b in pairs])
    difference = np.mean([abs(a.probability - b.probability) for a, b in pairs])
    print(f"same label {same:.4f}, mean difference {difference:.4f}")
    least, most = LEAST_AGREEMENT[model]
    assert same >= least
    assert difference <= most


def test_of_the_originals_two_percent_at_most_are_rejected(model: str, dataset: Path) -> None:
    originals = sorted((dataset / "originals").rglob("*.jpeg"))
    statuses = [record.status for record in Scanner(model, device="cpu").scan(originals)]
    assert set(statuses) <= {"ok", "rejected"}
    assert statuses.count("rejected") <= 0.02 * 320


def test_no_demo_picture_is_rejected(records: list[Record]) -> None:
    assert {record.status for record in records} == {"ok"}


@pytest.mark.parametrize("kind", foreign_pictures.KINDS)
def test_what_is_no_photograph_at_all_is_rejected(model: str, tmp_path: Path, kind: str) -> None:
    foreign_pictures.draw(kind, tmp_path, 10)
    assert_rejected(model, tmp_path, 10)


@pytest.mark.parametrize(("package", "pictures"), [("scikit-image", 26), ("mahotas", 6)])
def test_photographs_that_packages_ship_are_rejected(model: str, package: str, pictures: int) -> None:
    assert_rejected(model, foreign_pictures.fetch(package), pictures)


def assert_rejected(model: str, folder: Path, pictures: int) -> None:
    records = list(Scanner(model, device="cpu").scan([folder]))
    assert len(records) == pictures
    for record in records:
        assert (record.status, record.error) == ("rejected", "not_a_chest_xray"), (record.path, record.outlier_score)
        assert (record.label, record.probability) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        ImageOps.flip,
        ImageOps.invert,
        lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
        lambda picture: picture.transpose(Image.Transpose.ROTATE_270),
    ],
    ids=["upside down", "inverted", "turned left", "turned right"],
)
def test_a_chest_xray_that_is_not_as_it_should_be_is_rejected(
    model: str, demo_images: list[Path], tmp_path: Path, change: Callable[[Image.Image], Image.Image]
) -> None:
    for path in demo_images:
        with Image.open(path) as picture:
            change(picture.convert("L")).save(tmp_path / f"{path.stem}.png", compress_level=0)
    statuses = [record.status for record in Scanner(model, device="cpu").scan([tmp_path])]
    assert statuses.count("rejected") >= 15
