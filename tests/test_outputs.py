import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit
from pneumoscan.cli.outputs import STDOUT, Outputs, _latest, chosen_formats
from pneumoscan.formats import Format
from pneumoscan.lock import Lock
from pneumoscan.sinks import FileSink
from tests.records import ILL, read


def test_outputs_are_free_again_whatever_happens_at_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sink: FileSink) -> None:
        sink.discard()
        raise SystemExit(1)

    monkeypatch.setattr(FileSink, "commit", fail)
    target = tmp_path / "o.csv"
    outputs = Outputs({target: Format.CSV})
    with pytest.raises(SystemExit), outputs:
        outputs.open()
    Lock(target).release()
    assert not target.with_name(".o.csv.lock").exists()


def test_an_output_need_not_be_readable_for_its_name_to_be_taken() -> None:
    """Whether it could be a picture is seen later."""
    outputs = {
        "predict": {"output", "report", "heatmaps"},
        "watch": {"output"},
        "report": {"output"},
        "explain": {"output"},
        "evaluate": {"plots", "report"},
        "bench": {"save", "history", "plot"},
    }
    for command, names in outputs.items():
        options = {option.name: option for option in get_command(app).commands[command].params}
        assert not [name for name in names if options[name].type.readable], command


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_an_output_may_be_a_pipe_that_can_only_be_written(
    flat: Callable[[str, int], Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.jsonl")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK and may(path, mode))  # root may read anything
    picture = flat("a.png", 51)
    arguments = ["predict", str(picture), "-o", str(pipe), "--model", str(tiny_model), "--device", "cpu"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert b'"probability": 0.2' in os.read(reader, 10_000)
    os.close(reader)


@pytest.mark.parametrize("command", ["predict", "predict --report", "explain", "report"])
def test_what_cannot_be_read_is_not_replaced_since_it_may_be_a_picture(
    flat: Callable[[str, int], Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    picture, results = flat("a.png", 51), tmp_path / "a.jsonl"
    scan = [str(picture), "--model", str(tiny_model), "--device", "cpu"]
    assert CliRunner().invoke(app, ["predict", *scan, "-o", str(results)]).exit_code == 0
    arguments, file = {
        "predict": (["predict", *scan, "-o"], tmp_path / "out.json"),
        "predict --report": (["predict", *scan, "--report"], tmp_path / "out.html"),
        "explain": (["explain", *scan, "-o"], tmp_path / "out.png"),
        "report": (["report", str(results), "-o"], tmp_path / "out.html"),
    }[command]
    file.write_text("old")

    def refuse(path: object, mode: str) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pneumoscan.signatures.open", refuse, raising=False)
    result = CliRunner().invoke(app, [*arguments, str(file)])
    told = " ".join(result.stderr.replace("│", "").split())
    assert result.exit_code == Exit.USAGE
    assert "may be a picture, which would be lost: it cannot be read (Permission denied)" in told
    assert file.read_text() == "old"


def test_an_output_that_cannot_be_looked_at_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("pneumoscan.cli.outputs._latest", stale)
    with pytest.raises(typer.Exit) as ended:
        Outputs({tmp_path / "o.csv": Format.CSV}, resume=True)
    assert ended.value.exit_code == Exit.USAGE
    assert capsys.readouterr().err == f"pneumoscan: cannot read {tmp_path / 'o.csv'}: Stale file handle\n"
    Lock(tmp_path / "o.csv").release()


def test_an_output_on_a_disk_that_can_only_be_read_by_now_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, kept = tmp_path / "lost.json", tmp_path / "kept.csv"
    unlink = Path.unlink

    def fail(path: Path, *_: object, **options: bool) -> None:
        if "lost" in path.name:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        unlink(path, **options)

    with Outputs({lost: Format.JSON, kept: Format.CSV}) as outputs:
        outputs.open()
        monkeypatch.setattr(Path, "unlink", fail)
        for attempt in ("write", "commit"):
            monkeypatch.setattr(outputs._sinks[lost], attempt, partial(fail, lost))
        outputs.write(ILL)
    assert outputs.failed
    assert "cannot write" in capsys.readouterr().err
    assert len(read(kept, Format.CSV)) == 1


def test_an_output_whose_disk_is_out_of_reach_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with Outputs({tmp_path / "lost.csv": Format.CSV, tmp_path / "kept.csv": Format.CSV}) as outputs:
        outputs.open()
        monkeypatch.setattr(outputs._sinks[tmp_path / "lost.csv"], "write", stale)
        monkeypatch.setattr(Path, "is_mount", stale)
        outputs.write(ILL)
    assert outputs.failed
    assert capsys.readouterr().err == f"pneumoscan: cannot write {tmp_path / 'lost.csv'}: Stale file handle\n"
    assert len(read(tmp_path / "kept.csv", Format.CSV)) == 1


def test_an_output_is_in_use_by_whatever_name_it_is_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link.csv").symlink_to("o.csv")
    for one, other in (("o.csv", "link.csv"), ("link.csv", "o.csv")):
        with Outputs({tmp_path / one: Format.CSV}), pytest.raises(typer.Exit) as ended:
            Outputs({tmp_path / other: Format.CSV})
        assert ended.value.exit_code == Exit.OUTPUT_IN_USE
        assert "in use by another run" in capsys.readouterr().err


@pytest.mark.parametrize("format", [Format.CSV, Format.JSON])
def test_an_older_output_stays_when_something_unforeseen_ends_the_run(tmp_path: Path, format: Format) -> None:
    (tmp_path / "out").write_text("older")
    with pytest.raises(ZeroDivisionError), Outputs({tmp_path / "out": format}) as outputs:
        outputs.open()
        outputs.write(ILL)
        raise ZeroDivisionError
    assert (tmp_path / "out").read_text() == "older"


def test_an_output_is_known_by_its_own_name_and_by_that_of_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("o.csv")
    with Outputs({tmp_path / "link.csv": Format.CSV}) as outputs:
        outputs.open()
        outputs.write(ILL)
    with Outputs({tmp_path / "link.csv": Format.CSV}) as outputs:
        assert outputs.owns(str(tmp_path / "link.csv"))
        assert outputs.owns(str(tmp_path / "o.csv"))
        assert not outputs.owns(str(tmp_path / "other.csv"))


def test_where_the_clock_cannot_tell_what_a_kill_has_left_is_gone_on_with(tmp_path: Path) -> None:
    growing, file = tmp_path / ".o.csv.partial", tmp_path / "o.csv"
    for path in (growing, file):
        path.touch()
        os.utime(path, (1000, 1000))
    assert _latest(growing, file) == growing
    os.utime(file, (1001, 1001))
    assert _latest(growing, file) == file


def test_a_suffix_tells_the_format_whatever_the_case(tmp_path: Path) -> None:
    assert chosen_formats([tmp_path / "O.CSV"], None) == {tmp_path / "O.CSV": Format.CSV}


def test_files_are_complete_before_a_reader_is_waited_for() -> None:
    ended: list[Path] = []
    outputs = Outputs({})
    for path in (STDOUT, Path("o.csv"), Path("o.json")):
        outputs._sinks[path] = SimpleNamespace(commit=partial(ended.append, path))  # type: ignore[assignment]
    with outputs:
        pass
    assert ended == [Path("o.csv"), Path("o.json"), STDOUT]
