"""How a command speaks and ends: answers, complaints, exit codes, which calling scripts rely on."""

import errno
import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import NoReturn, TextIO, cast

import typer

from pneumoscan.atomic import check_replaceable, is_file
from pneumoscan.formats import printable
from pneumoscan.signatures import is_picture

UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""What wrong usage raises; where Typer has it from depends on its version."""


class Exit(IntEnum):
    """Why the program ended."""

    OK = 0
    """Everything was scanned."""
    INPUT_ERRORS = 1
    """Finished, but some inputs ended in an error, or the output could not be completed."""
    USAGE = 2
    """The command was called wrongly."""
    NOTHING_TO_SCAN = 3
    """No input was found."""
    UNAVAILABLE = 4
    """The model or the requested device is unavailable."""
    OUTPUT_IN_USE = 5
    """Another run writes the same output."""
    PNEUMONIA_FOUND = 10
    """With --fail-on pneumonia: at least one picture is PNEUMONIA, and nothing else went wrong."""
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


def fail(message: str, code: Exit) -> NoReturn:
    """Says on standard error what is wrong, and exits."""
    complain(message)
    raise typer.Exit(code)


def misuse(message: str, option: str) -> NoReturn:
    """Says on standard error what is wrong with an option, inert whatever names it holds, and exits with `USAGE`."""
    raise typer.BadParameter(printable(message), param_hint=option)


def need_folder(folder: str | os.PathLike[str], option: str, of: object = None) -> None:
    """Exits with `USAGE`, naming the option, unless a folder, in which `of` is to lie, is there and may be entered."""
    if not os.path.isdir(folder):
        misuse(no_folder(folder) if of is None else f"{of}: {no_folder(folder)}", option)


def need_place(folder: str | os.PathLike[str], option: str, of: object) -> None:
    """Exits with `USAGE`, naming the option, unless a folder, in which `of` is to be made, is there and lets it."""
    need_folder(folder, option, of)
    if not os.access(folder, os.W_OK | os.X_OK):
        misuse(f"{of} cannot be written: {os.strerror(errno.EACCES)}", option)


def need_new_folder(folder: Path, option: str) -> None:
    """Exits with `USAGE`, naming the option, unless a folder is there and may be written to, or can be made."""
    try:
        place = folder
        try:
            os.lstat(folder)
        except FileNotFoundError:
            place = folder.absolute().parent
        if not place.is_dir():
            number = errno.ENOTDIR if place.exists() else errno.ENOENT
            raise OSError(number, os.strerror(number))
        if not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        misuse(f"cannot write to the folder {folder}: {error.strerror}", option)


def need_target(file: Path, option: str) -> None:
    """Exits with `USAGE`, naming the option, unless a regular file can be made there, or replaced."""
    need_place(file.parent, option, file)
    if not is_file(file):
        misuse(f"{file} cannot be written: it is not a regular file", option)
    try:
        check_replaceable(file)
    except OSError as error:
        misuse(f"{file} cannot be written: {error.strerror}", option)


def need_no_picture(file: Path, option: str) -> None:
    """Exits with `USAGE`, naming the option, where a picture would be replaced, or what might be one."""
    try:
        if is_picture(file):
            misuse(f"{file} is a picture, which would be lost: name another file", option)
    except OSError as error:
        misuse(f"{file} may be a picture, which would be lost: it cannot be read ({error.strerror})", option)


def no_folder(folder: str | os.PathLike[str]) -> str:
    """Why a folder that is needed is none."""
    try:
        os.stat(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            return f"cannot enter {folder}: {error.strerror}"
    return f"there is no directory {folder}"


def counted(number: int, noun: str) -> str:
    """A number of things, of which one needs no plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def complain(message: str) -> None:
    """Says on standard error what is wrong, inert whatever names it holds."""
    tell(f"pneumoscan: {printable(message)}")


def tell(text: str) -> None:
    """Writes a line to standard error; that nobody reads it any more is no error, and stops nothing."""
    try:
        typer.echo(text, err=True)
    except OSError:
        lead_nowhere(sys.stderr)


def say(text: str, encoding: str | None = None) -> None:
    """Writes all to standard output, in its own encoding unless given; a reader who has seen enough is no error."""
    try:
        sys.stdout.flush()
        if (out := getattr(sys.stdout, "buffer", None)) is None:  # such as a StringIO
            sys.stdout.write(text)
            return
        rest = memoryview(text.encode(encoding or sys.stdout.encoding, "backslashreplace"))
        while rest:  # unbuffered (python -u) it may take less than it is given, or nothing
            if (taken := out.write(rest)) is None:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            rest = rest[taken:]
        sys.stdout.flush()
    except OSError as error:
        lead_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            fail(f"cannot write -: {error.strerror}", Exit.INPUT_ERRORS)


def lead_nowhere(stream: TextIO) -> None:
    """Gives up a stream that failed, else the interpreter would fail again when it flushes it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
