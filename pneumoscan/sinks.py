"""Where records go: files that are never half written, pipes, standard output. Knows nothing of scanning."""

import errno
import os
import select
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pneumoscan.atomic import (
    INHERITED,
    NO_LINK,
    NO_ROOM,
    check_replaceable,
    check_writable,
    copy_mode,
    is_file,
    mode_like,
    partial_file,
    remove_link,
    replacing,
    rewritten,
    sync,
)
from pneumoscan.formats import ENCODINGS, Format, to_dict
from pneumoscan.ledger import Ledger
from pneumoscan.records import Record

Patience = Callable[[], float | None]
"""Seconds for which the reader of a pipe is still waited for, 0 or less for no longer; None while nothing presses."""

LOOK = 0.2
"""Seconds between two looks at how much patience is left."""
PIECE: int = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes without waiting as soon as it takes any."""


class Sink(Protocol):
    """One output of a scan."""

    def write(self, record: Record) -> None:
        """Writes one record.

        Raises:
            OSError: it could not be written; what was written before is not harmed.
        """

    def commit(self) -> None:
        """Completes the output with the records written so far, on the disk and in its place.

        Raises:
            OSError: it could not be completed.
        """

    def discard(self) -> None:
        """Lets go of the output. A file at its place to which nothing was written stays as it was."""


def open_sink(
    target: Path | None, format: Format, ledger: Ledger | None = None, patience: Patience = lambda: None
) -> Sink:
    """Opens an output.

    Args:
        target: the file; None for standard output. Links are followed; pipes and devices are written to as they are.
        format: what to write.
        ledger: of a file that is to be resumed.
        patience: with readers of pipes.

    Raises:
        OSError: it cannot be written.
        ModuleNotFoundError: the format needs a library that is not installed; the message says which.
    """
    if format is Format.TABLE:
        from pneumoscan.table import TableSink

        return TableSink(sys.stdout)
    if target is None:
        return StreamSink(sys.stdout.fileno(), format, patience, close=False)
    if not is_file(target):
        inherited = INHERITED.fullmatch(os.fspath(target))
        if inherited:  # opened anew, a file that it leads to would be written from its beginning
            number = {"stdout": 1, "stderr": 2}.get(inherited[1]) or int(inherited[2])
            return StreamSink(os.dup(number), format, patience)
        return StreamSink(os.open(target, os.O_WRONLY), format, patience)
    target = Path(os.path.realpath(target))
    if format is Format.PARQUET:
        from pneumoscan.parquet import ParquetSink

        return ParquetSink(target)
    return FileSink(target, format, ledger)


def growing_place(target: Path, format: Format) -> Path:
    """Where a file grows: JSON Lines in their place, so that others can follow them, anything else beside it."""
    return target if format is Format.JSONL else partial_file(target)


class FileSink:
    """A file of CSV, JSON or JSON Lines, in which each record is whole or not at all.

    What grows beside its place is moved there when it is complete; after a kill a ledger can go on with it.
    """

    def __init__(self, target: Path, format: Format, ledger: Ledger | None = None) -> None:
        """Opens the file, and changes nothing in it before the first record.

        Args:
            target: the file; no link.
            format: CSV, JSON or JSON Lines.
            ledger: of what the file holds already (not for JSON); without it the file begins anew.

        Raises:
            OSError: it cannot be written.
        """
        self._target = target
        self._encoding = ENCODINGS[format]
        self._ledger = ledger
        self._place = growing_place(target, format)
        self._is_copy = False  # of the file that is there
        self._is_new = not self._place.exists()
        if ledger is None and self._place == target:
            check_writable(target)
        else:
            check_replaceable(target)
        rewritten(target).unlink(missing_ok=True)  # left by a kill
        if ledger is not None and ledger.path != self._place:
            self._grow_from(ledger)
        remove_link(self._place)
        # Unbuffered: what is written has left this process, and can be cut back to whole records.
        self._file = open(os.open(self._place, os.O_RDWR | os.O_CREAT | NO_LINK, mode_like(target)), "r+b", buffering=0)  # noqa: SIM115
        copy_mode(target, self._file)
        self._is_begun = False
        self._between = b""
        self._last = self._whole = 0  # bytes up to the last record, and up to its end

    def write(self, record: Record) -> None:
        """Writes one record, but not again what the file says of this input already."""
        self._begin()
        line = self._encoding.record(record)
        if self._ledger is not None and self._ledger.holds(record.path, line):
            return
        start = self._whole
        self._append(self._between + line)
        self._last = start
        self._between = self._encoding.between
        if self._ledger is not None:
            self._ledger.note(start, self._whole, to_dict(record))

    def commit(self) -> None:
        """Ends the file and puts it in its place.

        Raises:
            OSError: it could not be ended; or it is in its place, but its last record had to make room for its end.
        """
        self._begin()
        lack = None
        try:
            self._append(self._encoding.end)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            lack = error
            self._cut(self._last)  # where the last record lay there is room
            self._append(self._encoding.end)
        os.fsync(self._file.fileno())
        self._file.close()
        if self._ledger is not None and self._ledger.superseded:
            self._tidy(self._ledger)
        elif self._place != self._target:
            if self._ledger is not None:
                self._ledger.close_file()
            if self._is_copy:  # whoever waits for news would take it for such
                self._place.unlink()
            else:
                self._place.replace(self._target)
        sync(self._target.parent)
        if lack is not None:
            raise lack

    def discard(self) -> None:
        """Closes the file. Records that have been written stay where they are, for a run that resumes."""
        with suppress(OSError):
            self._file.close()
        if self._is_new and not self._is_begun:
            with suppress(OSError):  # on a disk that can only be read by now
                self._place.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Makes the file ready for records: no sooner than it must, since that empties an older one."""
        if not self._is_begun:
            self._cut(0 if self._ledger is None else self._ledger.end)
            if self._whole == 0:
                self._append(self._encoding.begin)
            self._last = self._whole
            self._is_begun = True

    def _append(self, data: bytes) -> None:
        """Adds bytes, all or none of them."""
        now = os.fstat(self._file.fileno())
        if now.st_nlink == 0 or now.st_size != self._whole or not os.path.samestat(now, os.stat(self._place)):
            raise OSError(errno.ESTALE, "another program moved, removed or changed it")
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._cut(self._whole)
            raise
        self._whole += len(data)
        self._is_copy &= not data

    def _cut(self, end: int) -> None:
        if os.fstat(self._file.fileno()).st_size != end:
            self._file.truncate(end)
            self._is_copy = False
        self._file.seek(end)
        self._whole = end

    def _grow_from(self, ledger: Ledger) -> None:
        """Begins what grows beside the place with a copy of the file there, whole as soon as it has its name."""
        if ledger.path.exists():
            growing = rewritten(self._target)
            with replacing(self._place, growing, like=ledger.path) as file, ledger.path.open("rb") as source:
                shutil.copyfileobj(source, file)
            self._is_copy = True
        ledger.path = self._place

    def _tidy(self, ledger: Ledger) -> None:
        """Writes the file anew with one record for each input, in the order in which they were first found."""
        with replacing(self._target, rewritten(self._target), like=self._place) as file:
            file.write(self._encoding.begin)
            file.writelines(ledger.in_order())
            ledger.close_file()
        if self._place != self._target:
            self._place.unlink()


class StreamSink:
    """Standard output, a pipe or a device: each record goes out at once."""

    def __init__(self, descriptor: int, format: Format, patience: Patience, *, close: bool = True) -> None:
        """Takes an open file descriptor, how long its reader is waited for, and whether it is closed at the end."""
        self._descriptor = descriptor
        self._patience = patience
        self._close = close
        self._encoding = ENCODINGS[format]
        self._before = self._encoding.begin

    def write(self, record: Record) -> None:
        """Sends one record."""
        self._send(self._before + self._encoding.record(record))
        self._before = self._encoding.between

    def commit(self) -> None:
        """Sends the end."""
        if self._before is self._encoding.begin:
            self._send(self._before)
        self._send(self._encoding.end)
        self.discard()

    def discard(self) -> None:
        """Closes the stream."""
        if self._close:
            self._close = False
            os.close(self._descriptor)

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._wait_for_reader()
            with suppress(BlockingIOError):  # whoever shares the pipe has set it so, and was quicker
                rest = rest[os.write(self._descriptor, rest[:PIECE]) :]

    def _wait_for_reader(self) -> None:
        """Waits until something can be written: a write itself would wait for ever for a reader who has stopped."""
        while not self._takes_more():
            left = self._patience()
            if left is not None and left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")

    def _takes_more(self) -> bool:
        try:
            return bool(select.select([], [self._descriptor], [], LOOK)[1])
        except (OSError, ValueError):  # on Windows it is no socket; else writing tells what is wrong
            return True
