"""Files that appear whole: where they grow, and how they are put in their place."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pneumoscan.formats import Format


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


def sync(directory: Path) -> None:
    """Puts the names in a directory on the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file that appears when all of it is on the disk; until then, and if that fails, an older one stays.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(target))
    new = rewritten(target)
    try:
        with new.open("wb") as file:
            copy_mode(target, new)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    sync(target.parent)
