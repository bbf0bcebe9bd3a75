"""A signal ends what goes on, and nothing that hangs or is missing keeps it from that."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from pneumoscan.cli.stop import GRACE, PATIENCE, StopSignal


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopSignal]:
    """Whose deadline never comes."""
    monkeypatch.setattr(threading.Timer, "start", lambda _: None)
    stop = StopSignal()
    yield stop
    stop.release()


def test_between_two_items_closes_nothing_that_might_wait(stop: StopSignal) -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append("waits for a read that hangs")

    taken = []
    for item in stop.until(items()):
        taken.append(item)
        signal.raise_signal(signal.SIGTERM)
    assert (taken, stop.number, closed) == ([0], signal.SIGTERM, [])


def test_closes_nothing_that_might_wait_where_one_iteration_is_inside_another(stop: StopSignal) -> None:
    closed = []

    def items(name: str) -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(name)

    for _ in stop.until(items("rounds")):
        for _ in stop.until(items("a scan")):
            signal.raise_signal(signal.SIGTERM)
    assert (stop.number, closed) == (signal.SIGTERM, [])


def test_ignores_a_signal_that_is_sent_to_program_and_group_alike(
    stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: signal.raise_signal(signal.SIGTERM))
    for _ in stop.until(iter("ab")):
        signal.raise_signal(signal.SIGTERM)
    assert stop.number == signal.SIGTERM


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_after_the_first_signal_another_one_ends_the_program_at_once_unless_the_terminal_sends_it(
    stop: StopSignal, first: signal.Signals
) -> None:
    for _ in stop.until(iter("ab")):
        signal.raise_signal(first)
    signal.raise_signal(signal.SIGHUP)
    assert stop.number == first
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == [signal.SIG_DFL] * 2


def test_is_obeyed_where_no_thread_for_its_deadline_can_be_started(
    stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", failing)
    for _ in stop.until(iter("ab")):
        signal.raise_signal(signal.SIGTERM)
    assert (stop.code, stop.name) == (143, "SIGTERM")


def test_what_hangs_is_given_up_before_the_system_would_kill_the_program() -> None:
    """systemd waits 90 s, Docker 10 s: by then, files are complete."""
    assert PATIENCE < 10
    assert PATIENCE < GRACE < 90
