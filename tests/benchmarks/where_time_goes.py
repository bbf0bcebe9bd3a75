"""Where does the time of a scan go, picture by picture?

Scans a folder once to JSON Lines, with a stopwatch around each step, and prints the CPU time that each takes. CPU
time, other than time on the clock, hardly depends on what else the machine does; steps of several threads add up.

    python -m tests.benchmarks.where_time_goes ./xrays [model.onnx]
"""

import functools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from pneumoscan import Scanner, decode, jpeg, scan
from pneumoscan.formats import Format
from pneumoscan.model import Model
from pneumoscan.sinks import FileSink

STEPS: tuple[tuple[str, Any, str], ...] = (
    ("read", decode, "read"),
    ("open: header, signature", decode, "_open"),
    ("parse the JPEG's markers", jpeg, "parse"),
    ("entropy decoding, scaled", jpeg, "load"),
    ("resize", Image.Image, "resize"),
    ("inference", Model, "predict"),
    ("verdict", scan, "verdict"),
    ("write", FileSink, "write"),
)
"""Steps that do not lie within each other, each as a function of a module or class."""


def main() -> None:
    """Measures and prints a table."""
    folder, *model = sys.argv[1:]
    scanner = Scanner(*model, device="cpu")
    list(scanner.scan(folder))  # into the caches of disk and memory
    spent: Counter[str] = Counter()
    for step, owner, name in STEPS:
        setattr(owner, name, timed(getattr(owner, name), step, spent))
    with tempfile.TemporaryDirectory() as place:
        sink = FileSink(Path(place).resolve() / "out.jsonl", Format.JSONL)
        on_cpu, on_clock = time.process_time(), time.perf_counter()
        count = 0
        for record in scanner.scan(folder):
            sink.write(record)
            count += 1
        on_cpu, on_clock = time.process_time() - on_cpu, time.perf_counter() - on_clock
        sink.discard()
    if not count:
        sys.exit(f"no pictures in {folder}")
    table = Table("step", "CPU ms per picture", "share", title=f"{count:,} pictures, {on_clock:.1f} s on the clock")
    for column in table.columns[1:]:
        column.justify = "right"
    spent["all else: walk, batches, threads, records"] = on_cpu - spent.total()
    for step, seconds in [*spent.items(), ("together", on_cpu)]:
        table.add_row(step, f"{seconds * 1000 / count:.3f}", f"{seconds / on_cpu:.1%}")
    Console().print(table)


def timed(function: Any, step: str, spent: Counter[str]) -> Any:
    """The function, adding the CPU seconds that the thread spends in it to `spent[step]`."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **options: Any) -> Any:
        begun = time.thread_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[step] += time.thread_time() - begun

    return wrapper


if __name__ == "__main__":
    main()
