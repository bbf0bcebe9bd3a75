"""That only one run writes an output."""

import json
import logging
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Self

from pneumoscan.atomic import NO_LINK, remove_link

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


class InUseError(Exception):
    """Another run writes the same output; the message names it."""


class Lock:
    """One run at a time on one output, by a lock file beside it, `.NAME.lock`.

    The system frees the lock when its holder ends, however it ends; a file that is left over locks nothing.
    """

    def __init__(self, target: Path) -> None:
        """Takes the lock.

        Raises:
            InUseError: another run holds it.
            OSError: there can be no lock file at that place.
        """
        self._path = target.with_name(f".{target.name}.lock")
        while True:
            remove_link(self._path)
            self._descriptor = self._open()
            try:
                self._lock()
                if self._is_in_place():
                    break
            except BaseException:
                os.close(self._descriptor)
                raise
            os.close(self._descriptor)  # its holder removed it at the same moment
        with suppress(OSError):  # a full disk; only who finds the lock taken reads it
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, json.dumps({"process": os.getpid(), "host": platform.node()}).encode())

    def release(self) -> None:
        """Frees the lock and removes its file."""
        if fcntl is None:  # Windows removes no file that is open
            os.close(self._descriptor)
            with suppress(OSError):  # another run has it open
                self._path.unlink(missing_ok=True)
        else:
            with suppress(OSError):  # on a disk that can only be read by now; a file that is left over locks nothing
                self._path.unlink(missing_ok=True)  # while the lock is held, so that the file is nobody else's
            with suppress(OSError):  # as network file systems answer; closed it is all the same
                os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        except PermissionError:  # another user's, which can be locked all the same
            with suppress(FileNotFoundError):
                return os.open(self._path, os.O_RDONLY | NO_LINK | getattr(os, "O_NONBLOCK", 0))
            raise

    def _lock(self) -> None:
        if fcntl is None:
            log.warning("this platform has no file locks: see to it that no other run uses %s", self._path)
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(f"in use by another run{self._holder()}") from None
        except OSError as error:  # some network file systems have no locks
            log.warning("%s cannot be locked (%s): see to it that no other run uses it", self._path, error.strerror)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            holder = json.loads(os.read(self._descriptor, 4096))
            if holder["host"] == platform.node() and not _runs(holder["process"]):  # who could not write its own name
                return ""
            return f": process {holder['process']} on {holder['host']}"
        except (ValueError, KeyError, TypeError, OverflowError, OSError):  # it has the lock, but has not said so yet
            return ""


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    return True
