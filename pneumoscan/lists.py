"""Lists of paths, as `--files-from` reads them, perhaps while they are written."""

import os
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from select import select
from typing import BinaryIO

from pneumoscan.sources import NOTHING_YET

LONGEST_NAME = 1 << 16
"""Bytes after which a name in a list is given up. No system takes a path of half of that."""

LIST_CHUNK = 1 << 16
"""Bytes of a list that are asked for at once."""

SHORTEST_WAIT, LONGEST_WAIT = 0.01, 1.0
"""Seconds for which a list that fills slowly is waited for before `NOTHING_YET` is said, at first and in the end."""

NUL = b"\0"
USE_NULL = "do NULs end its names? Then use --null"
NO_NULL = "do newlines end its names? Then leave out --null"


def read_list(stream: BinaryIO, separator: bytes = b"\n") -> Iterator[str]:
    r"""Streams the paths in a list, each as soon as its separator has come, and `NOTHING_YET` while none comes.

    Empty names are passed over, the last name needs no separator, lines may end in CR LF, and the first line may begin
    with the byte order mark of UTF-8.

    Args:
        stream: where to read; a pipe that stays open will do.
        separator: one byte, newline or NUL.

    Raises:
        ValueError: the list is in UTF-16, or separated otherwise: a name holds a NUL, does not end within
            `LONGEST_NAME`, or is all that there is and ends with a newline instead of NUL.
        OSError: the stream cannot be read.
    """
    # Of a buffered stream, read() would wait for a full chunk.
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    rest, is_first, has_ended = b"", True, False
    while True:
        yield from _until_readable(stream)
        if not (chunk := read(LIST_CHUNK)):
            break
        *names, rest = (rest + chunk).split(separator)
        if names and is_first:
            names[0], is_first = _begun(names[0], separator), False
        yield from _decode(names, separator)
        has_ended |= bool(names)
        _check_length(rest, separator)
    if separator == NUL and not has_ended and rest.endswith(b"\n"):
        raise ValueError(f"the list holds no NUL: {NO_NULL}")
    yield from _decode([_begun(rest, separator) if is_first else rest], separator)


def _begun(name: bytes, separator: bytes) -> bytes:
    """The first name of a list without a byte order mark, which only lines begin with."""
    is_wide = NUL in name if separator != NUL else len(name) < 4  # every other byte of English is a NUL
    if name.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and is_wide:
        raise ValueError("the list is in UTF-16: save it as UTF-8")
    return name if separator == NUL else name.removeprefix(BOM_UTF8)


def _until_readable(stream: BinaryIO) -> Iterator[str]:
    """Yields `NOTHING_YET` until there is something to read, ever more seldom; not where the system cannot tell."""
    wait = SHORTEST_WAIT
    with suppress(OSError, ValueError, TypeError):  # it has no descriptor, or on Windows it is no socket
        while not select([stream], [], [], wait)[0]:
            yield NOTHING_YET
            wait = min(2 * wait, LONGEST_WAIT)


def _decode(names: Iterable[bytes], separator: bytes) -> Iterator[str]:
    for name in names:
        if NUL in name:
            raise ValueError(f"the list holds a name with a NUL in it: {USE_NULL}")
        _check_length(name, separator)
        if name := name if separator == NUL else name.removesuffix(b"\r"):
            yield os.fsdecode(name)


def _check_length(name: bytes, separator: bytes) -> None:
    if len(name) > LONGEST_NAME:
        raise ValueError(
            f"the list holds a name of more than {LONGEST_NAME >> 10} KiB: "
            + (NO_NULL if separator == NUL else USE_NULL)
        )
