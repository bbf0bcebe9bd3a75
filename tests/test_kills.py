"""Runs that are killed at any instant, or started together, and what their outputs hold then."""

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from pneumoscan.cli.exits import Exit
from pneumoscan.formats import Format
from pneumoscan.sinks import growing_place

Flat = Callable[[str, int], Path]
Start = Callable[..., ForkServerProcess]

KILLS = 50
"""For each format."""

pytestmark = pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="needs fork")


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Start:
    """Starts a scan of the folder `in` in a process that has everything imported already, to be killed in time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_kills", "pneumoscan.cli", "pneumoscan.scan"])

    def start(*arguments: str) -> ForkServerProcess:
        command = ["predict", "in", "--model", str(tiny_model), "--device", "cpu", "--batch-size", "2", *arguments]
        process = context.Process(target=scan, args=(tmp_path, command))
        process.start()
        return process

    return start


def scan(folder: Path, command: list[str]) -> None:
    from pneumoscan.cli import app

    os.chdir(folder)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    app(command, prog_name="pneumoscan")


@pytest.fixture
def folder(flat: Flat, tmp_path: Path) -> Path:
    """Sound and broken files with ordinary and odd names."""
    for number in range(256):
        path = flat(f"in/{number:03}.png", number)
        if number % 10 == 3:
            path.write_bytes(path.read_bytes()[:-30])
        if number % 10 == 5:
            path.rename(path.with_name(f"{number:03},\n\"'.png"))
        if number % 10 == 7:
            path.rename(os.fsdecode(os.fsencode(path) + b"\xff.png"))
    return tmp_path / "in"


def finish(process: ForkServerProcess) -> int | None:
    process.join(60)
    return process.exitcode


def size(place: Path) -> int:
    return place.stat().st_size if place.exists() else 0


@pytest.mark.parametrize("format", [Format.CSV, Format.JSONL])
@pytest.mark.usefixtures("folder")
def test_a_run_killed_at_any_instant_and_resumed_gives_the_file_of_an_undisturbed_one(
    start: Start, tmp_path: Path, format: Format
) -> None:
    output = tmp_path / f"out.{format}"
    for _ in range(2):  # the first start takes longer than those to come
        begun = time.monotonic()
        assert finish(start("-o", str(output))) == Exit.INPUT_ERRORS
        duration = time.monotonic() - begun
    undisturbed = output.read_bytes()
    assert finish(start("-o", str(output), "--threshold", "0.1")) == Exit.INPUT_ERRORS
    older = output.read_bytes()
    assert older != undisturbed
    place = growing_place(output, format)
    instants = random.Random(20)
    cut_short = 0
    for _ in range(KILLS):
        output.unlink()
        if instants.random() < 0.5:
            output.write_bytes(older)
        arguments = ["-o", str(output)]
        for _ in range(instants.choice([1, 1, 2])):
            process = start(*arguments)
            instant, growth = instants.uniform(0, duration), instants.uniform(0, len(undisturbed))
            if instants.random() < 0.5:
                time.sleep(instant)
            else:  # however long that takes on a machine that has other work
                while process.is_alive() and size(place) < growth:
                    time.sleep(0.0005)
            process.kill()
            assert finish(process) in (-9, Exit.INPUT_ERRORS)
            arguments = ["-o", str(output), "--resume"]
        cut_short += 0 < size(place) < len(undisturbed)
        assert finish(start(*arguments)) == Exit.INPUT_ERRORS
        assert output.read_bytes() == undisturbed
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in", output.name]
    assert cut_short > KILLS / 5, "too few kills came while the file was growing"


@pytest.mark.parametrize("format", [Format.CSV, Format.JSON, Format.JSONL])
def test_of_two_runs_started_together_on_one_output_one_finishes_and_one_is_refused(
    start: Start, flat: Flat, tmp_path: Path, format: Format
) -> None:
    first = flat("in/0.png", 51)
    for number in range(1, 3000):
        os.link(first, first.with_name(f"{number}.png"))
    output = tmp_path / f"out.{format}"
    both = [start("-o", str(output)), start("-o", str(output))]
    assert sorted(map(str, map(finish, both))) == ["0", "5"]
    together = output.read_bytes()
    assert finish(start("-o", str(output))) == Exit.OK
    assert output.read_bytes() == together
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", output.name]
