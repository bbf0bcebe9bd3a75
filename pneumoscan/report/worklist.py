"""What is worth showing of a scan: counts of all records, and the most urgent ones. Bounded however many there are."""

from collections import Counter
from collections.abc import Iterator
from heapq import heappush, heappushpop
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscan.records import Label, Record, Status

SCORED_SHOWN = 20_000
"""Scored pictures that are kept, the most urgent ones."""
TROUBLES_SHOWN = 5_000
"""Errors that are kept, and rejected pictures, each the first ones."""
RUNS_SHOWN = 20
"""Different models and thresholds that are reported."""
BINS = 50
"""Of the histogram of probabilities, from 0 to 1."""
CELLS = 1024
"""Most cells of a heatmap that is kept; those of the shipped models have 36."""


class Run(NamedTuple):
    """What produced a record."""

    model: str
    model_sha256: str
    threshold: float


class Entry(NamedTuple):
    """A record, and the heatmap of its picture (float32 [h, w], 0 to 1) where there is one."""

    record: Record
    heat: NDArray[np.float32] | None


class Worklist:
    """Takes any number of records and keeps some.

    Attributes:
        counts: of all records, by label or status; `review` of those that a person must look at.
        bins: counts of all probabilities, one list for each label.
        runs: what produced the records, with the number of these.
        unmentioned_runs: records by yet others.
        devices: what ran the network.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.bins = {label: [0] * BINS for label in Label}
        self.runs: Counter[Run] = Counter()
        self.unmentioned_runs = 0
        self.devices: set[str] = set()
        self._scored: list[tuple[bool, float, int, Entry]] = []  # a heap: the least urgent one first
        self._troubles: dict[Status, list[Record]] = {Status.REJECTED: [], Status.ERROR: []}

    @property
    def total(self) -> int:
        """All records."""
        return self.counts.total() - self.counts["review"]

    def add(self, record: Record, heat: NDArray[np.float32] | None = None) -> None:
        """Takes a record, and the heatmap of its picture where there is one."""
        self.counts[record.label or record.status] += 1
        self.counts["review"] += record.review
        self._note_run(Run(record.model, record.model_sha256, record.threshold))
        if record.device is not None and len(self.devices) < RUNS_SHOWN:
            self.devices.add(record.device)
        if record.label is None or record.probability is None:
            kept = self._troubles[record.status]
            if len(kept) < TROUBLES_SHOWN:
                kept.append(record)
            return
        self.bins[record.label][min(int(record.probability * BINS), BINS - 1)] += 1
        # What a person must look at is never left out in favour of what is called normal; of equals, the first stays.
        urgent = record.review or record.label == Label.PNEUMONIA
        # A copy, since a heatmap is a part of its whole batch; only of few cells, since a model may have any number.
        heat = heat.copy() if heat is not None and 0 < heat.size <= CELLS else None
        item = (urgent, record.probability, -self.total, Entry(record, heat))
        if len(self._scored) < SCORED_SHOWN:
            heappush(self._scored, item)
        else:
            heappushpop(self._scored, item)

    def entries(self) -> Iterator[Entry]:
        """What was kept: scored pictures, the most urgent first, then what was rejected, then errors."""
        troubles = chain.from_iterable(self._troubles.values())
        scored = sorted(self._scored, key=lambda item: item[:3], reverse=True)
        return chain((item[-1] for item in scored), (Entry(record, None) for record in troubles))

    def left_out(self) -> dict[str, tuple[int, int]]:
        """Of what some was left out: how many are kept, of how many."""
        sizes = {
            "scored": (len(self._scored), self.counts[Label.NORMAL] + self.counts[Label.PNEUMONIA]),
            **{status.value: (len(kept), self.counts[status]) for status, kept in self._troubles.items()},
        }
        return {name: (kept, of) for name, (kept, of) in sizes.items() if kept < of}

    def _note_run(self, run: Run) -> None:
        if run in self.runs or len(self.runs) < RUNS_SHOWN:
            self.runs[run] += 1
        else:
            self.unmentioned_runs += 1
