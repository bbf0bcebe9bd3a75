import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pneumoscan.cli import app
from pneumoscan.cli.outputs import Outputs
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


@pytest.mark.parametrize("command", ["predict", "explain", "report"])
def test_an_output_need_not_be_readable(
    flat: Callable[[str, int], Path], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    picture, results, target = flat("a.png", 51), tmp_path / "a.jsonl", tmp_path / "out"
    scan = ["--model", str(tiny_model), "--device", "cpu"]
    assert CliRunner().invoke(app, ["predict", str(picture), "-o", str(results), *scan]).exit_code == 0
    arguments, file = {
        "predict": ([str(picture), *scan], target.with_suffix(".json")),
        "explain": ([str(picture), *scan], target.with_suffix(".png")),
        "report": ([str(results)], target.with_suffix(".html")),
    }[command]
    file.write_text("old")
    may = os.access

    def access(path: str | os.PathLike[str], mode: int) -> bool:
        return may(path, mode) and not (mode == os.R_OK and os.fspath(path) == str(file))

    monkeypatch.setattr(os, "access", access)
    result = CliRunner().invoke(app, [command, *arguments, "-o", str(file)])
    assert (result.exit_code, result.stderr.count("readable")) == (0, 0)
    assert file.read_bytes() != b"old"


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
