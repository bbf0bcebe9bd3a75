"""Where in a folder the overlay of each input lies, and what it says that it was drawn from."""

import hashlib
import os
import re

from pneumoscan.records import Record

LONGEST_NAME = 255
"""Bytes that most file systems take."""


def mirrored(path: str) -> str:
    """Where in the folder the overlay of an input goes: its own path, with `.png` after the whole name.

    No two inputs share a place, no place lies below another, and none leads out of the folder. So what a path could
    hold besides names becomes a name with an @ before it, `@up` for `..` and `@root` for an absolute path; names that
    begin with @ get another one, and folders whose names end like a picture's get one behind.

    Args:
        path: of a file.
    """
    drive, rest = os.path.splitdrive(path)
    *folders, name = [part for part in rest.replace(os.altsep or os.sep, os.sep).split(os.sep) if part not in ("", ".")]
    parts = [
        file_name(re.sub(r"(?i)(\.png@*)$", r"\1@", "@up" if part == ".." else _escaped(part))) for part in folders
    ]
    if drive or rest.startswith(os.sep):
        parts.insert(0, "@root" + re.sub(r"\W", "", drive))
    return os.path.join(*parts, file_name(_escaped(name), ".png"))


def file_name(name: str, suffix: str = "") -> str:
    """The name and a suffix; where both have `LONGEST_NAME` bytes or more, the name is cut and gets its digest."""
    content, room = os.fsencode(name), LONGEST_NAME - len(suffix)
    if len(content) >= room:  # of just so many, too: it could be another's with its digest
        digest = hashlib.sha256(content).hexdigest()[:16]
        name = content[: room - 1 - len(digest)].decode(errors="ignore") + f"@{digest}"
    return name + suffix


def _escaped(name: str) -> str:
    return "@" + name if name.startswith("@") else name


def basis_of(record: Record) -> str:
    """What the overlay of a record is drawn from."""
    return basis(record.bytes, record.modified, record.model_sha256, record.threshold)


def basis(size: int | None, modified: str | None, model_sha256: str, threshold: float) -> str:
    """What decides an overlay, as it is noted in it."""
    return f"{size} bytes of {modified}, model {model_sha256}, threshold {threshold!r}"


def lies_in(path: str, root: str) -> bool:
    """Whether a path, all links followed, is that of a folder, of which all are followed already, or lies in it."""
    path = os.path.realpath(path)
    return path == root or path.startswith(os.path.join(root, ""))
