import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pneumoscan.cli.exits import Exit
from pneumoscan.cli.watch import _spelt_alike, _ToDo
from pneumoscan.formats import to_json
from pneumoscan.sources import Selection
from pneumoscan.watch import Folders
from tests.records import failed

Flat = Callable[[str, int], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]
Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def watch(tiny_model: Path, tmp_path: Path) -> Iterator[Watch]:
    """Watches the folder `in` in a process of its own."""
    processes = []

    def watch(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "pneumoscan", "watch", "in", "-o", "out.jsonl", "--model", str(tiny_model)]
        command += ["--device", "cpu", "--settle", "0.2", "--poll", "0.5", *arguments]
        settings = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, **(settings | options)))
        return processes[-1]

    (tmp_path / "in").mkdir()
    yield watch
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def records(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []


def wait_for(output: Path, count: int) -> list[dict[str, Any]]:
    """The records, as soon as there are so many."""
    end = time.monotonic() + 30
    while len(found := records(output)) < count:
        assert time.monotonic() < end, f"waited in vain for {count} records, there are {found}"
        time.sleep(0.02)
    return found


def stop(process: "subprocess.Popen[str]", number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("events", ["--events", "--no-events"])
class TestWatching:
    def test_scans_what_is_there_and_then_what_arrives(
        self, watch: Watch, flat: Flat, output: Path, events: str
    ) -> None:
        flat("in/a.png", 51)
        process = watch(events)
        wait_for(output, 1)
        flat("in/b.png", 204)
        flat("in/sub/c.png", 102)
        found = {record["path"]: record["probability"] for record in wait_for(output, 3)}
        assert found == {"in/a.png": 0.2, "in/b.png": 0.8, "in/sub/c.png": 0.4}
        assert stop(process)[0] == Exit.TERMINATED

    def test_waits_until_a_file_stops_growing(self, watch: Watch, flat: Flat, output: Path, events: str) -> None:
        whole = flat("whole.png", 204).read_bytes()
        process = watch(events, "--settle", "1.5")
        with output.with_name("in").joinpath("slow.png").open("wb") as file:
            for part in (whole[:20], whole[20:40], whole[40:]):
                file.write(part)
                file.flush()
                time.sleep(0.7)
        assert [record["probability"] for record in wait_for(output, 1)] == [0.8]
        stop(process)

    def test_scans_a_file_again_that_changes(self, watch: Watch, flat: Flat, output: Path, events: str) -> None:
        flat("in/a.png", 51)
        process = watch(events)
        wait_for(output, 1)
        flat("in/a.png", 204)
        assert [record["probability"] for record in wait_for(output, 2)] == [0.2, 0.8]
        stop(process)
        assert [record["probability"] for record in records(output)] == [0.8]

    def test_passes_over_what_it_is_told_to(self, watch: Watch, flat: Flat, output: Path, events: str) -> None:
        process = watch(events, "--exclude", "skip*", "--include", "*.PNG", "--no-recursive")
        flat("in/.hidden.png", 1), flat("in/skip.png", 2), flat("in/a.jpg", 3), flat("in/sub/b.png", 4)
        flat("in/last.png", 255)
        assert [record["path"] for record in wait_for(output, 1)] == ["in/last.png"]
        stop(process)
        assert len(records(output)) == 1


class TestAWatch:
    def test_goes_on_after_a_kill_without_repeating_anything(self, watch: Watch, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        first = watch()
        wait_for(output, 1)
        first.kill()
        first.wait()
        flat("in/b.png", 204)
        stop_me = watch()
        wait_for(output, 2)
        stop(stop_me)
        assert [record["path"] for record in records(output)] == ["in/a.png", "in/b.png"]

    def test_goes_on_when_nobody_reads_its_messages_any_more(
        self, watch: Watch, flat: Flat, output: Path, unheard: int
    ) -> None:
        process = watch(stderr=unheard)
        flat("in/a.png", 51)
        wait_for(output, 1)
        flat("in/b.png", 204)
        wait_for(output, 2)
        assert stop(process)[0] == Exit.TERMINATED

    def test_does_not_try_a_failed_file_again_until_it_changes(self, watch: Watch, flat: Flat, output: Path) -> None:
        broken = flat("in/a.png", 51)
        whole = broken.read_bytes()
        broken.write_bytes(whole[:40])
        process = watch()
        wait_for(output, 1)
        flat("in/b.png", 204)
        wait_for(output, 2)
        broken.write_bytes(whole)
        wait_for(output, 3)
        _, errors = stop(process)
        assert [(record["path"], record["status"]) for record in records(output)] == [
            ("in/a.png", "ok"),
            ("in/b.png", "ok"),
        ]
        assert errors.count("1 error") == 1
        assert errors.count("pneumoscan: in/a.png: truncated: ") == 1

    def test_of_folders_that_overlap_scans_everything_once(self, watch: Watch, flat: Flat, output: Path) -> None:
        for name in ("a", "b"):
            os.utime(flat(f"in/sub/{name}.png", 51), (0, 0))
        process = watch("in/sub", "in")
        wait_for(output, 2)
        flat("in/c.png", 51)
        wait_for(output, 3)
        assert stop(process)[0] == Exit.TERMINATED
        assert sorted(record["path"] for record in records(output)) == ["in/c.png", "in/sub/a.png", "in/sub/b.png"]

    def test_does_not_scan_its_own_output(self, watch: Watch, flat: Flat, output: Path) -> None:
        process = watch("--include", "*", ".")
        flat("in/a.png", 51)
        wait_for(output, 1)
        flat("in/b.png", 51)
        wait_for(output, 2)
        stop(process)
        assert "out.jsonl" not in {Path(record["path"]).name for record in records(output)}

    def test_ends_when_its_output_is_taken_away_and_begins_anew_when_it_is_started_again(
        self, watch: Watch, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51)
        process = watch()
        wait_for(output, 1)
        output.rename(output.with_name("rotated"))
        flat("in/b.png", 51)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == Exit.INPUT_ERRORS
        assert "cannot write out.jsonl" in errors
        assert errors.count(" scanned") == 1, "what was not written is not counted"
        stop_me = watch()
        wait_for(output, 2)
        stop(stop_me)

    def test_forgets_that_a_folder_could_not_be_read_when_it_can(self, watch: Watch, flat: Flat, output: Path) -> None:
        flat("in/sub/a.png", 51)
        failure = replace(failed("in/sub"), error="permission_denied")
        output.write_bytes(to_json(failure) + b"\n")
        process = watch()
        wait_for(output, 2)
        stop(process)
        assert [record["path"] for record in records(output)] == ["in/sub/a.png"]

    @pytest.mark.parametrize("other", ["./in/sub", "in/sub/", "."])
    def test_of_a_folder_in_another_scans_everything_once(
        self, watch: Watch, flat: Flat, output: Path, other: str
    ) -> None:
        flat("in/sub/a.png", 51)
        process = watch(other)
        (first,) = wait_for(output, 1)
        flat("in/sub/b.png", 204)
        wait_for(output, 2)
        time.sleep(1)  # in which the other folder is walked, too
        stop(process)
        outer = "./in" if other == "." else "in"
        assert (first["path"], len(records(output))) == (f"{outer}/sub/a.png", 2)

    def test_of_one_folder_under_two_spellings_scans_everything_once(
        self, watch: Watch, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51)
        process = watch("./in/")
        wait_for(output, 1)
        time.sleep(1.5)
        stop(process)
        assert [record["path"] for record in records(output)] == ["in/a.png"]

    def test_survives_and_tells_that_its_folder_goes_away_and_comes_back(
        self, watch: Watch, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51)
        process = watch()
        wait_for(output, 1)
        (output.parent / "in").rename(output.parent / "away")
        time.sleep(2)
        (output.parent / "away").rename(output.parent / "in")
        flat("in/b.png", 204)
        assert [record["path"] for record in wait_for(output, 2)] == ["in/a.png", "in/b.png"]
        _, errors = stop(process)
        assert errors.count("in is gone; what it holds is scanned when it is back") == 1
        assert errors.count("in is back") == 1

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
    def test_stops_cleanly_at_a_signal(self, watch: Watch, flat: Flat, output: Path, number: int, code: int) -> None:
        flat("in/a.png", 51)
        process = watch()
        wait_for(output, 1)
        returned, errors = stop(process, number)
        assert (returned, "Traceback" in errors) == (code, False)
        assert sorted(path.name for path in output.parent.iterdir()) == ["in", "out.jsonl"]

    @pytest.mark.parametrize("events", ["--events", "--no-events"])
    def test_takes_nothing_from_behind_links(self, watch: Watch, flat: Flat, output: Path, events: str) -> None:
        folder = output.parent / "in"
        (folder / "sub").mkdir()
        (output.parent / "away").mkdir()
        (folder / "link").symlink_to("../away")
        (folder / "loop").symlink_to(".")
        flat("in/a.png", 51)
        process = watch(events, "--poll", "3")
        wait_for(output, 1)
        flat("away/x.png", 204)
        flat("in/sub/b.png", 204)
        wait_for(output, 2)
        time.sleep(1.5)  # in which events of what else has changed would be followed
        stop(process)
        assert [record["path"] for record in records(output)] == ["in/a.png", "in/sub/b.png"]

    def test_keeps_its_output_from_other_runs(self, watch: Watch, run: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        process = watch()
        wait_for(output, 1)
        result = run("predict", "in", "-o", output, cwd=output.parent)
        assert result.returncode == Exit.OUTPUT_IN_USE == 5
        assert f"in use by another run: process {process.pid} on" in result.stderr
        stop(process)

    def test_tells_the_service_manager_when_it_is_ready_and_when_it_stops(self, watch: Watch, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "s"))
            manager.settimeout(30)
            process = watch(env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "s")})
            assert manager.recv(100) == b"READY=1"
            stop(process)
            assert manager.recv(100) == b"STOPPING=1"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["gone", "-o", "o.jsonl"], "gone is not a directory"),
            ([".", "-o", "o.csv"], "only .jsonl can grow"),
            ([".", "-o", "no/o.jsonl"], "there is no directory no"),
            ([".", "-o", "o.jsonl", "--settle", "nan"], "nan is no finite number"),
            ([".", "-o", "o.jsonl", "--poll", "inf"], "inf is no finite number"),
            ([".", "-o", "old.jsonl"], "Invalid value for -o: old.jsonl cannot be resumed: line 1"),
            ([".", "-o", "pipe.jsonl"], "Invalid value for -o: pipe.jsonl is not a regular file"),
            (["."], "Missing option '--output'"),
        ],
    )
    def test_refuses_what_cannot_work(self, run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
        (tmp_path / "old.jsonl").write_text("hello\n")
        os.mkfifo(tmp_path / "pipe.jsonl")
        result = run("watch", *arguments, cwd=tmp_path, env=os.environ | {"COLUMNS": "200"})
        assert (result.returncode, message in result.stderr) == (Exit.USAGE, True)
        assert (tmp_path / "old.jsonl").read_text() == "hello\n"


def test_a_file_that_changes_while_it_is_read_and_fails_is_wanted_again(flat: Flat) -> None:
    path = flat("a.png", 51)
    scanner = SimpleNamespace(model=SimpleNamespace(sha256="0"), threshold=0.5, max_pixels=1)
    to_do = _ToDo(scanner, SimpleNamespace(owns=lambda _: False, done=lambda *_: None))  # type: ignore[arg-type]
    for changes in (False, True):
        assert list(to_do.begin(iter([str(path)]))) == [str(path)]
        if changes:
            path.write_bytes(b"more of it")
        to_do.end(str(path), failed=True)
        assert to_do.wants(str(path)) == changes


def test_of_files_that_failed_only_those_that_are_there_are_kept_in_mind(flat: Flat, tmp_path: Path) -> None:
    gone, kept = flat("in/a.png", 51), flat("in/b.png", 51)
    scanner = SimpleNamespace(model=SimpleNamespace(sha256="0"), threshold=0.5, max_pixels=1)
    to_do = _ToDo(scanner, SimpleNamespace(owns=lambda _: False, done=lambda *_: None))  # type: ignore[arg-type]
    folders = Folders([str(tmp_path / "in")], Selection(), settle=0, poll=0, events=False)
    rounds = folders.rounds(to_do.wants, walked=to_do.forget_gone)
    tried = []
    while len(tried) < 2:
        for path in to_do.begin(next(rounds)):
            tried.append(path)
            to_do.end(path, failed=True)
    assert tried == [str(gone), str(kept)]
    gone.unlink()
    assert list(next(rounds)) == []
    assert list(to_do._failed) == [str(kept)]
    (tmp_path / "in").rename(tmp_path / "away")  # as a share is for a while
    assert list(next(rounds)) == []
    (tmp_path / "away").rename(tmp_path / "in")
    assert list(next(rounds)) == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds for whatever watches folders, which sleeping puts forward."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("pneumoscan.watch.time.monotonic", lambda: now[0])
    monkeypatch.setattr("pneumoscan.watch.time.sleep", sleep)
    return now


class TestFolders:
    def test_do_not_give_a_file_with_an_old_time_before_it_has_settled(self, flat: Flat, tmp_path: Path) -> None:
        path = flat("in/a.png", 1)
        os.utime(path, (0, 0))  # as copied with its times a moment ago
        folders = Folders([str(tmp_path / "in")], Selection(), settle=60, poll=5, events=False)
        assert list(next(folders.rounds(lambda path: True))) == []

    @pytest.mark.parametrize("slow", ["to walk", "to tell what is wanted"])
    def test_are_walked_less_often_when_walks_take_long(
        self, monkeypatch: pytest.MonkeyPatch, clock: list[float], slow: str
    ) -> None:
        def walk(*_: object) -> Iterator[str]:
            clock[0] += 30 if slow == "to walk" else 0
            yield "a"

        def wanted(_: str) -> bool:
            clock[0] += 30 if slow == "to tell what is wanted" else 0
            return False

        monkeypatch.setattr("pneumoscan.watch.find_files", walk)
        folders = Folders(["in"], Selection(), settle=0, poll=5, events=False)
        walks = []
        for ready in folders.rounds(wanted):
            before = clock[0]
            assert list(ready) == []
            if clock[0] != before:
                walks.append(before)
            if clock[0] > 3000:
                break
        assert [after - before for before, after in pairwise(walks)] == [330] * 6

    def test_fall_back_to_walks_when_native_events_fail(
        self, flat: Flat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        watchfiles = pytest.importorskip("watchfiles")

        def fail(*_: object, **__: object) -> Iterator[set[object]]:
            raise OSError("OS file watch limit reached")

        monkeypatch.setattr(watchfiles, "watch", fail)
        path = flat("in/a.png", 1)
        os.utime(path, (0, 0))
        folders = Folders([str(tmp_path / "in")], Selection(), settle=0, poll=5)
        time.sleep(0.01)
        assert list(next(folders.rounds(lambda path: True))) == [str(path)]
        assert "no native events for 60 s, looking every 5 s instead: OS file watch limit reached" in caplog.text

    def test_try_native_events_again_ever_more_seldom(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
    ) -> None:
        watchfiles = pytest.importorskip("watchfiles")
        tries = []

        def fail(*_: object, **__: object) -> Iterator[set[object]]:
            tries.append(clock[0])
            raise OSError("Unable to decode path")

        monkeypatch.setattr(watchfiles, "watch", fail)
        for ready in Folders([str(tmp_path)], Selection(), settle=0, poll=5).rounds(lambda path: True):
            assert list(ready) == []
            if clock[0] > 15_000:
                break
        assert [after - before for before, after in pairwise(tries)] == [60, 120, 240, 480, 960, 1920, 3600, 3600]

    def test_try_native_events_again_soon_after_they_have_lasted(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        clock: list[float],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        watchfiles = pytest.importorskip("watchfiles")

        def fail_after_a_day(*_: object, **__: object) -> Iterator[set[object]]:
            clock[0] += 86_400
            yield set()
            raise OSError("Unable to decode path")

        monkeypatch.setattr(watchfiles, "watch", fail_after_a_day)
        for ready in Folders([str(tmp_path)], Selection(), settle=0, poll=5).rounds(lambda path: True):
            assert list(ready) == []
            if clock[0] > 400_000:
                break
        assert caplog.text.count("no native events for 60 s") == caplog.text.count("no native events") > 3

    def test_heed_native_events_again_after_a_failure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        watchfiles = pytest.importorskip("watchfiles")
        monkeypatch.setattr("pneumoscan.watch.RETRY", 0.01)
        answers = iter([OSError("Permission denied"), [set(), {(1, str(tmp_path / "b.png"))}]])

        def watch(*_: object, **__: object) -> Iterator[set[tuple[int, str]]]:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            yield from answer

        monkeypatch.setattr(watchfiles, "watch", watch)
        rounds = Folders([str(tmp_path)], Selection(), settle=0, poll=600).rounds(lambda path: True)
        assert list(next(rounds)) == []  # a walk, while nothing is there
        for name in ("a.png", "b.png"):
            (tmp_path / name).write_bytes(b"x")
            os.utime(tmp_path / name, (0, 0))
            time.sleep(0.01)
            if name == "a.png":  # which no event tells of: the walk does that comes when events are back
                assert list(next(rounds)) == [str(tmp_path / name)]
        assert list(next(rounds)) == [str(tmp_path / "b.png")]


def test_folders_behind_links_that_lead_up_are_not_lost_and_crash_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("d", "elsewhere/in", "elsewhere/sub"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "d" / "link").symlink_to("../elsewhere/in")
    assert _spelt_alike(["d", "d/link/.."]) == ["d", "d/link/.."]  # the second is `elsewhere`
    assert _spelt_alike(["d", "d/link/../sub"]) == ["d", "d/link/../sub"]  # there is no d/sub
