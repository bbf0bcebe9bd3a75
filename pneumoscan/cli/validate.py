"""`pneumoscan validate`: tells whether files are what this program writes, whole and without contradictions."""

import codecs
import io
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import PurePath
from typing import Annotated, Any, BinaryIO, Literal

import typer

from pneumoscan.cli.exits import Exit, complain, fail, misuse, say
from pneumoscan.formats import SUFFIXES, Format, FormatError, TornTailError, printable, read_rows
from pneumoscan.ledger import temporary_database
from pneumoscan.schema import problems

STDIN = "-"
SHOWN = 100
"""Problems of one file that are told."""
LONGEST = 500
"""Characters of a message; a damaged file may hold a field of any length."""

NO_RECORD = "not a record of this program"
PIECE = 65536
"""Bytes of a JSON file that are read at a time."""

Place = int | None
"""A line or record, from 1; None where something concerns the whole file."""


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Results ([bold]-[/]: standard input).")],
    format: Annotated[
        Literal["csv", "json", "jsonl", "parquet"] | None,
        typer.Option("--format", "-f", help="Of standard input, and of files whose suffix does not tell."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing; the exit code tells.")] = False,
) -> None:
    """Check results: that every record is whole, has the right fields and types, and does not contradict itself.

    Says FILE:LINE: PROBLEM for each of the first 100 problems of a file (JSON and Parquet: the number of the record),
    then one line on the file.

    Exit codes: 0 all files are valid; 1 there are problems; 2 wrong usage, or a file that cannot be read.
    """
    formats = {file: _format(file, format) for file in files}
    worst = Exit.OK
    for file, its_format in formats.items():
        try:
            with _open(file) as stream:
                report, is_valid = check(stream, file, its_format, quiet)
        except OSError as error:
            complain(f"cannot read {file}: {error.strerror}")
            worst = Exit.USAGE
        except ModuleNotFoundError as error:
            fail(str(error), Exit.USAGE)
        else:
            worst = max(worst, Exit.OK if is_valid else Exit.INPUT_ERRORS)
            if not quiet:
                say(report)
    raise typer.Exit(worst)


def _format(file: str, format: str | None) -> Format:
    found = SUFFIXES.get(PurePath(file).suffix.lower(), Format(format) if format else None)
    if found is None:
        misuse(f"the name of {file} does not tell its format", "--format")
    return found


def _open(file: str) -> io.BufferedReader:
    if file != STDIN:
        return open(file, "rb")
    if sys.stdin is None:
        misuse("standard input is closed", "FILE")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def check(stream: io.BufferedReader, name: str, format: Format, quiet: bool) -> tuple[str, bool]:
    """What is to be said of a file, and whether it is valid. A quiet check ends at the first problem."""
    unit = "line" if format in (Format.CSV, Format.JSONL) else "record"
    lines: list[str] = []
    records = count = 0
    with closing(temporary_database()) as paths:
        paths.execute("CREATE TABLE first (path BLOB PRIMARY KEY, place INT) WITHOUT ROWID")
        paths.execute("BEGIN")
        for place, found in rows(stream, format):
            if isinstance(found, str):
                wrong = [found]
            else:
                records += 1
                wrong = problems(found)
                if isinstance(path := found.get("path"), str) and (first := _first_place(paths, path, place)) != place:
                    wrong.append(f"the path is there again; first in {unit} {first}")
            if wrong:
                count += len(wrong)
                where = name if place is None else f"{name}:{place}"
                lines += [f"{where}: {each[:LONGEST]}" for each in wrong[: SHOWN - len(lines)]]
                if quiet:
                    break
    if count > len(lines):
        lines.append(f"{name}: {_counted(count - len(lines), 'more problem')}")
    verdict = f"{_counted(count, 'problem')} in" if count else "valid,"
    lines.append(f"{name}: {verdict} {_counted(records, 'record')}")
    return "".join(f"{printable(line)}\n" for line in lines), not count


def _first_place(paths: sqlite3.Connection, path: str, place: Place) -> Place:
    """Where a path was first: here, unless it was noted before."""
    key = path.encode("utf-8", "surrogatepass")
    if paths.execute("INSERT OR IGNORE INTO first VALUES (?, ?)", [key, place]).rowcount:
        return place
    first: Place = paths.execute("SELECT place FROM first WHERE path = ?", [key]).fetchone()[0]
    return first


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rows(file: io.BufferedReader, format: Format) -> Iterator[tuple[Place, dict[str, Any] | str]]:
    """Each record, or what is wrong with what stands in its place.

    Raises:
        ModuleNotFoundError: the format needs a library that is not installed.
    """
    if format is Format.PARQUET:
        from pneumoscan import parquet

        yield from _numbered(parquet.read_rows(file if file.seekable() else io.BytesIO(file.read())))
    elif format is Format.JSON:
        yield from _numbered(_read_array(file))
    elif format is Format.CSV and not file.peek(1):
        yield None, "the file is empty; even without records it has a line with the columns"
    else:
        yield from _numbered_lines(file, format)


def _numbered(rows: Iterator[Any]) -> Iterator[tuple[Place, dict[str, Any] | str]]:
    number = 0
    try:
        for number, values in enumerate(rows, 1):
            yield number, values if isinstance(values, dict) else NO_RECORD
    except FormatError as error:
        yield number + 1 if number else None, str(error)


def _numbered_lines(file: BinaryIO, format: Format) -> Iterator[tuple[Place, dict[str, Any] | str]]:
    """Goes on after a bad line of JSON Lines; in CSV nothing tells where the next record would begin."""
    before = 0
    while True:
        try:
            for row in read_rows(file, format):
                yield before + row.line, row.values
            return
        except TornTailError as torn:
            yield before + (torn.line or 1), "the last record is torn; predict --resume repairs it"
            return
        except FormatError as error:
            line = before + (error.line or 1)
            message = str(error).removeprefix(f"line {error.line}: ")
            if format is Format.CSV:
                yield line, f"{message}; what follows was not checked"
                return
            yield line, message
            before = line


def _read_array(file: BinaryIO) -> Iterator[Any]:
    """Streams the elements of a JSON array, however it is laid out; holds one of them and a piece of the file.

    Raises:
        FormatError: it is something else. Elements before that have been yielded.
    """
    pieces = codecs.iterdecode(iter(partial(file.read, PIECE), b""), "utf-8")
    decode = json.JSONDecoder().raw_decode
    text, place = "", 0

    def peek() -> str:
        """Passes over space; the next character, or nothing at the end."""
        nonlocal text, place
        while True:
            while place < len(text):
                if text[place] not in " \t\r\n":
                    return text[place]
                place += 1
            text, place = next(pieces, ""), 0
            if not text:
                return ""

    def element() -> Any:
        nonlocal text, place
        peek()
        while True:
            try:
                value, place = decode(text, place)
                return value
            except ValueError as error:  # perhaps only because the text goes on
                more = "".join(islice(pieces, 1 + len(text) // PIECE))
                if not more:
                    raise FormatError(f"not JSON, or cut off: {getattr(error, 'msg', error)}") from None
                text, place = text[place:] + more, 0

    try:
        mark = peek()
        if mark != "[":
            raise FormatError("not a JSON array")
        while mark != "]":
            place += 1
            if mark == "[" and peek() == "]":
                break
            yield element()
            mark = peek()
            if mark not in ("]", ","):
                raise FormatError("after a record, the array neither goes on nor ends")
        place += 1
        if peek():
            raise FormatError("something follows the array")
    except UnicodeDecodeError:
        raise FormatError("not UTF-8") from None
    except RecursionError:
        raise FormatError(NO_RECORD) from None
