"""What earlier runs did: which inputs a results file holds already.

Knows nothing of scanning.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from pneumoscan.formats import COLUMNS, Format, FormatError, TornTailError, read_rows
from pneumoscan.path_table import temporary_database
from pneumoscan.records import SCHEMA_VERSION, Status, timestamp

_DECISIVE = ("status", "bytes", "modified", "model_sha256", "threshold", "width", "height", "label", "review")
"""Fields of a record that decide whether its input is done, and those of its verdict."""


class Settings(NamedTuple):
    """What besides a file decides its record: the model's digest, the threshold, and the pixels that are too many."""

    model_sha256: str
    threshold: float
    max_pixels: int


class Known(NamedTuple):
    """What a results file says of an input: the label, None without one, and whether it is for review."""

    label: str | None
    review: bool


class Ledger:
    """Which inputs a results file (CSV or JSON Lines) holds, and where in it their records lie.

    The last record of a path counts; its place in the order is that of the path's first one.

    Attributes:
        path: where the file lies; whoever goes on in a copy of it sets this anew.
        end: bytes of the file up to which its records are whole.
        torn: whether the file ends in half a record.
        superseded: whether it holds records that count no more.
    """

    def __init__(self, path: Path, format: Format) -> None:
        """Reads a results file; there need not be one.

        Raises:
            FormatError: it is not the work of this program.
            OSError: it cannot be read.
        """
        self.path = path
        self.end = 0
        self.torn = False
        self.superseded = False
        self._file: FileIO | None = None
        self._database = temporary_database()
        self._database.execute(
            "CREATE TABLE record (path BLOB PRIMARY KEY, first, start, end, " + ", ".join(_DECISIVE) + ") WITHOUT ROWID"
        )
        try:
            if path.exists():
                self._load(format)
        except BaseException:
            self.close()
            raise

    def done(self, path: str, settings: Settings) -> Known | None:
        """What the file says of an input that needs no scan: its record is no error, and would be the same.

        An input that is no longer there is done if it has a record that is no error.
        """
        values: list[object] = [os.fsencode(path)]
        same = ""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            pass
        except OSError:  # a scan will say why
            return None
        else:
            same = " AND bytes = ? AND modified = ? AND model_sha256 = ? AND threshold = ? AND width * height <= ?"
            values += [status.st_size, timestamp(status.st_mtime_ns), *settings]
        query = f"SELECT label, review FROM record WHERE path = ? AND status != '{Status.ERROR}'{same}"
        found = self._database.execute(query, values).fetchone()
        return found and Known(*found)

    def holds(self, path: str, line: bytes) -> bool:
        """Whether these bytes are what the file says of an input already."""
        query = "SELECT start, end FROM record WHERE path = ?"
        found = self._database.execute(query, [os.fsencode(path)]).fetchone()
        return found is not None and self._read(*found) == line

    def note(self, start: int, end: int, values: Mapping[str, Any]) -> None:
        """Notes that a record lies in the file from byte `start` up to `end`."""
        path = os.fsencode(values["path"])
        known = self._database.execute("SELECT first FROM record WHERE path = ?", [path]).fetchone()
        self.superseded |= known is not None
        row = (path, known[0] if known else start, start, end, *(values[name] for name in _DECISIVE))
        self._database.execute(f"INSERT OR REPLACE INTO record VALUES ({', '.join('?' * len(row))})", row)

    def forget_failure(self, path: str) -> None:
        """Leaves out the record, if it is an error, of a folder that could be listed: what is in it has records."""
        query = f"DELETE FROM record WHERE path = ? AND status = '{Status.ERROR}'"
        self.superseded |= self._database.execute(query, [os.fsencode(path)]).rowcount > 0

    def in_order(self) -> Iterator[bytes]:
        """The record that counts of each input, in the order of their first ones."""
        for start, end in self._database.execute("SELECT start, end FROM record ORDER BY first"):
            yield self._read(start, end)

    def close(self) -> None:
        """Frees what the ledger holds."""
        self.close_file()
        self._database.close()

    def close_file(self) -> None:
        """Closes the file, as Windows wants before it is replaced; it is opened anew when it is read again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _load(self, format: Format) -> None:
        from pneumoscan.schema import violations  # takes its time, and most scans begin anew

        with self.path.open("rb") as file:
            self._database.execute("BEGIN")
            try:
                for row in read_rows(file, format):
                    if tuple(row.values) != COLUMNS or row.values["schema"] != SCHEMA_VERSION:
                        raise FormatError("not a record of this version of the program", row.line)
                    if wrong := violations(row.values):  # as when another program saved it anew
                        raise FormatError(f"not a record of this program: {wrong[0]}", row.line)
                    try:
                        self.note(row.start, row.end, row.values)
                    except (ValueError, OverflowError) as error:  # half a character, or too large a number
                        raise FormatError(f"not a record of this program: {error}", row.line) from error
                self.end = file.seek(0, os.SEEK_END)
            except TornTailError as torn:
                self.end = torn.start
                self.torn = True
            self._database.execute("COMMIT")

    def _read(self, start: int, end: int) -> bytes:
        if self._file is None:
            self._file = self.path.open("rb", buffering=0)
        self._file.seek(start)
        record = b""
        while len(record) < end - start:
            piece = self._file.read(end - start - len(record))
            if not piece:
                raise OSError(errno.ESTALE, "another program made it shorter")
            record += piece
        return record
