"""What a scan found, and what it passed over, in a line each for people."""

from collections import Counter
from collections.abc import Callable

from pneumoscan.cli.exits import complain, counted
from pneumoscan.records import Label, Record, Status

NAMED_ERRORS = 5
"""Inputs that failed, of which the summary of a scan says why; all are in its records."""


class Counts:
    """How many inputs got which verdict.

    Attributes:
        done: inputs that earlier runs had scanned.
        elsewhere: inputs that fall to other shards.
        unread: whether some inputs are not known, since their list could not be read on.
    """

    def __init__(self) -> None:
        self.done = self.elsewhere = 0
        self.unread = False
        self._review = 0
        self._errors: list[Record] = []
        self._verdicts: Counter[str] = Counter()

    def add(self, record: Record) -> None:
        """Counts a record."""
        self._verdicts[record.label or record.status] += 1
        self._review += record.review
        if record.status is Status.ERROR and len(self._errors) < NAMED_ERRORS:
            self._errors.append(record)

    def add_elsewhere(self, _: str) -> None:
        """Counts an input of another shard."""
        self.elsewhere += 1

    def complain_of_errors(self) -> None:
        """Says what failed first, and why, and how many more did."""
        for record in self._errors:
            complain(f"{record.path}: {record.error}: {record.message}")
        if more := self[Status.ERROR] - len(self._errors):
            complain(f"{counted(more, 'more error')}; each has its record")

    def __getitem__(self, verdict: Label | Status) -> int:
        return self._verdicts[verdict]

    @property
    def total(self) -> int:
        """All records."""
        return self._verdicts.total()

    def __str__(self) -> str:
        parts = [f"{self._verdicts[name]:,} {name.lower()}" for name in (*Label, Status.REJECTED) if self[name]]
        if errors := self[Status.ERROR]:
            parts.append(counted(errors, "error"))
        found = f": {', '.join(parts)}; {self._review:,} for review" if parts else ""
        return f"{self.total:,} scanned{found}" + (f"; {self.done:,} done before" if self.done else "") + "."


class Untaken:
    """How many files and links walks have passed over without having been asked to."""

    def __init__(self, *, with_names: bool, is_own: Callable[[str], object]) -> None:
        """Counts files only `with_names` that nobody chose, and none that the program writes itself."""
        self._names = self._links = 0
        self._with_names, self._is_own = with_names, is_own

    def add(self, path: str, is_link: bool) -> None:
        """Counts a file, or a link to a directory."""
        if is_link:
            self._links += 1
        elif self._with_names and not self._is_own(path):
            self._names += 1

    def __str__(self) -> str:
        parts = []
        if self._names:
            parts.append(f"{counted(self._names, 'file')} with other names (see --include)")
        if self._links:
            parts.append(f"{counted(self._links, 'link')} to folders (see --follow-links)")
        return ", ".join(parts)
