from pathlib import Path

import pytest

from pneumoscan.cli.outputs import Outputs
from pneumoscan.formats import Format
from pneumoscan.ledger import Lock
from pneumoscan.sinks import FileSink


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
