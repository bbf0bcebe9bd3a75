"""Records as text and back: CSV, JSON, JSON Lines. Knows nothing of files' places, and nothing of scanning."""

import codecs
import csv
import io
import json
import reprlib
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from operator import attrgetter
from typing import Any, BinaryIO, NamedTuple

from pneumoscan.records import FIELD_TYPES, Record

LONGEST = 16 * 1024**2
"""Bytes of the longest record that is read: none comes near, and what is longer might not fit in memory."""
COLUMNS = tuple(FIELD_TYPES)


class Format(StrEnum):
    """Ways to write records."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    TABLE = "table"


SUFFIXES = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
}


def printable(text: str) -> str:
    """The text with everything that a terminal might obey, or cannot show, as an escape sequence to read."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def rounded(probability: float, spec: str = ".1%") -> str:
    """A probability to three digits (`.1%`, `.3f`), but never as certainty, which no model has: `>99.9%`, `<0.001`."""
    text = format(probability, spec)
    return {format(0, spec): f"<{0.001:{spec}}", format(1, spec): f">{0.999:{spec}}"}.get(text, text)


def is_utf8(text: str) -> bool:
    """Whether a text can be written in UTF-8: names as the system gives them may hold any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_values = attrgetter(*COLUMNS)  # `dataclasses.asdict` would copy each value: three quarters of the time


def to_dict(record: Record) -> dict[str, Any]:
    """A record's values by column."""
    return dict(zip(COLUMNS, _values(record), strict=True))


def from_dict(values: Mapping[str, Any]) -> Record:
    """The record of a valid record's values by column, as a file holds them."""
    typed: dict[str, Any] = {
        name: value if value is None else FIELD_TYPES[name].kind(value) for name, value in values.items()
    }
    return Record(**typed)


def to_json(record: Record) -> bytes:
    """One JSON object without an end of line; ASCII, so that a name in whatever encoding survives.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not have.
    """
    return json.dumps(to_dict(record), allow_nan=False).encode()


def to_csv(record: Record) -> bytes:
    """One row after RFC 4180, but ended as Unix ends lines; None is empty, booleans are true and false."""
    return _csv_row(str(value).lower() if isinstance(value, bool) else value for value in _values(record))


def _csv_row(values: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(values)  # with "\n" a bare CR would not be quoted
    return text.getvalue().removesuffix("\r\n").encode("utf-8", "surrogateescape") + b"\n"


class Encoding(NamedTuple):
    """How a format puts records into a stream of bytes: `begin`, then records with `between` them, then `end`."""

    record: Callable[[Record], bytes]
    begin: bytes = b""
    between: bytes = b""
    end: bytes = b""


ENCODINGS = {
    Format.CSV: Encoding(to_csv, begin=_csv_row(COLUMNS)),
    Format.JSON: Encoding(to_json, begin=b"[\n", between=b",\n", end=b"\n]\n"),
    Format.JSONL: Encoding(lambda record: to_json(record) + b"\n"),
}


class FormatError(ValueError):
    """A file is not what this program writes; the message says why.

    Attributes:
        line: where, from 1; None where it concerns the whole file.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


class TornTailError(FormatError):
    """The file ends in the middle of a record, as after a kill.

    Attributes:
        start: bytes before that record; cut off there, the file is whole.
    """

    def __init__(self, line: int, start: int) -> None:
        super().__init__("the last record is torn", line)
        self.start = start


class LongLineError(FormatError):
    """A line is longer than any record. It is not read to its end, so that nothing tells where the next begins."""

    def __init__(self, line: int) -> None:
        super().__init__("not a record of this program", line)


class Row(NamedTuple):
    """A record as it lies in a file, from byte `start` up to `end`; `line` counts from 1."""

    line: int
    start: int
    end: int
    values: dict[str, Any]


def read_rows(file: BinaryIO, format: Format) -> Iterator[Row]:
    """Streams the records of a CSV or JSON Lines file, open at its beginning.

    Values have the types that JSON gives them; whether they make a valid record is not checked.

    Raises:
        FormatError: a line holds something else. Lines before it have been yielded.
        TornTailError: the last record is torn.
    """
    return (_read_csv if format is Format.CSV else _read_json_lines)(file)


def _read_json_lines(file: BinaryIO) -> Iterator[Row]:
    start = 0
    for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), 1):
        end = start + len(line)
        if len(line) > LONGEST:
            raise LongLineError(number)
        if not line.endswith(b"\n"):
            beginning = b'{"path": "'
            if number > 1 or line.startswith(beginning[: len(line)]):
                raise TornTailError(number, start)
            raise FormatError("not a record of this program", number)
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise FormatError("not a record of this program", number)
        yield Row(number, start, end, values)
        start = end


def _read_csv(file: BinaryIO) -> Iterator[Row]:
    header = ENCODINGS[Format.CSV].begin
    first = file.readline(LONGEST)
    if first != header:
        if first.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n") == header:
            raise FormatError("another program has saved it: with a mark at its beginning (BOM), or lines in CR LF", 1)
        if first and not header.startswith(first):
            raise FormatError("the columns are not those of this program", 1)
        if first:
            raise TornTailError(1, 0)
        return
    lines = _Lines(file, len(header))
    start, number = lines.end, 2
    # A csv.reader takes just the lines that the next row needs, so that the row's place is known.
    rows = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(rows, None)
        except csv.Error:
            if lines.at_end:
                raise TornTailError(number, start) from None
            raise FormatError("not a row of comma-separated values", number) from None
        if row is None:
            return
        if not lines.whole:
            raise TornTailError(number, start)
        if len(row) != len(COLUMNS):
            raise FormatError(f"{len(row)} columns instead of {len(COLUMNS)}", number)
        if tuple(row) == COLUMNS:
            raise FormatError("the line with the columns is there again: where files are joined, leave it out", number)
        values = {}
        for name, text in zip(COLUMNS, row, strict=True):
            try:
                values[name] = _PARSERS[name](text)
            except ValueError:
                raise FormatError(f"{name} cannot be {reprlib.repr(text)}", number) from None
        yield Row(number, start, lines.end, values)
        start, number = lines.end, lines.number + 1


class _Lines:
    """The lines of a file as text for a csv.reader, with the place up to which they were taken."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file = file
        self.end = end
        self.number = 1
        self.whole = True
        self.at_end = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise csv.Error("too long a line")
        self.at_end = not line
        if not line:
            raise StopIteration
        self.end += len(line)
        self.number += 1
        self.whole = line.endswith(b"\n")
        return line.decode("utf-8", "surrogateescape")


def _parser(kind: type, nullable: bool) -> Callable[[str], Any]:
    """What turns a CSV field of this type back into a value as JSON has it."""
    if kind is bool:
        return lambda text: {"true": True, "false": False}.get(text, text)
    parse = kind if kind in (int, float) else str
    return (lambda text: parse(text) if text else None) if nullable else parse


_PARSERS = {name: _parser(*field) for name, field in FIELD_TYPES.items()}
