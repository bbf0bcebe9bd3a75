import errno
import json
import math
import os
from contextlib import closing
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from pneumoscan.formats import ENCODINGS, Format, FormatError
from pneumoscan.ledger import Ledger, Settings
from pneumoscan.records import Record, timestamp
from tests.records import ILL, failed

SETTINGS = Settings(ILL.model_sha256, 0.5, 200)


def kept(path: Path, *records: Record) -> Ledger:
    path.write_bytes(b"".join(map(ENCODINGS[Format.JSONL].record, records)))
    return Ledger(path, Format.JSONL)


class Trickle(FileIO):
    """A file of which each read yields one byte, as a disk far away may do."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(1, size or 0))


class TestALedger:
    @pytest.fixture
    def record(self, tmp_path: Path) -> Record:
        """Of a file that is there, as it is now."""
        (tmp_path / "a.jpg").write_bytes(b"picture")
        modified = timestamp((tmp_path / "a.jpg").stat().st_mtime_ns)
        return replace(ILL, path=str(tmp_path / "a.jpg"), bytes=7, modified=modified)

    def done(self, tmp_path: Path, record: Record, **settings: Any) -> bool:
        with closing(kept(tmp_path / "out", record)) as ledger:
            return ledger.done(str(tmp_path / "a.jpg"), SETTINGS._replace(**settings)) is not None

    def test_calls_an_input_done_that_is_as_it_was(self, tmp_path: Path, record: Record) -> None:
        assert self.done(tmp_path, record)

    @pytest.mark.parametrize(
        "change", [{"bytes": 8}, {"modified": "2026-01-01T00:00:00.000000000Z"}, {"bytes": None}, {"path": "b.jpg"}]
    )
    def test_does_not_when_the_file_was_another(
        self, tmp_path: Path, record: Record, change: dict[str, object]
    ) -> None:
        assert not self.done(tmp_path, replace(record, **change))

    @pytest.mark.parametrize("change", [{"model_sha256": "cd" * 32}, {"threshold": 0.6}, {"max_pixels": 199}])
    def test_does_not_when_settings_were_others(self, tmp_path: Path, record: Record, change: dict[str, Any]) -> None:
        assert not self.done(tmp_path, record, **change)

    def test_does_not_when_it_failed(self, tmp_path: Path, record: Record) -> None:
        failure = replace(failed(record.path), bytes=record.bytes, modified=record.modified)
        assert not self.done(tmp_path, failure)

    def test_calls_a_vanished_input_done_unless_it_failed(self, tmp_path: Path, record: Record) -> None:
        (tmp_path / "a.jpg").unlink()
        assert self.done(tmp_path, record)
        assert not self.done(tmp_path, failed(record.path))

    def test_does_not_when_it_can_no_longer_be_looked_at(
        self, tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stat, path = os.stat, os.fspath(tmp_path / "a.jpg")

        def refusing(name: object, **options: Any) -> os.stat_result:
            if name == path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return stat(name, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "stat", refusing)
        assert record.path == path
        assert not self.done(tmp_path, record)

    def test_reads_on_where_a_disk_gives_less_than_is_asked_for_and_fails_where_the_file_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = ENCODINGS[Format.JSONL].record(ILL)
        with closing(kept(tmp_path / "out", ILL)) as ledger:
            monkeypatch.setattr(ledger, "_file", Trickle(tmp_path / "out"))
            assert ledger.holds(ILL.path, line)
            os.truncate(tmp_path / "out", len(line) // 2)
            with pytest.raises(OSError, match="made it shorter"):
                ledger.holds(ILL.path, line)

    def test_goes_by_the_last_record_of_an_input_in_the_order_of_the_first(self, tmp_path: Path) -> None:
        records = [failed("b"), failed("a"), replace(ILL, path="b")]
        with closing(kept(tmp_path / "out", *records)) as ledger:
            assert ledger.superseded
            assert [json.loads(line) for line in ledger.in_order()] == [asdict(records[2]), asdict(records[1])]

    def test_holds_a_record_only_if_every_byte_is_the_same(self, tmp_path: Path) -> None:
        line = ENCODINGS[Format.JSONL].record(ILL)
        with closing(kept(tmp_path / "out", ILL)) as ledger:
            assert ledger.holds(ILL.path, line)
            assert not ledger.holds(ILL.path, line + b" ")
            assert not ledger.holds("b.jpg", line)

    @pytest.mark.parametrize(
        "change",
        [
            {"path": 3},
            {"path": "\ud800"},
            {"bytes": [1]},
            {"threshold": {}},
            {"bytes": 2**70},
            {"review": "False"},
            {"label": "ILL"},
            {"probability": math.nan},
        ],
    )
    def test_refuses_values_that_no_record_has(self, tmp_path: Path, change: dict[str, object]) -> None:
        (tmp_path / "out").write_text(json.dumps(asdict(ILL) | change) + "\n")
        with pytest.raises(FormatError, match="line 1: not a record"):
            Ledger(tmp_path / "out", Format.JSONL)

    @pytest.mark.parametrize("values", [{"path": "a", "score": 1}, asdict(ILL) | {"schema": 2}])
    def test_refuses_records_of_another_version(self, tmp_path: Path, values: dict[str, object]) -> None:
        (tmp_path / "out").write_text(json.dumps(values) + "\n")
        with pytest.raises(FormatError, match="not a record of this version"):
            Ledger(tmp_path / "out", Format.JSONL)


def test_what_is_no_failure_is_not_forgotten(tmp_path: Path) -> None:
    """Where there is a folder now, there may have been a picture."""
    with closing(kept(tmp_path / "out", ILL, failed("b.jpg"))) as ledger:
        ledger.forget_failure(ILL.path)
        assert not ledger.superseded
        ledger.forget_failure("b.jpg")
        assert ledger.superseded
        assert list(ledger.in_order()) == [ENCODINGS[Format.JSONL].record(ILL)]


def test_an_input_whose_folder_is_a_file_by_now_is_done_as_one_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    gone = replace(ILL, path=str(tmp_path / "x" / "a.jpg"))
    with closing(kept(tmp_path / "out", gone)) as ledger:
        assert ledger.done(gone.path, SETTINGS) == (ILL.label, ILL.review)
