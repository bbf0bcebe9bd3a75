"""The command `predict` as its users meet it: in a process of its own, in pipes, under signals."""

import csv
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pneumoscan import models
from pneumoscan.cli.exits import Exit
from pneumoscan.formats import COLUMNS
from tests.conftest import ROOT
from tests.tiny_model import write_model

Run = Callable[..., subprocess.CompletedProcess[str]]
Flat = Callable[[str, int], Path]
Many = Callable[[int], Path]


@pytest.fixture
def predict(run: Run, tiny_model: Path) -> Run:
    return lambda *arguments, **options: run("predict", "--model", tiny_model, "--device", "cpu", *arguments, **options)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TestOutput:
    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_may_be_a_named_pipe_that_another_program_reads(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "o.jsonl")
        with subprocess.Popen(["cat", tmp_path / "o.jsonl"], stdout=subprocess.PIPE, text=True) as reader:
            assert predict(flat("a.png", 51), "-o", tmp_path / "o.jsonl", timeout=60).returncode == Exit.OK
            assert [record["probability"] for record in lines(reader.communicate(timeout=60)[0])] == [0.2]

    def test_in_a_pipe_is_json_lines_and_nothing_else(self, predict: Run, flat: Flat) -> None:
        result = predict(flat("a.png", 51), flat("b.png", 204))
        assert [record["probability"] for record in lines(result.stdout)] == [0.2, 0.8]
        assert result.returncode == Exit.OK

    @pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
    def test_on_standard_output_has_the_format_asked_for(self, predict: Run, flat: Flat, format: str) -> None:
        text = predict(flat("a.png", 51), "-f", format).stdout
        records = {
            "csv": lambda: list(csv.DictReader(text.splitlines())),
            "json": lambda: json.loads(text),
            "jsonl": lambda: lines(text),
        }[format]()
        assert [float(record["probability"]) for record in records] == [0.2]
        assert tuple(records[0]) == COLUMNS

    def test_in_files_has_the_format_of_their_suffixes(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        out = [tmp_path / name for name in ("o.csv", "o.json", "o.jsonl", "o.ndjson")]
        result = predict(flat("a.png", 51), *(word for path in out for word in ("-o", path)))
        assert result.stdout == ""
        assert next(csv.DictReader(out[0].read_text().splitlines()))["probability"] == "0.2"
        assert json.loads(out[1].read_text())[0]["probability"] == 0.2
        assert lines(out[2].read_text()) == lines(out[3].read_text()) == json.loads(out[1].read_text())

    def test_in_files_without_a_telling_suffix_has_the_format_asked_for(
        self, predict: Run, flat: Flat, tmp_path: Path
    ) -> None:
        predict(flat("a.png", 51), "-o", tmp_path / "o.txt", "-f", "csv")
        assert (tmp_path / "o.txt").read_text().startswith("path,status,")

    def test_goes_to_a_file_and_to_standard_output_in_one_run(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        result = predict(flat("a.png", 51), "-o", tmp_path / "o.csv", "-o", "-", "-f", "table")
        assert (tmp_path / "o.csv").exists()
        assert "NORMAL" in result.stdout

    def test_on_a_terminal_is_a_table_with_progress_kept_off_it(
        self, flat: Flat, tiny_model: Path, tmp_path: Path
    ) -> None:
        terminal, child = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, flat("a.png", 204).name],
            stdout=child,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        os.close(child)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
        assert process.wait() == Exit.OK
        assert re.search(r"a\.png\s.*PNEUMONIA.*80\.0%\s+bacterial", re.sub(r"\x1b\[[\d;]*m", "", shown.decode()))

    def test_summarises_on_standard_error(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        result = predict(flat("a.png", 51), flat("b.png", 204), flat("c.png", 127), tmp_path / "gone.jpg")
        assert re.search(
            r"^4 scanned: 2 normal, 1 pneumonia, 1 error; 1 for review\. [\d.]+ s on cpu\.$",
            result.stderr,
            re.MULTILINE,
        )
        assert "not a medical device" in result.stderr

    def test_names_inputs_as_they_were_named(self, predict: Run, flat: Flat) -> None:
        path = flat("a.png", 51)
        assert lines(predict("./a.png", cwd=path.parent).stdout)[0]["path"] == "./a.png"

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
    def test_to_a_file_needs_no_open_streams(self, flat: Flat, tiny_model: Path, tmp_path: Path, closed: str) -> None:
        command = [
            sys.executable,
            "-m",
            "pneumoscan",
            "predict",
            "--model",
            tiny_model,
            flat("a.png", 51),
            "-o",
            "o.csv",
        ]
        line = " ".join(shlex.quote(str(word)) for word in command) + f" {closed}"
        assert subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=False).returncode == Exit.OK
        assert len(list(csv.DictReader((tmp_path / "o.csv").read_text().splitlines()))) == 1

    def test_shows_no_progress_bar_when_standard_error_is_no_terminal(self, predict: Run, flat: Flat) -> None:
        assert "\r" not in predict(flat("a.png", 51)).stderr

    def test_is_silent_on_standard_error_when_quiet(
        self, run: Run, tiny_model: Path, flat: Flat, tmp_path: Path
    ) -> None:
        nonsense = b"Exif\0\0II*\0\xff\xff\xff\xff"
        Image.open(flat("a.png", 51)).save(tmp_path / "b.jpg", exif=nonsense)
        result = run("predict", "--quiet", "--model", tiny_model, tmp_path / "a.png", tmp_path / "b.jpg")
        assert [record["status"] for record in lines(result.stdout)] == ["ok", "ok"]
        assert result.stderr == ""

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_keeps_a_name_that_is_not_utf8(self, predict: Run, flat: Flat) -> None:
        path = flat("a.png", 51)
        odd = path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff\n.png"))
        for format in ("jsonl", "csv"):
            text = predict(odd.parent, "-f", format).stdout
            found = lines(text)[0]["path"] if format == "jsonl" else next(csv.reader([*text.splitlines(True)[1:]]))[0]
            assert os.fsencode(found) == os.fsencode(odd)


class TestOptions:
    def test_the_threshold_decides_the_label(self, predict: Run, flat: Flat) -> None:
        (record,) = lines(predict(flat("a.png", 204), "--threshold", "0.9").stdout)
        assert (record["label"], record["threshold"]) == ("NORMAL", 0.9)

    def test_batch_size_and_workers_change_no_result(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        for number in range(30):
            flat(f"{number}.png", number)
        alone = predict(tmp_path, "--batch-size", 1, "--workers", 1).stdout
        assert predict(tmp_path, "--batch-size", 7, "--workers", 8).stdout == alone

    def test_help_names_every_exit_code(self, run: Run) -> None:
        text = run("predict", "--help").stdout.split("Exit codes:")[1].split("Research")[0]
        assert sorted(map(int, re.findall(r"\d+", text))) == sorted(Exit)


class TestWhatIsScanned:
    @pytest.fixture
    def scanned(self, predict: Run, flat: Flat, tmp_path: Path) -> Callable[..., list[str]]:
        for name in ("in/a.png", "in/b.png", "in/sub/c.png", "in/sub/d.dat", "in/thumbs/e.png"):
            flat("picture.png", 51).rename(_with_parents(tmp_path / name))

        def scanned(*arguments: object, **options: object) -> list[str]:
            result = predict(*arguments, "-q", cwd=tmp_path, **options)
            return [record["path"] for record in lines(result.stdout)]

        return scanned

    def test_are_directories_with_all_that_they_hold(self, scanned: Callable[..., list[str]]) -> None:
        assert scanned("in") == ["in/a.png", "in/b.png", "in/sub/c.png", "in/thumbs/e.png"]

    def test_are_directories_alone_without_recursion(self, scanned: Callable[..., list[str]]) -> None:
        assert scanned("in", "--no-recursive") == ["in/a.png", "in/b.png"]

    def test_is_chosen_by_globs(self, scanned: Callable[..., list[str]]) -> None:
        assert scanned("in", "--include", "*.dat", "--include", "a*") == ["in/a.png", "in/sub/d.dat"]
        assert scanned("in", "--exclude", "thumbs", "--exclude", "sub/c*") == ["in/a.png", "in/b.png"]

    def test_is_everything_once_in_one_of_the_shards(self, scanned: Callable[..., list[str]]) -> None:
        parts = [scanned("in", "--shard", f"{k}/3") for k in (1, 2, 3)]
        assert sorted(chain.from_iterable(parts)) == scanned("in")

    def test_follows_links_to_directories_when_told_to(self, scanned: Callable[..., list[str]], tmp_path: Path) -> None:
        (tmp_path / "in/loop").symlink_to("sub")
        (tmp_path / "in/sub/up").symlink_to("..")
        assert len(scanned("in")) == 4
        assert scanned("in", "--follow-links", "--exclude", "thumbs") == [
            "in/a.png",
            "in/b.png",
            "in/loop/c.png",
            "in/sub/c.png",
        ]

    @pytest.mark.parametrize(
        ("text", "options"),
        [(b"in/b.png\nin/a.png\n", []), (b"in/b.png\r\n\nin/a.png", []), (b"in/b.png\0in/a.png\0", ["-0"])],
    )
    def test_is_listed_in_a_file(
        self, scanned: Callable[..., list[str]], tmp_path: Path, text: bytes, options: list[str]
    ) -> None:
        (tmp_path / "list").write_bytes(text)
        assert scanned("--files-from", "list", *options) == ["in/b.png", "in/a.png"]
        with (tmp_path / "list").open("rb") as stdin:
            assert scanned("in/sub", "--files-from", "-", *options, stdin=stdin) == [
                "in/sub/c.png",
                "in/b.png",
                "in/a.png",
            ]
        (tmp_path / "list").write_text("in/sub\nin/b.png")
        assert scanned("--files-from", "list") == ["in/sub/c.png", "in/b.png"]  # folders in it are walked

    def test_is_everything_once_however_often_it_is_named(self, scanned: Callable[..., list[str]]) -> None:
        assert scanned("in/sub", "in/sub/c.png", "in/sub") == ["in/sub/c.png"]
        assert scanned("./in/sub", "in//sub/./c.png") == ["./in/sub/c.png"]

    def test_is_everything_once_but_what_a_link_may_lead_elsewhere(
        self, scanned: Callable[..., list[str]], flat: Flat, tmp_path: Path
    ) -> None:
        flat("other/a.png", 20)
        (tmp_path / "other" / "deep").mkdir()
        (tmp_path / "in" / "link").symlink_to(tmp_path / "other" / "deep")
        assert scanned("in/a.png", "in/link/../a.png") == ["in/a.png", "in/link/../a.png"]

    def test_is_told_apart_from_a_folder_of_its_name(self, scanned: Callable[..., list[str]]) -> None:
        assert scanned("in/a.png/", "in/a.png/.", "in/a.png", "in/./a.png") == ["in/a.png/", "in/a.png"]

    def test_is_in_one_shard_however_it_is_spelt(self, scanned: Callable[..., list[str]]) -> None:
        both = ("in/a.png", "./in/a.png", "in//b.png", "in/b.png")
        parts = [scanned(*both, "--shard", f"{k}/3") for k in (1, 2, 3)]
        assert sorted(chain.from_iterable(parts)) == ["in//b.png", "in/a.png"]

    def test_is_told_where_it_is_passed_over(
        self, predict: Run, scanned: Callable[..., list[str]], tmp_path: Path
    ) -> None:
        (tmp_path / "in/loop").symlink_to("sub")
        (tmp_path / "in/.hidden").touch()

        def told(*options: str) -> list[str]:
            lines = predict("in", *options, cwd=tmp_path).stderr.splitlines()
            return [line for line in lines if line.startswith("Skipped")]

        links = "1 link to folders (see --follow-links)"
        assert told() == [f"Skipped: 1 file with other names (see --include), {links}."]
        assert told("--follow-links") == ["Skipped: 2 files with other names (see --include)."]
        assert told("--include", "a*") == [f"Skipped: {links}."]
        assert told("--follow-links", "--exclude", "*.dat") == told("-q") == []

    def test_is_not_told_of_what_it_has_written_itself(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 51)
        for _ in range(2):
            result = predict("x", "-o", "x/o.jsonl", "-o", "x/o.csv", "--report", "x/r.html", "--resume", cwd=tmp_path)
            assert (result.returncode, "Skipped" in result.stderr) == (Exit.OK, False)
        assert "Skipped: 3 files with other names" in predict("x", cwd=tmp_path).stderr

    def test_that_fails_is_named_with_its_reason_up_to_five(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 51)
        for number in range(7):
            (tmp_path / "x" / f"{number}.png").touch()
        result = predict("x", "gone\x1b.png", "-o", "o.csv", cwd=tmp_path)
        assert result.returncode == Exit.INPUT_ERRORS
        named = [line for line in result.stderr.splitlines() if ": empty_file: " in line or "not_found" in line]
        assert named == [f"pneumoscan: x/{number}.png: empty_file: the file is empty" for number in range(5)]
        assert "\npneumoscan: 3 more errors; each has its record\n9 scanned: 1 normal, 8 errors" in result.stderr
        one = predict("gone\x1b.png", cwd=tmp_path)
        assert one.stderr.splitlines()[0] == "pneumoscan: gone\\x1b.png: not_found: no such file"
        for quiet in (["-q"], ["-f", "table"]):
            assert "not_found" not in predict("gone.png", *quiet, cwd=tmp_path).stderr

    def test_is_told_where_all_of_it_is_passed_over(self, predict: Run, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        for name in ("a.dcm", "b.dcm"):
            (tmp_path / "x" / name).touch()
        result = predict("x", cwd=tmp_path)
        assert result.returncode == Exit.NOTHING_TO_SCAN
        assert result.stderr == (
            "pneumoscan: nothing to scan: no pictures in x; skipped: 2 files with other names (see --include)\n"
        )

    def test_is_no_picture_above_the_limit(self, predict: Run, flat: Flat) -> None:
        (record,) = lines(predict(flat("a.png", 51), "--max-pixels", 1199).stdout)
        assert (record["error"], record["width"], record["probability"]) == ("too_large", 40, None)
        assert lines(predict(flat("a.png", 51), "--max-pixels", 1200).stdout)[0]["status"] == "ok"

    def test_is_whatever_the_content_says_not_the_suffix(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("a.png", 51).rename(tmp_path / "a.jpg")
        (tmp_path / "b.png").write_text("<svg/>")
        assert [record["error"] for record in lines(predict(tmp_path).stdout)] == [None, "not_an_image"]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_are_no_pipes_sockets_or_devices_and_none_of_them_blocks(self, predict: Run, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        (tmp_path / "device.jpg").symlink_to("/dev/zero")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "socket.jpg"))
            records = lines(predict(tmp_path).stdout)
        assert [(record["error"], record["message"]) for record in records] == [("io_error", "not a regular file")] * 3

    def test_in_a_list_that_is_still_open_is_scanned_as_it_comes(self, tiny_model: Path, flat: Flat) -> None:
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        command += ["--files-from", "-", "-f", "jsonl", "-q"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            kill = threading.Timer(60, process.kill)  # in place of waiting for ever
            kill.start()
            assert process.stdin and process.stdout
            for brightness in (20, 204):
                path = flat(f"{brightness}.png", brightness)
                process.stdin.write(f"{path}\n{path}\n".encode())
                process.stdin.flush()
                assert json.loads(process.stdout.readline())["path"] == str(path)  # before the next path is there
            process.stdin.close()
            assert process.wait() == Exit.OK
            kill.cancel()

    def test_in_a_list_that_goes_wrong_is_what_came_before(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        names = [flat(f"{number:02}.png", 51).name for number in range(40)]
        (tmp_path / "list").write_bytes("\n".join([*names, "b\0c", "00.png"]).encode())
        result = predict("--files-from", "list", cwd=tmp_path)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "--null" in result.stderr
        assert [record["path"] for record in lines(result.stdout)] == names

    def test_is_not_the_output(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("in/a.png", 51)
        for _ in range(2):
            result = predict("in", "in/o.jsonl", "--include", "*", "-o", "in/o.jsonl", cwd=tmp_path)
            assert result.returncode == Exit.OK
        assert [record["path"] for record in lines((tmp_path / "in/o.jsonl").read_text())] == ["in/a.png"]


class TestFailOnPneumonia:
    def test_exits_with_10_when_there_is_one(self, predict: Run, flat: Flat) -> None:
        assert predict(flat("a.png", 51), flat("b.png", 204), "--fail-on", "pneumonia").returncode == 10

    def test_exits_with_0_when_there_is_none(self, predict: Run, flat: Flat) -> None:
        assert predict(flat("a.png", 51), "--fail-on", "pneumonia").returncode == Exit.OK

    def test_gives_way_to_errors(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        result = predict(flat("a.png", 204), tmp_path / "gone", "--fail-on", "pneumonia")
        assert result.returncode == Exit.INPUT_ERRORS


class TestExitCode:
    def test_is_1_when_an_input_ended_in_an_error(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        result = predict(flat("a.png", 51), tmp_path / "gone.jpg")
        assert result.returncode == Exit.INPUT_ERRORS == 1
        assert [record["error"] for record in lines(result.stdout)] == [None, "not_found"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "name pictures or directories"),
            ([""], "a path is empty"),
            (["x", "--threshold", "2"], "2.0 is not in the range"),
            (["x", "--batch-size", "0"], "0 is not in the range"),
            (["x", "--workers", "0"], "0 is not in the range"),
            (["x", "--device", "tpu"], "'tpu' is not a device: name auto, cpu, cuda"),
            (["x", "--device", "cuda:0,0"], "'cuda:0,0' is not a device"),
            (["x", "-f", "xml"], "'xml' is not one of"),
            (["x", "-o", "o.xml"], "name the file .csv, .json, .jsonl or .parquet, or add --format"),
            (["x", "-o", "no/o.csv"], "there is no directory no"),
            (["x", "-o", "."], ". is a directory: name a file in it, such as scores.csv"),
            (["x", "-o", "o.csv", "-f", "json"], "json fits no output"),
            (["x", "--nonsense"], "No such option"),
            (["x", "-o", "o.csv", "-o", "./o.csv"], "o.csv is named twice"),
            (["x", "-o", "o.txt", "-f", "table"], "a table is for standard output only"),
            (["x", "-f", "parquet"], "Parquet can be written to a file only"),
            (["x", "--max-pixels", "0"], "0 is not in the range"),
            (["x", "--fail-on", "normal"], "'normal' is not"),
            (["x", "--shard", "3/2"], "expected K/N with 1 <= K <= N"),
            (["x", "--shard", "half"], "expected K/N with 1 <= K <= N"),
            (["x", "--null"], "goes with --files-from"),
            (["--files-from", "gone"], "cannot read gone: No such file or directory"),
        ],
    )
    def test_is_2_when_the_command_is_wrong(self, run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
        result = run("predict", *arguments, cwd=tmp_path, env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"})
        assert result.returncode == Exit.USAGE == 2
        assert message in result.stderr
        assert result.stdout == ""
        assert list(tmp_path.iterdir()) == []

    def test_is_2_when_an_output_is_a_picture(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        before = flat("a.png", 51).read_bytes(), flat("b.png", 204).read_bytes()
        result = predict(
            "a.png", "-o", "o.csv", "-o", "b.png", "-f", "csv", cwd=tmp_path, env=os.environ | {"COLUMNS": "200"}
        )
        assert result.returncode == Exit.USAGE
        assert "b.png is a picture, which would be lost" in result.stderr
        assert ((tmp_path / "a.png").read_bytes(), (tmp_path / "b.png").read_bytes()) == before
        assert len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.iterdir()))

    def test_is_2_when_an_output_is_the_list_of_inputs(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        names = f"{flat('a.png', 51)}\n"
        (tmp_path / "list.csv").write_text(names)
        result = predict(
            "--files-from", "list.csv", "-o", "./list.csv", cwd=tmp_path, env=os.environ | {"COLUMNS": "200"}
        )
        assert result.returncode == Exit.USAGE
        assert "list.csv is the list of what to scan, which would be lost" in result.stderr
        assert (tmp_path / "list.csv").read_text() == names

    def test_is_2_when_the_page_is_the_list_of_inputs(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        names = f"{flat('a.png', 51)}\n"
        (tmp_path / "list.html").write_text(names)
        result = predict("--files-from", "list.html", "--report", "list.html", "-o", "a.csv", cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert "list.html is the list of what to scan" in result.stderr
        assert (tmp_path / "list.html").read_text() == names

    @pytest.mark.parametrize(
        "arguments", [["predict", "."], ["watch", ".", "-o", "o.jsonl"], ["evaluate", "."], ["explain", "x.png"]]
    )
    def test_is_2_when_the_threshold_is_no_number(self, run: Run, tmp_path: Path, arguments: list[str]) -> None:
        result = run(*arguments, "--threshold", "nan", cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert "nan is no finite number" in result.stderr

    def test_is_2_when_an_output_cannot_be_opened(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.fspath(tmp_path / "o.jsonl"))
        listening.close()
        (tmp_path / "older.jsonl").write_text("older")
        outputs = [word for name in ("o.csv", "older.jsonl", "o.jsonl") for word in ("-o", tmp_path / name)]
        result = predict(flat("a.png", 51), *outputs)
        assert result.returncode == Exit.USAGE
        assert "cannot write" in result.stderr
        assert not (tmp_path / "o.csv").exists()
        assert (tmp_path / "older.jsonl").read_text() == "older"

    def test_is_2_when_the_current_directory_is_gone(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        picture = flat("a.png", 51)
        script = f'mkdir gone && cd gone && rmdir ../gone && exec {shlex.quote(sys.executable)} -m pneumoscan "$@"'
        command = ["sh", "-c", script, "sh", "predict", picture, "-o", "o.csv"]
        environment = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
        assert result.returncode == Exit.USAGE
        assert result.stderr == "pneumoscan: the current directory is gone: go to another one\n"

    def test_is_2_when_an_output_has_a_name_that_no_file_can_have(self, predict: Run, flat: Flat) -> None:
        result = predict(flat("a.png", 51), "-o", f"{'x' * 300}.csv")
        assert (result.returncode, result.stdout) == (Exit.USAGE, "")
        assert "File name too long" in result.stderr
        assert "Traceback" not in result.stderr

    def test_is_3_when_there_is_nothing_to_scan_and_older_output_stays(self, predict: Run, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "o.jsonl").write_text("older")
        result = predict(tmp_path / "in", "-o", tmp_path / "o.jsonl")
        assert result.returncode == Exit.NOTHING_TO_SCAN == 3
        assert "nothing to scan" in result.stderr
        assert (tmp_path / "o.jsonl").read_text() == "older"

    def test_is_0_when_all_pictures_fall_to_other_parts_whose_output_is_then_empty(
        self, predict: Run, flat: Flat, tmp_path: Path
    ) -> None:
        flat("x/a.png", 51)
        (tmp_path / "empty").mkdir()
        for part in (1, 2, 3):
            (tmp_path / f"{part}.jsonl").write_text("older")
            result = predict("x", "--shard", f"{part}/3", "-o", f"{part}.jsonl", cwd=tmp_path)
            assert result.returncode == Exit.OK
            assert predict("empty", "--shard", f"{part}/3", cwd=tmp_path).returncode == Exit.NOTHING_TO_SCAN
        assert sorted(len((tmp_path / f"{part}.jsonl").read_text().splitlines()) for part in (1, 2, 3)) == [0, 0, 1]
        for part in (1, 2):
            (tmp_path / f"{part}.html").write_text("older")
            assert predict("x", "--shard", f"{part}/2", "--report", f"{part}.html", cwd=tmp_path).returncode == Exit.OK
            assert "Worklist" in (tmp_path / f"{part}.html").read_text()

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--include", "*.xyz"], "with --include"),
            (["--exclude", "*.png", "--no-recursive"], "with --exclude and --no-recursive"),
        ],
    )
    def test_is_3_with_the_options_that_left_nothing(
        self, predict: Run, flat: Flat, tmp_path: Path, options: list[str], told: str
    ) -> None:
        flat("x/a.png", 51)
        result = predict("x", *options, cwd=tmp_path)
        assert result.returncode == Exit.NOTHING_TO_SCAN
        assert result.stderr.splitlines()[0].split("; skipped")[0].endswith(f"no pictures in x {told}")

    def test_comes_with_a_message_in_which_names_are_inert(self, predict: Run, tmp_path: Path) -> None:
        (tmp_path / "\x1b[31m").mkdir()
        assert r"\x1b[31m" in predict(tmp_path / "\x1b[31m").stderr

    @pytest.mark.parametrize("content", [None, "hello"])
    def test_is_4_when_the_model_is_unavailable_and_older_output_stays(
        self, run: Run, flat: Flat, tmp_path: Path, content: str | None
    ) -> None:
        if content:
            (tmp_path / "m.onnx").write_text(content)
        (tmp_path / "o.jsonl").write_text("older")
        result = run("predict", flat("a.png", 1), "--model", tmp_path / "m.onnx", "-o", tmp_path / "o.jsonl")
        assert result.returncode == Exit.UNAVAILABLE == 4
        assert result.stderr.startswith("pneumoscan: ")
        assert (tmp_path / "o.jsonl").read_text() == "older"

    def test_is_4_when_the_model_is_damaged_and_older_output_stays(self, run: Run, flat: Flat, tmp_path: Path) -> None:
        shutil.copytree(models.file_of("fast").parent, tmp_path / "fast")
        path = tmp_path / "fast" / "model.onnx"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1  # somewhere in the weights
        path.write_bytes(data)
        (tmp_path / "o.jsonl").write_text("older")
        result = run("predict", flat("a.png", 51), "-q", "--model", path, "-o", tmp_path / "o.jsonl")
        assert result.returncode == Exit.UNAVAILABLE
        assert "model.onnx is damaged, or was replaced" in result.stderr
        assert (tmp_path / "o.jsonl").read_text() == "older"

    def test_is_4_when_cuda_is_asked_for_and_does_not_run(self, run: Run, flat: Flat, tiny_model: Path) -> None:
        result = run("predict", flat("a.png", 1), "--model", tiny_model, "--device", "cuda")
        if result.returncode == Exit.OK:
            assert lines(result.stdout)[0]["device"] == "cuda"
        else:
            assert result.returncode == Exit.UNAVAILABLE
            assert "CUDA cannot be used: " in result.stderr
            assert result.stdout == ""


class TestInterruption:
    @pytest.mark.parametrize(
        ("name", "code"), [("SIGINT", Exit.INTERRUPTED), ("SIGTERM", Exit.TERMINATED), ("SIGHUP", Exit.HANGUP)]
    )
    def test_writes_what_is_finished_and_says_so_in_the_exit_code(
        self, many: Many, tmp_path: Path, tiny_model: Path, name: str, code: Exit
    ) -> None:
        outputs = [tmp_path / "o.jsonl", tmp_path / "o.csv", tmp_path / "o.json"]
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        command += [many(20_000)]
        command += [word for output in outputs for word in ("-o", output)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        _wait_for(lambda: outputs[0].exists() and outputs[0].stat().st_size > 0)
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=30)
        assert process.returncode == code
        assert "Traceback" not in errors
        assert errors.endswith(f"Stopped by {name} before the end.\nResearch use only; not a medical device.\n")
        written = lines(outputs[0].read_text())
        assert 0 < len(written) < 20_000
        assert json.loads(outputs[2].read_text()) == written
        assert len(list(csv.DictReader(outputs[1].read_text().splitlines()))) == len(written)

    def test_by_a_signal_that_is_sent_twice_as_timeout_does_is_one(
        self, many: Many, tmp_path: Path, tiny_model: Path
    ) -> None:
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        command += [many(20_000), "-o", tmp_path / "o.json"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        _wait_for((tmp_path / ".o.json.partial").exists)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == Exit.TERMINATED
        assert 0 < len(json.loads((tmp_path / "o.json").read_text())) < 20_000

    @pytest.mark.parametrize(
        ("format", "sent"), [("json", "[\n\n]\n"), ("csv", ",".join(COLUMNS) + "\n"), ("jsonl", "")]
    )
    def test_before_the_first_record_completes_what_is_sent_and_leaves_older_files(
        self, tmp_path: Path, tiny_model: Path, format: str, sent: str
    ) -> None:
        (tmp_path / "older.json").write_text("older")
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        command += ["--files-from", "-", "-f", format, "-o", "-", "-o", tmp_path / "older.json"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        _wait_for((tmp_path / ".older.json.lock").exists)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == sent
        assert process.returncode == Exit.TERMINATED
        assert (tmp_path / "older.json").read_text() == "older"

    @pytest.mark.parametrize(("options", "hint"), [([], ""), (["--resume"], "; to go on, give the same command with")])
    def test_before_the_first_record_gives_no_hint_to_go_on_with_what_is_older(
        self, tmp_path: Path, tiny_model: Path, options: list[str], hint: str
    ) -> None:
        (tmp_path / "older.jsonl").touch()
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu", *options]
        command += ["--files-from", "-", "-o", tmp_path / "older.jsonl"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        _wait_for((tmp_path / ".older.jsonl.lock").exists)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=30)[1]
        assert f"Stopped by SIGTERM before the end{hint}" in told
        assert ("--resume" in told) == bool(options)

    def test_by_a_list_that_cannot_be_read_completes_what_is_sent_and_leaves_older_files(
        self, predict: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "list").write_bytes(b"a\0b\n")
        (tmp_path / "older.json").write_text("older")
        result = predict("--files-from", tmp_path / "list", "-f", "json", "-o", "-", "-o", tmp_path / "older.json")
        assert (result.returncode, json.loads(result.stdout)) == (Exit.INPUT_ERRORS, [])
        assert (tmp_path / "older.json").read_text() == "older"

    def test_ends_what_waits_for_a_list_that_nobody_writes(self, tmp_path: Path, tiny_model: Path) -> None:
        os.mkfifo(tmp_path / "list")
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        with subprocess.Popen([*command, "--files-from", tmp_path / "list", "-o", tmp_path / "o.csv"]) as process:
            time.sleep(2)  # until it waits
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) in (-signal.SIGTERM, Exit.TERMINATED)
        assert time.monotonic() - begun < 20, "it ended at once, not after the grace of 30 s"

    def test_before_the_first_record_waits_for_no_reader_of_a_named_pipe(
        self, tmp_path: Path, tiny_model: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        command += ["--files-from", "-", "-f", "json", "-o", tmp_path / "pipe", "-o", tmp_path / "o.json"]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            _wait_for((tmp_path / ".o.json.lock").exists)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == Exit.TERMINATED
        assert time.monotonic() - begun < 20, "it ended by itself, not after the grace of 30 s"

    def test_waits_for_no_thread_that_hangs(self) -> None:
        code = (
            "import sys, threading\n"
            "from pneumoscan import __main__ as program\n"
            "threading.Thread(target=threading.Event().wait).start()\n"
            "program.app = lambda **_: sys.exit(130)\n"
            "print('what is finished', end='')\n"
            "program.main()\n"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
        assert (result.returncode, result.stdout) == (Exit.INTERRUPTED, "what is finished")

    @pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
    def test_by_a_hangup_does_not_happen_under_nohup(self, many: Many, tmp_path: Path, tiny_model: Path) -> None:
        output = tmp_path / "o.jsonl"
        command = ["nohup", sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        process = subprocess.Popen([*command, many(3000), "-o", output], stderr=subprocess.DEVNULL)
        _wait_for(lambda: output.exists() and output.stat().st_size > 0)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == Exit.OK
        assert len(lines(output.read_text())) == 3000

    def test_by_a_reader_who_has_seen_enough_is_quiet(self, many: Many, tiny_model: Path) -> None:
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        process = subprocess.Popen([*command, many(5000)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["label"] == "NORMAL"
            process.stdout.close()
            errors = process.stderr.read()
        assert process.returncode == Exit.OK
        assert "Traceback" not in errors
        assert "cannot write" not in errors

    @pytest.mark.parametrize("format", ["jsonl", "csv", "table"])
    def test_by_a_reader_does_not_stop_the_file(
        self, many: Many, tiny_model: Path, tmp_path: Path, format: str
    ) -> None:
        output = tmp_path / "o.csv"
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        process = subprocess.Popen(
            [*command, many(2000), "-f", format, "-o", "-", "-o", output],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == Exit.OK
        assert len(list(csv.DictReader(output.read_text().splitlines()))) == 2000

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_by_a_full_disk_is_told_and_fails(self, predict: Run, flat: Flat) -> None:
        with open("/dev/full", "w") as full:
            result = predict(flat("a.png", 51), stdout=full, stderr=subprocess.PIPE, capture_output=False)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "cannot write -: No space left on device" in result.stderr
        assert "Traceback" not in result.stderr

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("other", [("--report", "r.html"), ("-o", "o.csv")])
    def test_of_an_output_by_a_full_disk_is_no_end_while_there_is_another(
        self, predict: Run, many: Many, tmp_path: Path, other: tuple[str, str]
    ) -> None:
        result = predict(many(6), "-o", "/dev/full", "-f", "jsonl", *other, cwd=tmp_path)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "\n6 scanned: " in result.stderr
        assert "Stopped" not in result.stderr

    def test_by_a_reader_who_has_seen_enough_speaks_of_no_stop(self, many: Many, tiny_model: Path) -> None:
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu", many(5000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            told = process.stderr.read()
        assert (process.returncode, " scanned" in told, "Stopped" in told) == (Exit.OK, True, False)

    def test_of_standard_output_alone_by_a_signal_gives_no_hint(self, many: Many, tiny_model: Path) -> None:
        command = [sys.executable, "-m", "pneumoscan", "predict", "--model", tiny_model, "--device", "cpu"]
        with subprocess.Popen(
            [*command, many(5000)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
        assert "\nStopped by SIGTERM before the end.\n" in told

    @pytest.mark.parametrize("name", ["o.csv", "o.jsonl"])
    def test_by_a_full_disk_counts_what_is_in_the_file_and_says_how_to_go_on(
        self, predict: Run, many: Many, tmp_path: Path, name: str
    ) -> None:
        resource = pytest.importorskip("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        folder, output = many(40), tmp_path / name
        read = lines if name == "o.jsonl" else lambda text: [*csv.DictReader(text.splitlines())]
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            result = predict(folder, "-o", output)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert result.returncode == Exit.INPUT_ERRORS
        records = read(output.read_text())
        assert 0 < len(records) < 40
        assert f"\n{len(records)} scanned: " in result.stderr
        assert "Stopped by outputs that failed before the end; to go on, give the same command with --resume." in (
            result.stderr.splitlines()
        )
        assert predict(folder, "-o", output, "--resume").returncode == Exit.OK
        complete = read(output.read_text())
        assert (len(complete), complete[: len(records)]) == (40, records)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["--version"]])
    def test_of_the_help_by_a_full_disk_is_told_and_fails(self, run: Run, arguments: list[str]) -> None:
        with open("/dev/full", "w") as full:
            result = run(*arguments, stdout=full, stderr=subprocess.PIPE, capture_output=False)
        what = " -" if arguments == ["--version"] else ""
        assert (result.returncode, result.stderr) == (1, f"pneumoscan: cannot write{what}: No space left on device\n")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_of_one_output_by_a_full_disk_leaves_the_others_complete(
        self, predict: Run, flat: Flat, tmp_path: Path
    ) -> None:
        flat("in/a.png", 51)
        flat("in/b.png", 204)
        good = tmp_path / "o.csv"
        result = predict(tmp_path / "in", "-o", "/dev/full", "-f", "jsonl", "-o", good)
        assert result.returncode == Exit.INPUT_ERRORS
        assert result.stderr.count("cannot write /dev/full: No space left on device") == 1
        assert len(list(csv.DictReader(good.read_text().splitlines()))) == 2

    def test_of_messages_by_their_reader_stops_nothing(
        self, predict: Run, flat: Flat, tmp_path: Path, unheard: int
    ) -> None:
        flat("in/a.png", 51)
        output, page = tmp_path / "o.csv", tmp_path / "r.html"
        result = predict(tmp_path / "in", "-o", output, "--report", page, **to(unheard))
        assert (result.returncode, result.stdout) == (Exit.OK, "")
        assert len(list(csv.DictReader(output.read_text().splitlines()))) == 1
        assert page.exists()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_of_complaints_by_their_reader_leaves_the_other_outputs_complete(
        self, predict: Run, many: Many, tmp_path: Path, unheard: int
    ) -> None:
        good = tmp_path / "o.csv"
        result = predict(many(20), "-o", "/dev/full", "-f", "jsonl", "-o", good, **to(unheard))
        assert result.returncode == Exit.INPUT_ERRORS
        assert len(list(csv.DictReader(good.read_text().splitlines()))) == 20

    def test_of_warnings_by_their_reader_stops_nothing(
        self, run: Run, many: Many, tmp_path: Path, unheard: int
    ) -> None:
        model = write_model(tmp_path / "m.onnx", fails_above=4)
        result = run("predict", "--model", model, "--device", "cpu", "--batch-size", 8, many(8), **to(unheard))
        assert [record["status"] for record in lines(result.stdout)] == ["ok"] * 8
        assert result.returncode == Exit.OK


def to(errors: int) -> dict[str, Any]:
    """Options with which standard error goes there."""
    return {"capture_output": False, "stdout": subprocess.PIPE, "stderr": errors}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other side is closed
        return b""


def _wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def _with_parents(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
