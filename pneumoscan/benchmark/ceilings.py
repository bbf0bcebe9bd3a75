"""What nobody can avoid, each alone: decoding on all cores, and the network on batches that lie in memory.

    python -m pneumoscan.benchmark.ceilings decode FOLDER SIZE
    python -m pneumoscan.benchmark.ceilings infer FOLDER MODEL DEVICE [BATCH_SIZE]

Each scores or decodes all pictures of the folder, and prints what `naive` does.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np

from pneumoscan import decode
from pneumoscan.limits import available_cores
from pneumoscan.model import Device, Model
from pneumoscan.sources import find_files

IN_MEMORY = 128
"""Different pictures that the network gets again and again."""


def decoding(folder: str, size: str) -> None:
    """Reads, decodes and scales every picture, with a thread for each core, and keeps none."""

    def decode_one(path: str) -> None:
        decode.decode(decode.read(path).data, int(size))

    paths = list(find_files([folder]))
    with ThreadPoolExecutor(available_cores()) as pool:
        _time(len(paths), lambda: pool.map(decode_one, paths))


def inference(folder: str, path: str, device: Device, batch_size: str | None = None) -> None:
    """Scores as many pictures as the folder has, in batches, as the engine would."""
    model = Model(path, device)
    count = sum(1 for _ in find_files([folder]))
    size = int(batch_size) if batch_size else model.batch_size
    few = islice(find_files([folder]), min(count, IN_MEMORY))
    with ThreadPoolExecutor(available_cores()) as pool:
        pictures = list(pool.map(lambda path: decode.decode(decode.read(path).data, model.card.input_size).pixels, few))
    turns = cycle(pictures)
    kept = [np.stack(list(islice(turns, min(size, count)))) for _ in range(max(IN_MEMORY // size, 1))]
    whole, rest = divmod(count, size)
    batches = [*islice(cycle(kept), whole), *([kept[0][:rest]] if rest else [])]
    with ThreadPoolExecutor(model.in_flight) as pool:
        for batch in (batches[0], batches[-1]):  # the first run of each size also reserves memory
            model.predict(batch)
        _time(count, lambda: pool.map(model.predict, batches))


def _time(images: int, work: Callable[[], Iterable[object]]) -> None:
    """Goes through what `work` yields, and tells what that took."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    deque(work(), maxlen=0)
    used = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu_begun}
    print(json.dumps({"images": images, **used}))


if __name__ == "__main__":
    if sys.argv[1] == "decode":
        decoding(*sys.argv[2:])
    else:
        inference(*sys.argv[2:])
