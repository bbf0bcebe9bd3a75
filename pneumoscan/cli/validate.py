"""`pneumoscan validate`: tells whether files are what this program writes, whole and without contradictions."""

import io
import sys
from contextlib import closing
from pathlib import PurePath
from typing import Annotated, Literal

import typer

from pneumoscan.cli.exits import Exit, complain, counted, fail, misuse, say
from pneumoscan.formats import SUFFIXES, Format, printable
from pneumoscan.path_table import PathTable
from pneumoscan.reading import rows
from pneumoscan.schema import problems

STDIN = "-"
SHOWN = 100
"""Problems of one file that are reported."""
LONGEST = 500
"""Characters of a message; a damaged file may hold a field of any length."""


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Results ([bold]-[/]: standard input).")],
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
    with closing(PathTable()) as places:
        for place, found in rows(stream, format):
            if isinstance(found, str):
                wrong = [found]
            else:
                records += 1
                wrong = problems(found)
                path = found.get("path")
                if place and isinstance(path, str) and (first := places.setdefault(path, place)) != place:
                    wrong.append(f"the path is there again; first in {unit} {first}")
            if wrong:
                count += len(wrong)
                where = name if place is None else f"{name}:{place}"
                lines += [f"{where}: {each[:LONGEST]}" for each in wrong[: SHOWN - len(lines)]]
                if quiet:
                    break
    if count > len(lines):
        lines.append(f"{name}: {counted(count - len(lines), 'more problem')}")
    verdict = f"{counted(count, 'problem')} in" if count else "valid,"
    lines.append(f"{name}: {verdict} {counted(records, 'record')}")
    return "".join(f"{printable(line)}\n" for line in lines), not count
