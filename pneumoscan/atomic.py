"""Files that appear whole: where they grow, and how they are put in their place."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pneumoscan.formats import Format

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors by which a disk is full."""


def growing_place(target: Path, format: Format) -> Path:
    """Where a file grows: JSON Lines in their place, so that others can follow them, anything else beside it."""
    return target if format is Format.JSONL else target.with_name(f".{target.name}.partial")


def rewritten(target: Path) -> Path:
    """Where a file is written that replaces another as soon as it is whole."""
    return target.with_name(f".{target.name}.new")


def create_private(path: Path) -> BinaryIO:
    """Makes or empties a file that nobody else may read, as long as it has not got other permissions."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def copy_mode(source: Path, target: Path) -> None:
    """Gives a file the permissions of another, if there is one."""
    if source != target:
        with suppress(OSError):
            target.chmod(source.stat().st_mode)


def replace_with(target: Path, data: bytes) -> None:
    """Writes a file whole, in the place and with the permissions of what is there; a link is replaced, not followed.

    Raises:
        OSError: it could not be written; what was there is not harmed.
    """
    growing = rewritten(target)
    try:
        growing.unlink(missing_ok=True)  # left by a kill, or a link to who knows what
        with open(growing, "xb") as file:
            copy_mode(target, growing)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(growing, target)
    except OSError:
        with suppress(OSError):
            growing.unlink()
        raise
    sync(target.parent)


def sync(directory: Path) -> None:
    """Puts the names in a directory on the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
