"""The records of an earlier scan, for commands that go on from them."""

import io
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

from pneumoscan.cli.exits import Exit, fail, misuse
from pneumoscan.formats import SUFFIXES, Format, from_dict
from pneumoscan.path_table import PathTable
from pneumoscan.reading import rows
from pneumoscan.records import Record
from pneumoscan.schema import problems


def recorded(file: Path, option: str) -> Iterator[Record]:
    """Streams the records of a file, which the user named with `option`; its suffix tells the format.

    Raises:
        typer.BadParameter: it cannot be read, or holds something else.
        typer.Exit: a library is missing.
    """
    format = _format_of(file, option)
    with _open(file, option) as stream:
        yield from _records(stream, file, option, format)


def latest(file: Path, option: str, format: Format | None = None) -> Iterator[Record]:
    """Streams as `recorded`, but of each path the last record alone, in a file that may grow or be replaced meanwhile.

    A file that a scan goes on with, or is being watched into, holds older records of what was scanned again. The suffix
    tells the format unless that is given.
    """
    format = format or _format_of(file, option)
    with _open(file, option, twice=True) as stream, closing(PathTable()) as places:
        for place, record in enumerate(_records(stream, file, option, format)):
            places[record.path] = place
        stream.seek(0)
        for place, record in enumerate(_records(stream, file, option, format)):
            if places.get(record.path) == place:
                yield record


def _format_of(file: Path, option: str) -> Format:
    format = SUFFIXES.get(file.suffix.lower())
    if format is None:
        misuse(f"{file} is none of {', '.join(SUFFIXES)}", option)
    return format


def _open(file: Path, option: str, *, twice: bool = False) -> io.BufferedReader:
    """Opens a file; of a pipe that is to be read twice, a copy."""
    try:
        stream = file.open("rb")
        if not twice or stream.seekable():
            return stream
        with stream:
            copy = TemporaryFile()  # noqa: SIM115
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            return cast(io.BufferedReader, copy)  # on Windows a wrapper of one
    except OSError as error:
        misuse(f"cannot read {file}: {error.strerror}", option)


def _records(stream: io.BufferedReader, file: Path, option: str, format: Format) -> Iterator[Record]:
    try:
        for place, found in rows(stream, format):
            wrong = [found] if isinstance(found, str) else problems(found)
            if isinstance(found, str) or wrong:
                where = file if place is None else f"{file}:{place}"
                misuse(f"{where}: {wrong[0]}", option)
            yield from_dict(found)
    except OSError as error:
        misuse(f"cannot read {file}: {error.strerror}", option)
    except ModuleNotFoundError as error:
        fail(str(error), Exit.USAGE)
