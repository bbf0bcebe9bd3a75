"""What a scan found, and what it passed over, in a line each for people."""

from collections import Counter

from pneumoscan.records import Label, Record, Status
from pneumoscan.sources import PassedOver


class Counts:
    """How many inputs got which verdict.

    Attributes:
        done: inputs that earlier runs had scanned.
        unread: whether some inputs are not known, since their list could not be read on.
    """

    def __init__(self) -> None:
        self.done = 0
        self.unread = False
        self._review = 0
        self._verdicts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Counts a record."""
        self._verdicts[record.label or record.status] += 1
        self._review += record.review

    def __getitem__(self, verdict: Label | Status) -> int:
        return self._verdicts[verdict]

    @property
    def total(self) -> int:
        """All records."""
        return self._verdicts.total()

    def __str__(self) -> str:
        parts = [f"{self._verdicts[name]:,} {name.lower()}" for name in (*Label, Status.REJECTED) if self[name]]
        if errors := self[Status.ERROR]:
            parts.append(f"{errors:,} error{'s' if errors > 1 else ''}")
        found = f": {', '.join(parts)}; {self._review:,} for review" if parts else ""
        return f"{self.total:,} scanned{found}" + (f"; {self.done:,} done before" if self.done else "") + "."


def untaken(passed_over: PassedOver, include: list[str] | None) -> str:
    """What was passed over without having been asked for, and what would take it; empty for nothing."""
    names, links = passed_over.names, passed_over.links
    parts = []
    if names and not include:
        parts.append(f"{names:,} file{'s' if names > 1 else ''} named otherwise (see --include)")
    if links:
        parts.append(f"{links:,} link{'s' if links > 1 else ''} to folders (see --follow-links)")
    return f"passed over: {', '.join(parts)}" if parts else ""
