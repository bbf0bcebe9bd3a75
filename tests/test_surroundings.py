"""The program where things are not as they should be: full disks, closed streams, bare environments, odd pipes."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscan.cli.exits import Exit
from pneumoscan.formats import Format
from tests.records import read

Flat = Callable[[str, int], Path]
Many = Callable[[int], Path]
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tiny_model: Path, tmp_path: Path) -> Shell:
    """Runs a line of bash in which `predict` scans with the tiny model."""
    predict = shlex.join([sys.executable, "-m", "pneumoscan", "predict", "--model", str(tiny_model), "--device", "cpu"])

    def shell(line: str, **options: object) -> subprocess.CompletedProcess[str]:
        script = f'set -o pipefail\npredict() {{ {predict} "$@"; }}\n{line}'
        settings = {"capture_output": True, "text": True, "timeout": 120, "cwd": tmp_path, "check": False}
        return subprocess.run(["bash", "-c", script], **(settings | options))  # type: ignore[call-overload]

    return shell


class TestAFullDisk:
    """On a file system of 1 MiB, mounted where only the test sees it."""

    @pytest.fixture
    def on_small_disk(self, shell: Shell, many: Many, tmp_path: Path) -> Shell:
        many(8000)
        (tmp_path / "small").mkdir()
        if shutil.which("unshare") is None or shell("unshare -Urm true").returncode:
            pytest.skip("needs unshare and the right to use it")

        def on_small_disk(line: str) -> subprocess.CompletedProcess[str]:
            mount = 'mount -t tmpfs -o size=1m none small && eval "$1"; code=$?; cp -a small/. .; exit $code'
            return shell(f"export -f predict; unshare -Urm bash -c {shlex.quote(mount)} - {shlex.quote(line)}")

        return on_small_disk

    @pytest.mark.parametrize("format", [Format.CSV, Format.JSON, Format.JSONL])
    def test_leaves_every_record_that_was_whole_and_names_the_disk(
        self, on_small_disk: Shell, tmp_path: Path, format: Format
    ) -> None:
        result = on_small_disk(f"predict many -q -o small/out.{format}")
        assert result.returncode == Exit.INPUT_ERRORS
        assert (
            f"cannot write small/out.{format}: No space left on device (disk {tmp_path}/small: 0.0 of" in result.stderr
        )
        assert "Traceback" not in result.stderr
        found = read(tmp_path / f"out.{format}", format)
        assert 1000 < len(found) < 8000
        assert [record["path"] for record in found] == [f"many/{number:07}.png" for number in range(len(found))]

    @pytest.mark.parametrize("format", [Format.CSV, Format.JSONL])
    def test_that_gets_room_again_can_be_gone_on_with(
        self, on_small_disk: Shell, shell: Shell, tmp_path: Path, format: Format
    ) -> None:
        on_small_disk(f"predict many -q -o small/out.{format}")
        assert shell(f"predict many -q -o out.{format} --resume").returncode == Exit.OK
        assert len(read(tmp_path / f"out.{format}", format)) == 8000

    def test_stops_one_output_and_not_the_others(self, on_small_disk: Shell, tmp_path: Path) -> None:
        result = on_small_disk("predict many -q -o small/out.jsonl -o whole.csv")
        assert result.returncode == Exit.INPUT_ERRORS
        assert len(read(tmp_path / "whole.csv", Format.CSV)) == 8000


class TestTemporaryData:
    def test_that_finds_no_room_is_told_and_the_older_file_stays(
        self, flat: Flat, tiny_model: Path, tmp_path: Path
    ) -> None:
        flat("in/a.png", 51), flat("in/b.png", 51)
        (tmp_path / "out.csv").write_text("older")
        program = (
            "import sqlite3, sys; from pneumoscan import __main__; from pneumoscan.path_table import PathTable\n"
            "add = PathTable.setdefault\n"
            "def full(self, path, number):\n"
            "    if path.endswith('b.png'): raise sqlite3.OperationalError('database or disk is full')\n"
            "    return add(self, path, number)\n"
            "PathTable.setdefault = full; __main__.main()"
        )
        command = [sys.executable, "-c", program, "predict", "in", "-q", "--model", tiny_model, "-o", "out.csv"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "cannot keep temporary data in" in result.stderr
        assert "set TMPDIR" in result.stderr
        assert "Traceback" not in result.stderr
        assert (tmp_path / "out.csv").read_text() == "older"

    @pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
    @pytest.mark.parametrize("named", [{}, {"TMPDIR": "named"}, {"SQLITE_TMPDIR": "named"}, {"TMPDIR": "gone"}])
    def test_is_looked_for_where_it_is(self, tmp_path: Path, named: dict[str, str]) -> None:
        (tmp_path / "named").mkdir()
        program = (
            "import os; from pneumoscan import path_table; seen = path_table.PathTable()\n"
            "for number in range(40_000): seen.setdefault(f'{number:0100}', number)\n"
            "files = [os.readlink(f'/proc/self/fd/{each.name}') for each in list(os.scandir('/proc/self/fd'))"
            " if os.path.lexists(f'/proc/self/fd/{each.name}')]\n"
            "(spilt,) = [each for each in files if 'etilqs' in each]\n"
            "print(os.path.dirname(spilt)); print(path_table.spill_folder())"
        )
        env = {name: value for name, value in os.environ.items() if not name.endswith("TMPDIR")}
        env |= {name: str(tmp_path / value) for name, value in named.items()}
        command = [sys.executable, "-c", program]
        spilt, told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
        assert spilt == told


class TestPipes:
    def test_into_jq_carry_nothing_but_data(self, shell: Shell, many: Many) -> None:
        if shutil.which("jq") is None:
            pytest.skip("needs jq")
        many(100)
        assert shell("predict many -q | jq -c . > /dev/null").returncode == Exit.OK
        assert shell("predict many -q -f json | jq length").stdout == "100\n"

    @pytest.mark.parametrize("format", ["jsonl", "csv", "json"])
    def test_into_head_end_quietly(self, shell: Shell, many: Many, format: str) -> None:
        many(3000)
        result = shell(f"predict many -q -f {format} | head -1")
        assert (result.returncode, result.stderr) == (Exit.OK, "")
        assert len(result.stdout.splitlines()) == 1

    @pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
    def test_and_files_that_are_named_as_descriptors_are_written_on_from_where_they_stand(
        self, shell: Shell, flat: Flat, tmp_path: Path, name: str
    ) -> None:
        flat("a.png", 51)
        shell(f"{{ echo before; predict a.png -q -f jsonl -o {name}; echo after; }} > all")
        before, record, after = (tmp_path / "all").read_text().splitlines()
        assert (before, json.loads(record)["path"], after) == ("before", "a.png", "after")

    def test_that_do_not_wait_get_everything_all_the_same(self, many: Many, tiny_model: Path, tmp_path: Path) -> None:
        many(1000)
        command = [sys.executable, "-m", "pneumoscan", "predict", "many", "-q", "--model", tiny_model]
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        with subprocess.Popen(command, stdout=writer, cwd=tmp_path) as process, os.fdopen(reader, "rb") as pipe:
            os.close(writer)
            assert len(pipe.read().splitlines()) == 1000
        assert process.returncode == Exit.OK

    def test_whose_reader_sleeps_keep_no_stopped_run_alive_and_no_file_from_its_end(
        self, many: Many, tiny_model: Path, tmp_path: Path
    ) -> None:
        many(2000)
        program = (
            "from pneumoscan import __main__; from pneumoscan.cli import stop; stop.PATIENCE = 0.2; __main__.main()"
        )
        command = [sys.executable, "-c", program, "predict", "many", "-q", "--model", tiny_model]
        command += ["-o", "-", "-o", "out.json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as process:
            assert process.stdout is not None and process.stderr is not None
            output = tmp_path / ".out.json.partial"
            before = 0
            while not output.exists() or (size := output.stat().st_size) == 0 or size != before:
                before = output.stat().st_size if output.exists() else 0
                time.sleep(0.3)  # in which more would come, if the pipe were not full
            process.terminate()
            assert process.wait(25) == Exit.TERMINATED  # before all that hangs is given up
            assert process.stderr.read() == b"pneumoscan: cannot write -: nobody reads it\n"
        assert 0 < len(read(tmp_path / "out.json", Format.JSON)) < 2000

    def test_from_find_bring_any_name(self, shell: Shell, flat: Flat) -> None:
        flat("in/a\nb.png", 51), flat("in/\x1b[31m.png", 204)
        result = shell("find in -name '*.png' -print0 | sort -z | predict --files-from - -0 -q")
        assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["in/\x1b[31m.png", "in/a\nb.png"]

    def test_give_records_of_a_list_while_it_is_still_open_and_stop_at_a_signal(
        self, flat: Flat, tiny_model: Path, tmp_path: Path
    ) -> None:
        flat("a.png", 51)
        command = [sys.executable, "-m", "pneumoscan", "predict", "--files-from", "-", "--model", str(tiny_model)]
        command += ["--batch-size", "1", "--workers", "1", "-q", "-o", "out.csv"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=tmp_path) as process:
            assert process.stdin is not None
            process.stdin.write(b"a.png\n" + b"".join(b"gone%d\n" % number for number in range(50)))
            process.stdin.flush()
            partial = tmp_path / ".out.csv.partial"
            while not partial.exists() or b"a.png" not in partial.read_bytes():
                assert process.poll() is None
            process.terminate()
            assert process.wait(30) == Exit.TERMINATED
        first = next(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
        assert (first["path"], first["label"]) == ("a.png", "NORMAL")


class TestBareSurroundings:
    @pytest.mark.parametrize(
        "setting",
        [
            {"env": {"LC_ALL": "C"}},
            {"env": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
            {"env": {}},
            {"env": {"HOME": "/nonexistent", "PATH": ""}},
            {"cwd": "/proc"},  # nobody can write there, not even root
        ],
    )
    def test_do_not_matter(self, flat: Flat, tiny_model: Path, tmp_path: Path, setting: dict[str, object]) -> None:
        path = flat("ü.png", 204)
        command = [sys.executable, "-m", "pneumoscan", "predict", path, "--model", tiny_model, "-o", "-", "-f", "jsonl"]
        result = subprocess.run(
            [*map(os.fspath, command), "-o", str(tmp_path / "out.csv")],
            capture_output=True,
            check=False,
            **setting,  # type: ignore[call-overload]
        )
        assert result.returncode == Exit.OK
        assert json.loads(result.stdout)["label"] == "PNEUMONIA"
        assert b"1 scanned: 1 pneumonia" in result.stderr
        assert (tmp_path / "out.csv").read_bytes().splitlines()[1].startswith(os.fsencode(path) + b",ok,PNEUMONIA")

    def test_that_cannot_show_a_name_show_it_escaped(self, shell: Shell, flat: Flat) -> None:
        flat("日本é.png", 51)
        result = shell("PYTHONIOENCODING=ascii predict *.png -q -f table")
        assert result.returncode == Exit.OK
        assert r"\u65e5\u672c\xe9.png" in result.stdout

    @pytest.mark.parametrize("closed", ["<&-", "<&- 2>&-", "<&- >&- 2>&-"])
    def test_need_no_open_streams(self, shell: Shell, flat: Flat, tmp_path: Path, closed: str) -> None:
        flat("a.png", 51)
        assert shell(f"predict a.png -o out.csv {closed}").returncode == Exit.OK
        assert len(read(tmp_path / "out.csv", Format.CSV)) == 1

    def test_with_standard_output_closed_cannot_take_what_goes_there(self, shell: Shell, flat: Flat) -> None:
        flat("a.png", 51)
        result = shell("predict a.png >&-")
        assert result.returncode == Exit.USAGE
        assert "standard output is closed" in result.stderr

    @pytest.mark.parametrize("nowhere", ["2>/dev/full", "2> >(true)", "2>&-"])
    @pytest.mark.parametrize("wrong", ["predict x -o bad.xyz", "predict", "predict x -o no/a.csv", "predict --no-such"])
    def test_are_used_wrongly_whoever_reads_it(self, shell: Shell, wrong: str, nowhere: str) -> None:
        assert shell(f"{wrong} {nowhere}").returncode == Exit.USAGE

    def test_with_standard_input_closed_have_no_list(self, shell: Shell) -> None:
        result = shell("predict --files-from - <&-")
        assert result.returncode == Exit.USAGE
        assert "standard input is closed" in result.stderr
