import errno
import os
from pathlib import Path

import pytest

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
