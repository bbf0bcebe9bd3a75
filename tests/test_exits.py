"""What is said when something is wrong that several commands meet."""

import errno
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from pneumoscan import __main__
from pneumoscan.cli import app, exits
from pneumoscan.cli.exits import complain, misuse


@pytest.mark.parametrize("about", [("of a library's own",), (errno.ENOENT, "No such file", "a library's own")])
def test_what_nobody_foresaw_is_no_missing_folder(monkeypatch: pytest.MonkeyPatch, about: tuple[object, ...]) -> None:
    def failing(**_: object) -> None:
        raise FileNotFoundError(*about)

    monkeypatch.setattr(__main__, "app", failing)
    with pytest.raises(FileNotFoundError, match="a library's own"):
        __main__.main()


def test_that_there_is_no_place_for_temporary_files_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(**_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(__main__, "app", failing)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == exits.Exit.INPUT_ERRORS
    assert "No usable temporary directory found in ['/tmp']; set TMPDIR" in capsys.readouterr().err


def test_that_no_thread_can_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(__main__, "app", failing)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == exits.Exit.INPUT_ERRORS
    assert "no more threads may be started: raise the limit" in capsys.readouterr().err


def test_what_is_said_where_standard_output_is_text_in_memory_goes_there() -> None:
    with redirect_stdout(StringIO()) as said:
        exits.say("é\n")
    assert said.getvalue() == "é\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
@pytest.mark.parametrize("unbuffered", [(), ("-u",)])
def test_a_pipe_that_is_full_and_does_not_wait_is_an_error(unbuffered: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.write(writer, bytes(2**20))
    command = [sys.executable, *unbuffered, "-m", "pneumoscan", "schema"]
    ran = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(reader)
    os.close(writer)
    assert ran.returncode == exits.Exit.INPUT_ERRORS
    assert b"cannot write -" in ran.stderr


@pytest.mark.parametrize("unbuffered", [(), ("-u",)])
def test_standard_output_that_takes_less_than_all_is_no_success(tmp_path: Path, unbuffered: tuple[str, ...]) -> None:
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from pneumoscan import __main__; sys.argv[1:] = ['schema']; __main__.main()"
    )
    with (tmp_path / "out").open("wb") as file:  # -B: it could leave half the bytecode of a module
        ran = subprocess.run([sys.executable, "-B", *unbuffered, "-c", limited], stdout=file, stderr=subprocess.PIPE)
    assert ((tmp_path / "out").stat().st_size, ran.returncode) == (100, exits.Exit.INPUT_ERRORS)
    assert ran.stderr == b"pneumoscan: cannot write -: File too large\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOENT, "there is no directory x/y"),
        (errno.ENOTDIR, "there is no directory x/y"),
        (errno.EACCES, "cannot enter x/y: Permission denied"),
        (errno.ENAMETOOLONG, "cannot enter x/y: File name too long"),
    ],
)
def test_a_folder_that_is_needed_is_told_apart_from_one_that_may_not_be_entered(
    monkeypatch: pytest.MonkeyPatch, code: int, told: str
) -> None:
    def failing(_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(exits.os, "stat", failing)
    assert exits.no_folder("x/y") == told


def test_a_file_that_grows_needs_no_folder_that_may_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "history.jsonl").touch()
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)
    ran = CliRunner().invoke(app, ["bench", str(tmp_path), "--history", str(tmp_path / "history.jsonl")])
    assert ran.exit_code == exits.Exit.NOTHING_TO_SCAN


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["bench", "--json", "m.json"], "m.json cannot be written"),
        (["bench", "--plot", "m.png"], "m.png cannot be written"),
        (["explain", "a.png"], "a.png.explain.png cannot be written"),
        (["explain", "a.png", "-o", "b.png"], "b.png cannot be written"),
        (["evaluate", "a.csv", "--plots", "plots"], "cannot write to the folder plots"),
        (["report", "a.jsonl", "-o", "p.html"], "p.html cannot be written"),
    ],
)
def test_a_folder_that_may_not_be_written_to_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.R_OK)  # chmod stops no root
    ran = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert (ran.exit_code, f"{told}: Permission denied" in ran.stderr) == (exits.Exit.USAGE, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["predict", "x", "-o", "there/is/no/such/folder/however/long/its/name/may/be/for/a/terminal/of/80/scores.csv"],
         "Invalid value for -o: there/is/no/such/folder/however/long/its/name/may/be/for/a/terminal/of/80/scores.csv: "
         "there is no directory there/is/no/such/folder/however/long/its/name/may/be/for/a/terminal/of/80"),
        (["predict", "--bogus"], "No such option: --bogus"),
        (["watch"], "Missing argument 'DIR...'."),
        (["frob"], "No such command 'frob'."),
        (["--bogus", "predict", "x"], "No such option: --bogus"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_in_a_log(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, arguments: list[str], told: str
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (exits.Exit.USAGE, "", f"pneumoscan: {told}\n")


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_wrong_usage_of_which_nobody_can_be_told_is_2_all_the_same(tmp_path: Path, stream: str) -> None:
    for arguments in ("frob", "predict --bogus"):
        line = f"{shlex.quote(sys.executable)} -m pneumoscan {arguments} {stream}"
        assert subprocess.run(line, shell=True, cwd=tmp_path, check=False).returncode == exits.Exit.USAGE


def test_wrong_usage_has_its_frame_on_a_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "pneumoscan", "predict", "--bogus"]
    assert subprocess.run(command, stderr=slave, cwd=tmp_path, check=False).returncode == exits.Exit.USAGE
    os.close(slave)
    assert b"pneumoscan predict [OPTIONS]" in os.read(master, 4096)
    os.close(master)


def test_a_hostile_name_is_told_inert(capsys: pytest.CaptureFixture[str]) -> None:
    complain("cannot read \x1b[2J.png")
    assert capsys.readouterr().err == "pneumoscan: cannot read \\x1b[2J.png\n"
    with pytest.raises(typer.BadParameter) as told:
        misuse("\x1b[2J.png is a directory", "-o")
    assert told.value.message == "\\x1b[2J.png is a directory"
