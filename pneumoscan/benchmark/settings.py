"""What numbers of workers and batch sizes do to the speed of a scan, measured in this process and drawn.

Needs matplotlib.
"""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from statistics import median
from typing import Any

from pneumoscan.benchmark.rounds import Task
from pneumoscan.limits import available_cores
from pneumoscan.scan import Scanner
from pneumoscan.sources import find_files

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plots need matplotlib: pip install 'pneumoscan[evaluate]'", name=error.name) from error

BATCH_SIZES = (1, 4, 16, 32, 64)
Setting = tuple[str, int]
"""Name and value of an option."""
SHARE = 4
"""Of so many files one is scanned, since there are many settings."""


def worker_counts(cores: int) -> list[int]:
    """Powers of two up to the cores, the cores, and twice as many."""
    return sorted({*(2**power for power in range(cores.bit_length())), cores, 2 * cores})


def try_settings(task: Task, rounds: int, watch: Callable[[Sequence[Setting]], Iterable[Setting]]) -> dict[str, Any]:
    """Scans a share of the files with each setting, in turn forwards and backwards, without the start.

    Args:
        task: of which `prepare` has made the folder `images`.
        rounds: how often.
        watch: passes on all that is to be done, and may show how far that is.

    Returns:
        Images per second, the median over the rounds: under `workers` by their number, with the task's own batch size;
        under `batch_size` by that, with the task's own workers. Numbers are text, as in JSON.
    """
    settings = [("workers", number) for number in worker_counts(available_cores())]
    settings += [("batch_size", number) for number in BATCH_SIZES]
    own = {"workers": task.workers, "batch_size": task.batch_size}
    paths = list(islice(find_files([task.place / "images"]), max(task.images // SHARE, 1)))
    speeds: dict[Setting, list[float]] = {setting: [] for setting in settings}
    turns = [each for number in range(rounds) for each in settings[:: -1 if number % 2 else 1]]
    device = task.device if task.on_cuda else "cpu"  # `auto` would say each time why it is no GPU
    for name, number in watch(turns):
        options: dict[str, Any] = own | {name: number}
        scanner = Scanner(task.model, device=device, **options)
        begun = time.perf_counter()
        deque(scanner.scan(paths, walk=False), maxlen=0)
        speeds[name, number].append(len(paths) / (time.perf_counter() - begun))
    return {
        option: {str(number): median(found) for (name, number), found in speeds.items() if name == option}
        for option in own
    }


def as_picture(tried: dict[str, Any], format: str) -> bytes:
    """Draws two curves of what `try_settings` found.

    Args:
        tried: its result.
        format: `png`, `svg` or `pdf`.
    """
    canvas = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, (option, speeds) in zip(canvas.subplots(1, 2, sharey=True), tried.items(), strict=True):
        axes.plot(list(speeds), list(speeds.values()), marker="o", color="#0072B2")  # numbers as text: even steps
        axes.set_xlabel({"workers": "workers", "batch_size": "pictures per run of the network"}[option])
        axes.set_ylim(0, 1.1 * max(max(each.values()) for each in tried.values()))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    canvas.axes[0].set_ylabel("images/s")
    data = io.BytesIO()
    canvas.savefig(data, format=format, dpi=150)
    return data.getvalue()
