"""Does memory stay flat, and time per file constant, in any shape of folder and with nothing left to do?

Unlike `pneumoscan bench --sizes`, which scans real pictures, this scans folders of 1,000 to 100,000 small pictures
(8 pixels wide) with a network that costs nothing, so that what is measured is everything else. All figures are
ratios to the run over 1,000 files.

    python -m tests.benchmarks.many_files
"""

import io
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from rich.console import Console
from rich.table import Table

from pneumoscan.benchmark.process import run_python
from tests.tiny_model import write_model

COUNTS = (1_000, 10_000, 100_000)
SUBFOLDERS = 10


class Cost(NamedTuple):
    """Of one run: seconds, and the largest resident memory in bytes."""

    seconds: float
    memory: int


def main() -> None:
    """Measures and prints a table."""
    table = Table("run", "files", "time per file", "peak memory", "in MiB", title="relative to 1,000 files")
    for column in table.columns[1:]:
        column.justify = "right"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model = write_model(place / "tiny.onnx")
        flat = {count: fill(place / f"flat{count}", count, 1) for count in (1, *COUNTS)}
        deep = {count: fill(place / f"deep{count}", count, SUBFOLDERS) for count in (1, *COUNTS)}
        for title, folders, options in (
            ("to CSV, one folder", flat, ["-o", "out.csv"]),
            ("to JSON Lines, one folder", flat, ["-o", "out.jsonl"]),
            (f"to JSON Lines, {SUBFOLDERS} folders", deep, ["-o", "deep.jsonl"]),
            ("resumed with nothing to do", flat, ["-o", "out.jsonl", "--resume"]),
        ):
            costs = {}
            for count, folder in folders.items():
                outputs = [str(folder.parent / (folder.name + word)) if "." in word else word for word in options]
                command = ["predict", str(folder), "--model", str(model), "-q", "--device", "cpu", *outputs]
                costs[count] = min(run(command) for _ in range(5 if count <= COUNTS[0] else 1))  # short ones vary
            for count in COUNTS:
                table.add_row(title, f"{count:,}", *relative(costs, count))
    Console().print(table)


def fill(folder: Path, count: int, subfolders: int) -> Path:
    """A folder with so many pictures."""
    content = io.BytesIO()
    Image.new("L", (8, 8), 51).save(content, "PNG")
    for number in range(count):
        path = folder / str(number % subfolders) / f"person{number:07}_bacteria_{number * 7919 % 10_007}.png"
        if number < subfolders:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())
    return folder


def run(arguments: list[str]) -> Cost:
    """Runs the program to its end."""
    usage = run_python("-m", "pneumoscan", *arguments)
    return Cost(usage.seconds, usage.peak_bytes or 0)


def relative(costs: dict[int, Cost], count: int) -> tuple[str, str, str]:
    """Time per file beyond that of a run over one, and memory, relative to the fewest files; memory in MiB."""

    def per_file(files: int) -> float:
        return (costs[files].seconds - costs[1].seconds) / (files - 1)

    memory = costs[count].memory
    return (
        f"{per_file(count) / per_file(COUNTS[0]):.2f}",
        f"{memory / costs[COUNTS[0]].memory:.2f}",
        f"{memory / 1024**2:.0f}",
    )


if __name__ == "__main__":
    main()
