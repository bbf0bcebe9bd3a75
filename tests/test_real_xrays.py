MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
"""The shipped models on real chest X-rays: the demo pictures, and where PNEUMOSCAN_DATA is set, the data set."""
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
import json
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
import shutil
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
import subprocess
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from collections.abc import Callable
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from pathlib import Path
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
import numpy as np
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
import pytest
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from PIL import Image, ImageDraw, ImageFont, ImageOps
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from pneumoscan import Record, Scanner, models
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from pneumoscan.decode import decode
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
from pneumoscan.model import Model
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
Run = Callable[..., subprocess.CompletedProcess[str]]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.fixture(scope="module", params=models.names())
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def model(request: pytest.FixtureRequest) -> str:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    """Name of each shipped model."""
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    name: str = request.param
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return name
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.fixture(scope="module")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def records(model: str, demo_images: list[Path]) -> list[Record]:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return list(Scanner(model, device="cpu").scan(demo_images))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_the_demo_pictures_get_the_right_labels_but_for_as_many_as_the_readme_says(records: list[Record]) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    wrong = [
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        record.path for record in records if record.label != ("NORMAL" if "NORMAL" in record.path else "PNEUMONIA")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    ]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert len(records) == 16
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert len(wrong) <= MOST_WRONG[name], wrong
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_class_probabilities_add_up(records: list[Record]) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for record in records:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert record.p_normal + record.p_bacterial + record.p_viral == pytest.approx(1, abs=2e-6)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert record.probability == pytest.approx(record.p_bacterial + record.p_viral, abs=2e-6)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (1, 8), (7, 1), (7, 8), (16, 8)])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_a_picture_scores_the_same_alone_and_in_any_batch_with_any_workers(
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    model: str, demo_images: list[Path], records: list[Record], batch_size: int, workers: int
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    scanner = Scanner(model, device="cpu", batch_size=batch_size, workers=workers)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    scores = [record.probability for record in scanner.scan(demo_images)]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert scores == pytest.approx([record.probability for record in records], abs=1e-5)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_broken_files_among_good_ones_get_three_codes_and_change_no_score(
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    model: str, demo_images: list[Path], records: list[Record], tmp_path: Path, run: Run
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for path in demo_images:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        shutil.copy(path, tmp_path)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    (tmp_path / "IM-text.jpg").write_text("this is no picture")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    (tmp_path / "NORMAL3-empty.jpg").touch()
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    whole = demo_images[0].read_bytes()
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    (tmp_path / "person-half.jpg").write_bytes(whole[: len(whole) // 2])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    result = run("predict", tmp_path, "--model", model, "--device", "cpu")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    found = {Path(record["path"]).name: record for record in map(json.loads, result.stdout.splitlines())}
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert result.returncode == 1
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert len(found) == 19
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert found["IM-text.jpg"]["error"] == "not_an_image"
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert found["NORMAL3-empty.jpg"]["error"] == "empty_file"
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert found["person-half.jpg"]["error"] == "truncated"
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for record in records:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert found[Path(record.path).name]["probability"] == pytest.approx(record.probability, abs=1e-5)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.99])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_a_real_file_cut_anywhere_gets_no_score(demo_images: list[Path], tmp_path: Path, share: float) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for path in demo_images:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        whole = path.read_bytes()
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        (tmp_path / path.name).write_bytes(whole[: int(len(whole) * share)])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for record in Scanner(device="cpu").scan([tmp_path]):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert (record.status, record.error, record.probability) == ("error", "truncated", None), record.path
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_scaled_decoding_is_as_good_as_full_decoding(demo_images: list[Path]) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for path in demo_images:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        data = path.read_bytes()
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        scaled, full = decode(data, 224).pixels.astype(float), _full(data).astype(float)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert np.abs(scaled - full).mean() < 1.5, path.name
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_scaled_and_full_decoding_get_the_same_labels(dataset: Path) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    model = Model(device="cpu")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    size = model.card.input_size
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    originals = [path.read_bytes() for path in sorted((dataset / "originals").rglob("*.jpeg"))]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    scaled, full = (
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        np.concatenate([model.predict(pixels[None]).probabilities[:, 1:].sum(axis=1) for pixels in pictures])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        for pictures in ((decode(data, size).pixels for data in originals), (_full(data, size) for data in originals))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    )
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert len(scaled) == 320
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    threshold = model.card.threshold
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert np.mean((scaled >= threshold) == (full >= threshold)) >= 0.995
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert np.abs(scaled - full).mean() <= 0.005
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _full(data: bytes, size: int = 224) -> np.ndarray:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return np.asarray(Image.fromarray(decode(data).pixels).resize((size, size), Image.Resampling.BILINEAR))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_an_original_and_its_small_copy_agree(model: str, dataset: Path) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    originals = sorted((dataset / "originals").rglob("*.jpeg"))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    copies = [dataset / "chest_xray_224" / "train" / path.parent.name / path.name for path in originals]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    scanner = Scanner(model, device="cpu")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    of_originals, of_copies = list(scanner.scan(originals)), list(scanner.scan(copies))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert len(of_originals) == 320
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    same = np.mean([a.label == b.label for a, b in zip(of_originals, of_copies, strict=True)])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    difference = np.mean([abs(a.probability - b.probability) for a, b in zip(of_originals, of_copies, strict=True)])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    print(f"same label {same:.4f}, mean difference {difference:.4f}")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert same >= 0.97
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert difference <= 0.025
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_of_the_originals_two_percent_at_most_are_rejected(model: str, dataset: Path) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    originals = sorted((dataset / "originals").rglob("*.jpeg"))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    statuses = [record.status for record in Scanner(model, device="cpu").scan(originals)]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert set(statuses) <= {"ok", "rejected"}
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert statuses.count("rejected") <= 0.02 * 320
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_no_demo_picture_is_rejected(records: list[Record]) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert {record.status for record in records} == {"ok"}
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _page(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    page = Image.new("L", (850, 1100), 245)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    draw = ImageDraw.Draw(page)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    font = ImageFont.load_default(int(random.integers(12, 30)))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for y in range(40, 1060, 40):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        words = random.choice(["the", "patient", "report", "chest", "result", "normal", "acute", "findings"], 9)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw.text((60, y), " ".join(words), font=font, fill=20)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return page
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _table(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    table = Image.new("L", (900, 700), 235)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    draw = ImageDraw.Draw(table)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for place in range(0, 900, 90):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw.line([(place, 0), (place, 700)], fill=80, width=2)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw.line([(0, place), (900, place)], fill=80, width=2)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for x in range(0, 900, 90):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        for y in range(0, 700, 45):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
            draw.text((x + 8, y + 8), f"{random.uniform(0, 999):.1f}", fill=10)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return table
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _window(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    screen = Image.new("L", (1280, 800), int(random.integers(40, 200)))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    draw = ImageDraw.Draw(screen)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for _ in range(3):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        left, top = int(random.integers(0, 700)), int(random.integers(0, 400))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw.rectangle([left, top, left + 500, top + 350], fill=250, outline=0)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw.rectangle([left, top, left + 500, top + 30], fill=90)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        for line in range(9):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
            draw.text((left + 15, top + 45 + 30 * line), "File Edit View Help", fill=10)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return screen
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _noise(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return Image.fromarray(random.integers(0, 256, (300, 300)).astype(np.uint8))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _flat(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return Image.new("L", (300, 300), int(random.integers(0, 256)))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def _gradient(random: np.random.Generator) -> Image.Image:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    low, high = sorted(random.integers(0, 256, 2))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    return Image.fromarray(np.linspace(low, high, 300 * 300).reshape(300, 300).astype(np.uint8))
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.mark.parametrize("draw", [_page, _table, _window, _noise, _flat, _gradient])
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_what_is_no_photograph_at_all_is_rejected(
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    model: str, tmp_path: Path, draw: Callable[[np.random.Generator], Image.Image]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    random = np.random.default_rng(0)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for number in range(10):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        draw(random).save(tmp_path / f"{number}.png")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for record in Scanner(model, device="cpu").scan([tmp_path]):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert (record.status, record.error) == ("rejected", "not_a_chest_xray"), (record.path, record.outlier_score)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert (record.label, record.probability) == (None, None)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_photographs_of_scikit_image_are_rejected(model: str) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    data = Path(pytest.importorskip("skimage").__file__).parent / "data"
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    names = (
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "astronaut",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "brick",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "camera",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "cell",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "chelsea",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "coffee",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "coins",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "grass",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "gravel",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "ihc",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "page",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        "text",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    )
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    photographs = [path for name in names if (path := data / f"{name}.png").exists()]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert photographs
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for record in Scanner(model, device="cpu").scan(photographs):
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        assert record.status == "rejected", (record.path, record.outlier_score)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast

MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
@pytest.mark.parametrize(
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    "change",
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    [
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        ImageOps.flip,
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        ImageOps.invert,
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        lambda picture: picture.transpose(Image.Transpose.ROTATE_270),
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    ],
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    ids=["upside down", "inverted", "turned left", "turned right"],
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
)
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
def test_a_chest_xray_that_is_not_as_it_should_be_is_rejected(
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    model: str, demo_images: list[Path], tmp_path: Path, change: Callable[[Image.Image], Image.Image]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
) -> None:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    for path in demo_images:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
        with Image.open(path) as picture:
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
            change(picture.convert("L")).save(tmp_path / f"{path.stem}.png")
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    statuses = [record.status for record in Scanner(model, device="cpu").scan([tmp_path])]
MOST_WRONG = {"accurate": 1, "fast": 6}  # of 16; the README tells it of fast
    assert statuses.count("rejected") >= 15
