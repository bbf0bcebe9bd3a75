"""Records out of a results file of any format, each in its turn, or what is wrong with what stands in its place."""

import codecs
import io
import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, BinaryIO

from pneumoscan.formats import LONGEST, Format, FormatError, LongLineError, TornTailError, read_rows

NO_RECORD = "not a record of this program"
PIECE = 65536
"""Bytes of a JSON file that are read at a time."""

Place = int | None
"""A line or record, from 1; None where something concerns the whole file."""


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
    """Goes on after a bad line of JSON Lines; in CSV, or a line without end, nothing tells where another begins."""
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
            if format is Format.CSV or isinstance(error, LongLineError):
                yield line, f"{message}; what follows was not checked"
                return
            yield line, message
            before = line


def _read_array(file: BinaryIO) -> Iterator[Any]:
    """Streams the elements of a JSON array, however it is laid out; holds one of them, of at most `LONGEST` characters,
    and a piece of the file.

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
                is_long = len(text) - place > LONGEST
                more = "" if is_long else "".join(islice(pieces, 1 + len(text) // PIECE))
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
