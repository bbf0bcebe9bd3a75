"""The engine: workers that decode and judge batches, records in order. Knows nothing of command line and formats.

Each worker takes a batch all the way, from files to records, so that nothing but paths and records passes between
threads, and no core waits for another. On a CPU the network, too, runs on the worker's core alone.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from threading import Event, Lock, Semaphore
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pneumoscan import decode, runtime
from pneumoscan.decode import DecodeError, Picture
from pneumoscan.limits import available_cores
from pneumoscan.model import Device, Model
from pneumoscan.pool import pool_of
from pneumoscan.records import ErrorCode, Record, Status, timestamp
from pneumoscan.sources import NOTHING_YET, as_text, find_files
from pneumoscan.verdict import Score, verdict

BATCHES_AHEAD = 2
"""Batches that wait for each worker: what it can do while the next record in order takes its time elsewhere."""

LARGE_FILE = 32 * 1024**2
"""Bytes beyond which files are read one at a time. Radiographs have a few megabytes at most."""

log = logging.getLogger(__name__)

T = TypeVar("T")
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


class Input(NamedTuple):
    """A file that was read and decoded, or failed to be: size in bytes and modification time where they are known."""

    path: str
    result: Picture | DecodeError
    bytes: int | None = None
    modified: str | None = None


class Seen(NamedTuple):
    """A record with what it rests on.

    Attributes:
        record: as `Scanner.scan` yields it.
        pixels: uint8 [S, S], grey, what the network looked at; None where the file could not be decoded.
        heatmap: float32 [h, w], 0 to 1, class activation for pneumonia in coarse cells over `pixels`, of rejected
            pictures too; None where the network gave no answer, or has no heatmaps.
    """

    record: Record
    pixels: NDArray[np.uint8] | None
    heatmap: NDArray[np.float32] | None


class Scanner:
    """Scores chest X-rays. One scanner may scan many times, one scan at a time.

    >>> for record in Scanner(device="cpu").scan(["./xrays"]):  # doctest: +SKIP
    ...     print(record.path, record.label, record.probability)

    Attributes:
        model: the loaded model.
        threshold: probability at and above which the label is PNEUMONIA, 0 to 1.
        max_pixels: larger pictures become `too_large` errors.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        device: Device = "auto",
        threshold: float | None = None,
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int = decode.MAX_PIXELS,
    ) -> None:
        """Loads the model.

        Args:
            model: name of a shipped model, or path of an ONNX file of the contract (see `models.find`); None for the
                default.
            device: `auto`, `cpu`, `cuda`, or GPUs by number, `cuda:1`, `cuda:0,1` or `cuda:all`; see `Model`.
            threshold: instead of the model card's.
            batch_size: pictures per run of the network, which on a CPU is filled up to a multiple of 4. Unless given,
                what suits the device, or fewer while a worker would have nothing to do; then a list of paths that comes
                slowly is answered as it comes.
            workers: threads, each of which decodes and, on a CPU, runs the network; as many as there are cores unless
                given.
            max_pixels: larger pictures become `too_large` errors.

        Raises:
            ModelError: the model cannot be loaded, or is damaged.
            DeviceError: the device cannot run it.
            ValueError: a number out of its range.
        """
        if any(number is not None and number < 1 for number in (batch_size, workers, max_pixels)):
            raise ValueError("batch_size, workers and max_pixels must be at least 1")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError("threshold must lie between 0 and 1")
        self.model = Model(model, device)
        self.model.check()
        self._threshold = self.model.card.threshold if threshold is None else threshold
        self._batch_size = self._largest_batch = batch_size or self.model.batch_size
        self._may_be_smaller = batch_size is None
        self._workers = workers or available_cores()
        self._network = Semaphore(self.model.in_flight)
        self.max_pixels = max_pixels
        self._large_file = Lock()  # whatever the number of threads, one holds one at a time
        card = self.model.card
        self._new_record = partial(
            Record, model=f"{card.name}-{card.version}", model_sha256=self.model.sha256, threshold=self._threshold
        )

    @property
    def threshold(self) -> float:
        """Probability from which on the label is PNEUMONIA."""
        return self._threshold

    def scan(self, paths: Paths, *, walk: bool = True) -> Generator[Record]:
        """Yields one record for each input (a single path will do), in the order of discovery, as batches finish.

        Files and directories are read while the iteration runs, a bounded number ahead. Whatever is wrong with an
        input is reported in its record; it stops nothing and changes no other input's score.

        Args:
            paths: files and directories, and `sources.NOTHING_YET` where what is finished is to be yielded before the
                next of them is asked for.
            walk: whether directories are walked; otherwise each path is a file.
        """
        return self._run(paths, walk, self._judge)

    def scan_pictures(self, paths: Paths, *, walk: bool = True) -> Generator[Seen]:
        """Scans as `scan` does, the same records in the same order, and yields with each what the model saw and where
        it found its evidence. The network runs once. What has been yielded is not kept.
        """
        return self._run(paths, walk, self._see)

    def _run(self, paths: Paths, walk: bool, judge: Callable[[list[Input]], list[T]]) -> Generator[T]:
        """Yields what `judge` makes of the inputs, in order."""
        if isinstance(paths, str | bytes | os.PathLike):  # bytes are refused, one by one
            paths = [paths]
        stopped = Event()
        under_way: deque[Future[list[T]]] = deque()
        most = self._workers * (1 + BATCHES_AHEAD)
        batch: list[str] = []
        with pool_of(self._workers, "scan") as pool:
            try:
                for path in find_files(paths) if walk else map(as_text, paths):
                    if path != NOTHING_YET:
                        batch.append(path)
                    may_be_smaller = self._may_be_smaller or path == NOTHING_YET
                    if len(batch) >= self._batch_size or (batch and may_be_smaller and self._is_idle(under_way)):
                        under_way.append(pool.submit(self._process, batch, judge, stopped))
                        batch = []
                    while under_way and (under_way[0].done() or len(under_way) > most):
                        yield from under_way.popleft().result()
                if batch:
                    under_way.append(pool.submit(self._process, batch, judge, stopped))
                while under_way:
                    yield from under_way.popleft().result()
            finally:
                stopped.set()

    def _is_idle(self, under_way: Iterable[Future[list[T]]]) -> bool:
        """Whether a worker has nothing to do, so that a smaller batch is better than none."""
        return sum(not batch.done() for batch in under_way) < self._workers

    def _decode(self, path: str) -> Input:
        with self._large_file if _is_large(path) else nullcontext():
            try:
                file = decode.read(path)
            except DecodeError as error:
                return Input(path, error)
            result: Picture | DecodeError
            try:
                result = decode.decode(file.data, self.model.card.input_size, max_pixels=self.max_pixels)
            except DecodeError as error:
                result = error
            return Input(path, result, len(file.data), timestamp(file.modified))

    def _process(self, paths: list[str], judge: Callable[[list[Input]], list[T]], stopped: Event) -> list[T]:
        """Takes a batch all the way, unless the scan is stopped meanwhile."""
        batch = []
        for path in paths:
            if stopped.is_set():
                return []
            batch.append(self._decode(path))
        return judge(batch)

    def _judge(self, batch: list[Input]) -> list[Record]:
        return [seen.record for seen in self._see(batch, heatmaps=False)]

    def _see(self, batch: list[Input], heatmaps: bool = True) -> list[Seen]:
        pictures = [each.result for each in batch if isinstance(each.result, Picture)]
        scores: Iterator[Score | str] = iter(())
        if pictures:
            with self._network:
                scores = iter(self._predict(np.stack([picture.pixels for picture in pictures]), heatmaps))
        seen = []
        for each in batch:
            if isinstance(each.result, DecodeError):
                seen.append(Seen(self._record(each, None), None, None))
            else:
                score = next(scores)
                heatmap = None if isinstance(score, str) else score.heatmap
                seen.append(Seen(self._record(each, score), each.result.pixels, heatmap))
        return seen

    def _record(self, file: Input, score: Score | str | None) -> Record:
        """The record of a file, with its score, the sentence why there is none, or neither where it was not decoded."""
        found = file.result
        new = partial(
            self._new_record,
            path=file.path,
            width=found.width,
            height=found.height,
            bytes=file.bytes,
            modified=file.modified,
        )
        if isinstance(found, DecodeError):
            status = Status.REJECTED if found.code is ErrorCode.NOT_A_CHEST_XRAY else Status.ERROR
            return new(status=status, error=found.code, message=str(found))
        new = partial(new, device=self.model.device)
        if not isinstance(score, Score):
            return new(status=Status.ERROR, error=ErrorCode.INFERENCE_FAILED, message=score)
        return verdict(new, score, self.model.card, self._threshold)

    def _predict(self, images: NDArray[np.uint8], heatmaps: bool) -> list[Score | str]:
        """One prediction, or the sentence why there is none, for each picture.

        A batch that fails is tried again in halves: that finds memory enough, or the one picture at fault.
        """
        if len(images) > self._largest_batch:
            middle = len(images) // 2
            return self._predict(images[:middle], heatmaps) + self._predict(images[middle:], heatmaps)
        try:
            probabilities, scores, heat = self.model.predict(images, heatmaps=heatmaps)
        except Exception as error:  # ONNX Runtime's errors share no base class
            if len(images) == 1:
                return [f"the network failed: {runtime.reason(error)}"]
            log.warning("a batch of %d failed, trying halves: %s", len(images), runtime.reason(error))
            middle = len(images) // 2
            halves = self._predict(images[:middle], heatmaps) + self._predict(images[middle:], heatmaps)
            if not any(isinstance(half, str) for half in halves):  # it was the size, so that it would fail again
                self._largest_batch = min(self._largest_batch, len(images) - middle)
            return halves
        finite = np.all(np.isfinite(probabilities), axis=1)
        if scores is not None:
            finite &= np.isfinite(scores)
        return [
            Score(probabilities[i], None if scores is None else float(scores[i]), None if heat is None else heat[i])
            if finite[i]
            else "the network's answer is not a number"
            for i in range(len(images))
        ]


def _is_large(path: str) -> bool:
    try:
        return os.stat(path).st_size > LARGE_FILE
    except (OSError, ValueError):  # reading it will say why
        return False
