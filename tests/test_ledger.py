import errno
import json
import logging
import math
import os
import platform
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pneumoscan import ledger
from pneumoscan.formats import ENCODINGS, Format, FormatError
from pneumoscan.ledger import InUseError, Ledger, Lock, Settings
from pneumoscan.records import Record, timestamp
from tests.records import ILL, failed


class TestALock:
    def test_keeps_others_out_and_names_its_holder(self, tmp_path: Path) -> None:
        with (
            Lock(tmp_path / "out"),
            pytest.raises(InUseError, match=f"process {os.getpid()} on {platform.node()}"),
        ):
            Lock(tmp_path / "out")

    def test_is_free_again_afterwards_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
        for _ in range(2):
            with Lock(tmp_path / "out"):
                pass
        assert list(tmp_path.iterdir()) == []

    def test_is_closed_before_its_file_is_removed_where_that_must_be(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        unlink = Path.unlink

        def as_on_windows(path: Path, missing_ok: bool = False) -> None:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(lock._descriptor)
            unlink(path, missing_ok)

        monkeypatch.setattr(ledger, "fcntl", None)
        lock = Lock(tmp_path / "out")
        monkeypatch.setattr(Path, "unlink", as_on_windows)
        lock.release()
        assert list(tmp_path.iterdir()) == []

    def test_whose_file_cannot_be_removed_is_free_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        with monkeypatch.context() as patched:
            lock = Lock(tmp_path / "out")
            patched.setattr(Path, "unlink", failing)
            lock.release()
        assert (tmp_path / ".out.lock").exists()
        with Lock(tmp_path / "out"):
            pass

    def test_does_not_follow_a_link_that_others_have_put_there(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").write_text("secret")
        (tmp_path / ".out.lock").symlink_to("theirs")
        with Lock(tmp_path / "out"), pytest.raises(InUseError):
            Lock(tmp_path / "out")
        assert (tmp_path / "theirs").read_text() == "secret"

    def test_of_one_output_does_not_concern_another(self, tmp_path: Path) -> None:
        with Lock(tmp_path / "out"), Lock(tmp_path / "other"):
            pass

    def test_of_a_dead_process_does_not_block(self, tmp_path: Path) -> None:
        program = "import os, sys, pathlib; from pneumoscan.ledger import Lock; Lock(pathlib.Path('out')); os._exit(9)"
        assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 9
        assert (tmp_path / ".out.lock").exists()
        with Lock(tmp_path / "out"):
            pass

    @pytest.mark.parametrize("content", ["", "nonsense", "[]"])
    def test_refuses_even_when_its_holder_is_not_known(self, tmp_path: Path, content: str) -> None:
        with Lock(tmp_path / "out"):
            (tmp_path / ".out.lock").write_text(content)
            with pytest.raises(InUseError, match=r"in use by another run$"):
                Lock(tmp_path / "out")

    def test_is_taken_anew_when_its_file_was_removed_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when the holder ends between our opening of the file and our locking of it."""
        lock = ledger.fcntl.flock
        calls = []

        def lose_the_first(descriptor: int, operation: int) -> None:
            lock(descriptor, operation)
            calls.append(descriptor)
            if len(calls) == 1:
                (tmp_path / ".out.lock").unlink()

        monkeypatch.setattr(ledger.fcntl, "flock", lose_the_first)
        with Lock(tmp_path / "out"):
            assert json.loads((tmp_path / ".out.lock").read_text())["process"] == os.getpid()
        assert len(calls) == 2

    def test_on_a_file_system_without_locks_is_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(ledger.fcntl, "flock", refuse)
        with caplog.at_level(logging.WARNING), Lock(tmp_path / "out"):
            pass
        assert "cannot be locked (Operation not supported)" in caplog.text

    def test_where_no_file_can_be_made_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Lock(tmp_path / "no" / "out")


SETTINGS = Settings(ILL.model_sha256, 0.5, 200)


def kept(path: Path, *records: Record) -> Ledger:
    path.write_bytes(b"".join(map(ENCODINGS[Format.JSONL].record, records)))
    return Ledger(path, Format.JSONL)


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
