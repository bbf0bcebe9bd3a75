"""The picture that a record is of, read once more to be shown."""

import os
from collections.abc import Iterable
from pathlib import Path

from pneumoscan import decode
from pneumoscan.records import Record, timestamp


def most_pixels(records: Iterable[Record]) -> int:
    """How many pixels the pictures of records may have: as many as the scan has decoded, whatever its limit was."""
    return max((each.width * each.height for each in records if each.width and each.height), default=0)


def reread(record: Record, root: Path = Path(), size: int | None = None) -> decode.Picture | None:
    """The picture, at `size` as of `decode.decode`; None where its file has changed since it was scored.

    Args:
        record: of a picture that was decoded.
        root: where relative paths begin.
        size: in pixels, or None for the original size.

    Raises:
        DecodeError: it is not there any more, or cannot be read.
    """
    file = decode.read(os.path.join(root, record.path))
    if record.modified not in (None, timestamp(file.modified)):
        return None
    return decode.decode(file.data, size, max_pixels=max(decode.MAX_PIXELS, most_pixels([record])))
