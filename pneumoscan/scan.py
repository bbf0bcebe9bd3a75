"""The engine: decode workers, batches, inference, records in order. Knows nothing of command line and formats."""

import logging
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscan import decode
from pneumoscan.decode import DecodeError, Picture
from pneumoscan.model import Device, Model
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype
from pneumoscan.sources import find_files

DECIMALS = 6
"""Digits after the point in probabilities and scores."""
DEFAULT_BATCH_SIZE = 16
BATCHES_AHEAD = 2
"""Batches decoded before their turn, and batches waiting to be judged: enough to keep both busy, little to hold."""

log = logging.getLogger(__name__)


class Score(NamedTuple):
    """What the network says of one picture: probabilities float32 [3] by `model.CLASSES`, and the outlier score."""

    probabilities: NDArray[np.float32]
    outlier: float | None


class Scanner:
    """Scores chest X-rays. One scanner may scan many times, one scan at a time.

    >>> for record in Scanner(device="cpu").scan(["./xrays"]):  # doctest: +SKIP
    ...     print(record.path, record.label, record.probability)

    Attributes:
        model: the loaded model.
        threshold: probability at and above which the label is PNEUMONIA, 0 to 1.
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
            model: an ONNX file of the contract, or None for the one that is shipped.
            device: `auto`, `cpu` or `cuda`.
            threshold: instead of the model card's.
            batch_size: pictures per run of the network; 16 unless given.
            workers: decoding threads; as many as there are cores unless given.
            max_pixels: larger pictures become `too_large` errors.

        Raises:
            ModelError: the model cannot be loaded.
            DeviceError: the device cannot run it.
            ValueError: a number out of its range.
        """
        if any(number is not None and number < 1 for number in (batch_size, workers)):
            raise ValueError("batch_size and workers must be at least 1")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError("threshold must lie between 0 and 1")
        self.model = Model(model, device)
        self.threshold = self.model.card.threshold if threshold is None else threshold
        self._batch_size = batch_size or DEFAULT_BATCH_SIZE
        self._workers = workers or available_cores()
        self._max_pixels = max_pixels
        card = self.model.card
        self._new_record = partial(
            Record, model=f"{card.name}-{card.version}", model_sha256=self.model.sha256, threshold=self.threshold
        )

    def scan(self, paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Generator[Record]:
        """Yields one record for each input (a single path will do), in the order of discovery, as batches finish.

        Files and directories are read while the iteration runs, a bounded number ahead. Whatever is wrong with an
        input is told in its record; it stops nothing and changes no other input's score.
        """
        if isinstance(paths, str | os.PathLike):
            paths = [paths]
        decoders = ThreadPoolExecutor(self._workers, "decode")
        judge = ThreadPoolExecutor(1, "judge")
        judging: deque[Future[list[Record]]] = deque()
        try:
            decoded = self._decode_ahead(find_files(paths), decoders)
            while batch := list(islice(decoded, self._batch_size)):
                judging.append(judge.submit(self._judge, batch))
                if len(judging) > BATCHES_AHEAD:
                    yield from judging.popleft().result()
            while judging:
                yield from judging.popleft().result()
        finally:
            for pool in (decoders, judge):
                pool.shutdown(cancel_futures=True)

    def _decode_ahead(
        self, paths: Iterator[str], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[str, Picture | DecodeError]]:
        """Decodes in the pool and yields in order, never holding more than a bounded number of results."""
        ahead = self._workers + BATCHES_AHEAD * self._batch_size
        waiting: deque[tuple[str, Future[Picture | DecodeError]]] = deque()
        for path in paths:
            waiting.append((path, pool.submit(self._decode, path)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()

    def _decode(self, path: str) -> Picture | DecodeError:
        try:
            return decode.decode(decode.read(path), self.model.card.input_size, max_pixels=self._max_pixels)
        except DecodeError as error:
            return error

    def _judge(self, batch: list[tuple[str, Picture | DecodeError]]) -> list[Record]:
        pictures = [result for _, result in batch if isinstance(result, Picture)]
        verdicts = iter(self._predict(np.stack([picture.pixels for picture in pictures])) if pictures else ())
        return [
            self._failure(path, result)
            if isinstance(result, DecodeError)
            else self._verdict(path, result, next(verdicts))
            for path, result in batch
        ]

    def _predict(self, images: NDArray[np.uint8]) -> list[Score | str]:
        """One prediction, or the sentence why there is none, for each picture.

        A batch that fails is tried again in halves: that finds memory enough, or the one picture at fault.
        """
        try:
            probabilities, scores = self.model.predict(images)
        except Exception as error:  # ONNX Runtime's errors share no base class
            if len(images) == 1:
                return [f"the network failed: {error}"]
            log.warning("a batch of %d failed, trying halves: %s", len(images), error)
            middle = len(images) // 2
            return self._predict(images[:middle]) + self._predict(images[middle:])
        return [
            Score(probabilities[i], None if scores is None else float(scores[i]))
            if np.isfinite(probabilities[i]).all()
            else "the network's answer is not a number"
            for i in range(len(images))
        ]

    def _failure(self, path: str, error: DecodeError) -> Record:
        return self._new_record(
            path=path,
            status=Status.ERROR,
            error=error.code,
            message=str(error),
            width=error.width,
            height=error.height,
        )

    def _verdict(self, path: str, picture: Picture, score: Score | str) -> Record:
        """The record of a decoded picture."""
        new = partial(self._new_record, path=path, width=picture.width, height=picture.height, device=self.model.device)
        if isinstance(score, str):
            return new(status=Status.ERROR, error=ErrorCode.INFERENCE_FAILED, message=score)
        card = self.model.card
        outlier = None if score.outlier is None else round(score.outlier, DECIMALS)
        if outlier is not None and card.outlier_threshold is not None and outlier > card.outlier_threshold:
            return new(
                status=Status.REJECTED,
                error=ErrorCode.NOT_A_CHEST_XRAY,
                message="does not look like a chest X-ray that the model may judge",
                outlier_score=outlier,
            )
        normal, bacterial, viral = (float(p) for p in score.probabilities)
        # Rounded before it is compared, so that label and review can be retraced from the record.
        probability = round(bacterial + viral, DECIMALS)
        ill = probability >= self.threshold
        low, high = card.review_band
        return new(
            status=Status.OK,
            label=Label.PNEUMONIA if ill else Label.NORMAL,
            probability=probability,
            p_normal=round(normal, DECIMALS),
            p_bacterial=round(bacterial, DECIMALS),
            p_viral=round(viral, DECIMALS),
            subtype=None if not ill else Subtype.BACTERIAL if bacterial >= viral else Subtype.VIRAL,
            review=low <= probability <= high,
            outlier_score=outlier,
        )


def available_cores() -> int:
    """Cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
