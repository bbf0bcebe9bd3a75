"""How a signal stops a command: no reading goes on, and what is finished is written."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, Self, TypeVar

import typer

from pneumoscan.cli.exits import Exit

T = TypeVar("T")

HANG_UP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""Windows has none."""
GRACE = 30
"""Seconds after a signal when the program ends even though something hangs: a read, or the reader of a pipe."""
PATIENCE = 5
"""Seconds after a signal for which the reader of a pipe is still waited for, before files are completed without it."""
ECHO = 0.2
"""Seconds for which another signal counts as the same: timeout(1) sends its own to the program, then to its group."""


class StopSignal:
    """Ends an iteration at the first SIGINT, SIGTERM or SIGHUP; a later SIGINT or SIGTERM ends the program at once.

    As a context manager, from its end on signals do what they did before.

    Attributes:
        number: of the signal, 0 before there was one.
    """

    def __init__(self) -> None:
        self.number = 0
        self._noted = 0.0
        self._waiting = False
        self._left: list[Iterator[Any]] = []
        self._before: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, HANG_UP):
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def code(self) -> Exit:
        """What the program ends with after the signal."""
        return Exit(128 + self.number)

    @property
    def name(self) -> str:
        """Of the signal, such as SIGTERM; there must have been one."""
        return signal.Signals(self.number).name

    def patience(self) -> float | None:
        """Seconds for which a reader is still to be waited for, below 0 no longer; None before there was a signal."""
        return self._noted + PATIENCE - time.monotonic() if self.number else None

    def until(self, iterator: Iterator[T]) -> Iterator[T]:
        """Yields what the iterator does until the signal, which interrupts it even where it waits for something."""
        try:
            try:
                while True:
                    self._waiting = True
                    if self.number:
                        self._left.append(iterator)  # kept, since to close it would be to wait for a read that hangs
                        break
                    item = next(iterator)
                    self._waiting = False
                    yield item
            except StopIteration:
                pass
            self._waiting = False
        except _Stopped:
            pass

    def exit_if_any(self) -> None:
        """Ends the command with the code of the signal, if there was one."""
        if self.number:
            raise typer.Exit(self.code)

    def release(self) -> None:
        """From here on signals do what they did before: end the program at once."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._noted = time.monotonic()
        self.number = number
        for each in self._before:
            signal.signal(each, signal.SIG_IGN)
        time.sleep(ECHO)
        # A terminal that closes sends SIGHUP twice, by its shell and by the system: nobody is impatient.
        for each in self._before.keys() - {HANG_UP}:
            signal.signal(each, signal.SIG_DFL)
        deadline = threading.Timer(GRACE, os._exit, [self.code])
        deadline.daemon = True
        with suppress(RuntimeError):  # the system lets this process have no more threads
            deadline.start()
        if self._waiting:
            self._waiting = False
            raise _Stopped


class _Stopped(BaseException):
    """Raised out of whatever the iteration waits for, past everything that catches mere errors."""
