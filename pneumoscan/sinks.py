"""How records are written: CSV, JSON, JSON Lines, or a table to look at. Knows nothing of scanning."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, astuple, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TextIO

from pneumoscan.records import Record

COLUMNS = tuple(field.name for field in fields(Record))
TABLE_ROWS = 1000
"""Rows that a table shows; beyond, nobody reads on, and a scan may have millions."""


class Format(StrEnum):
    """Ways to write records."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    TABLE = "table"


SUFFIXES = {".csv": Format.CSV, ".json": Format.JSON, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}


class Writer(Protocol):
    """Puts records into an open text stream, which it does not close."""

    def write(self, record: Record) -> None:
        """Appends one record."""

    def finish(self) -> None:
        """Completes the text, so that what was written so far is valid."""


class CsvWriter:
    """Comma-separated values after RFC 4180, with a header; None is empty, booleans are true and false."""

    def __init__(self, stream: TextIO) -> None:
        self._csv = csv.writer(_UnixLines(stream), lineterminator="\r\n")
        self._csv.writerow(COLUMNS)

    def write(self, record: Record) -> None:
        """Appends one row."""
        self._csv.writerow([str(value).lower() if isinstance(value, bool) else value for value in astuple(record)])

    def finish(self) -> None:
        """Nothing is open."""


class _UnixLines:
    """Ends lines as Unix does for a CSV writer that must itself end them otherwise, or it would not quote a bare CR."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: str) -> int:
        return self._stream.write(row.removesuffix("\r\n") + "\n")


class JsonWriter:
    """One array of objects, one object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = "[\n"

    def write(self, record: Record) -> None:
        """Appends one element."""
        self._stream.write(self._before + json.dumps(asdict(record)))
        self._before = ",\n"

    def finish(self) -> None:
        """Closes the array."""
        self._stream.write("[]\n" if self._before == "[\n" else "\n]\n")


class JsonLinesWriter:
    """One object a line, each flushed as soon as it is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        """Appends one line."""
        self._stream.write(json.dumps(asdict(record)) + "\n")
        self._stream.flush()

    def finish(self) -> None:
        """Nothing is open."""


class TableWriter:
    """A table for people, drawn at the end. Names are shown inert, whatever they hold."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._records: list[Record] = []
        self._left_out = 0

    def write(self, record: Record) -> None:
        """Keeps one row."""
        if len(self._records) < TABLE_ROWS:
            self._records.append(record)
        else:
            self._left_out += 1

    def finish(self) -> None:
        """Draws the table."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            "file",
            "result",
            "pneumonia",
            "subtype",
            "note",
            box=None,
            header_style="bold",
            collapse_padding=True,
            pad_edge=False,
        )
        table.columns[0].overflow = "fold"
        table.columns[2].justify = "right"
        for record in self._records:
            result = record.label or record.status
            style = {"PNEUMONIA": "red", "NORMAL": "green"}.get(result, "yellow")
            score = "" if record.probability is None else f"{record.probability:.1%}"
            note = ": ".join(filter(None, (record.error, record.message))) or ("review" if record.review else "")
            table.add_row(
                Text(printable(record.path)), Text(result, style), score, record.subtype or "", Text(printable(note))
            )
        console = Console(file=self._stream, highlight=False)
        console.print(table)
        if self._left_out:
            console.print(f"… and {self._left_out:,} more. Write them to a file with -o.")


WRITERS: dict[Format, Callable[[TextIO], Writer]] = {
    Format.CSV: CsvWriter,
    Format.JSON: JsonWriter,
    Format.JSONL: JsonLinesWriter,
    Format.TABLE: TableWriter,
}


def printable(text: str) -> str:
    """The text with everything that a terminal might obey, or cannot show, as an escape sequence to read."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class Sink:
    """One output of a scan: standard output, or a file that appears whole or not at all.

    JSON Lines go straight into their file, so that others can follow it; a CSV or JSON array is written beside its
    place and moved there when it is complete. Links are followed; pipes and devices are written to as they are.
    """

    def __init__(self, target: Path | None, format: Format) -> None:
        """Opens the output.

        Args:
            target: the file, or None for standard output.
            format: what to write.

        Raises:
            OSError: the file cannot be written.
        """
        self._target = None if target is None else Path(os.path.realpath(target))
        self._partial: Path | None = None
        options: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
        if self._target is None:
            self._stream: TextIO = sys.stdout
            if hasattr(sys.stdout, "reconfigure"):
                sys.stdout.reconfigure(**options)
        elif format is Format.JSONL or (self._target.exists() and not self._target.is_file()):
            self._stream = self._target.open("a", **options)
        else:
            self._stream, self._partial = _open_beside(self._target, options)
        self._format = format
        self._writer: Writer | None = None

    def write(self, record: Record) -> None:
        """Writes one record.

        Raises:
            OSError: it could not be written.
        """
        self._begin().write(record)

    def commit(self) -> None:
        """Completes the output with the records written so far, on the disk and in its place.

        Raises:
            OSError: it could not be completed.
        """
        self._begin().finish()
        self._stream.flush()
        if self._target is None:
            return
        if self._target.is_file() or self._partial is not None:
            os.fsync(self._stream.fileno())
        self._stream.close()
        if self._partial is not None:
            self._partial.replace(self._target)

    def discard(self) -> None:
        """Leaves what was at the output's place before, where nothing was written to it yet."""
        if self._target is not None:
            with suppress(OSError):
                self._stream.close()
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def _begin(self) -> Writer:
        """The writer; made on first use, so that an older file is emptied no sooner than it must be."""
        if self._writer is None:
            if self._target is not None and self._partial is None and self._target.is_file():
                self._stream.truncate(0)
            self._writer = WRITERS[self._format](self._stream)
        return self._writer


def _open_beside(target: Path, options: dict[str, Any]) -> tuple[TextIO, Path]:
    """A new file in the same directory, with the permissions that the target has or would have."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    partial = Path(name)
    with suppress(OSError):
        partial.chmod(target.stat().st_mode if target.exists() else 0o666 & ~_umask())
    return os.fdopen(handle, "w", **options), partial


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
