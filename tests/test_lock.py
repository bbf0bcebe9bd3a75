import errno
import fcntl
import json
import logging
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pneumoscan import lock as lock_module
from pneumoscan.lock import InUseError, Lock
from tests.conftest import let_others_in

OF_NO_PROCESS = json.dumps({"process": 10**30, "host": platform.node()})


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

        monkeypatch.setattr(lock_module, "fcntl", None)
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

    def test_is_free_though_its_disk_fails_when_it_is_closed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        close = os.close

        def failing(descriptor: int) -> None:
            close(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as patched:
            lock = Lock(tmp_path / "out")
            patched.setattr(os, "close", failing)
            lock.release()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(os.getuid() != 0, reason="needs to be another user")
    def test_of_another_user_is_heeded_while_he_holds_it_and_no_longer(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        take = (
            "import os; from pathlib import Path; from pneumoscan.lock import InUseError, Lock; os.setuid(65534)\n"
            "try:\n    Lock(Path('out')); print('free')\nexcept InUseError as error: print(error)"
        )

        def as_other() -> str:
            told = subprocess.run(
                [sys.executable, "-c", take], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            return told.stdout.strip()

        let_others_in(tmp_path)
        lock = Lock(tmp_path / "out")
        assert as_other().startswith(f"in use by another run: process {os.getpid()} on")
        os.close(lock._descriptor)  # as a kill does
        assert (tmp_path / ".out.lock").stat().st_uid == 0
        assert as_other() == "free"

    def test_whose_note_is_of_one_who_is_dead_names_nobody(self, tmp_path: Path) -> None:
        process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1, check=True)
        with Lock(tmp_path / "out"), pytest.raises(InUseError, match=r"^in use by another run$"):
            note = {"process": int(process.stdout), "host": platform.node()}
            (tmp_path / ".out.lock").write_text(json.dumps(note))
            Lock(tmp_path / "out")

    @pytest.mark.skipif(os.getuid() != 0, reason="needs to be another user")
    def test_is_not_waited_for_where_a_pipe_lies_in_its_place(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        let_others_in(tmp_path)
        os.mkfifo(tmp_path / ".out.lock", 0o644)
        take = (
            "import os; from pathlib import Path; from pneumoscan.lock import Lock; os.setuid(65534); Lock(Path('out'))"
        )
        subprocess.run([sys.executable, "-c", take], cwd=tmp_path, timeout=60, check=False)

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
        program = "import os, sys, pathlib; from pneumoscan.lock import Lock; Lock(pathlib.Path('out')); os._exit(9)"
        assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 9
        assert (tmp_path / ".out.lock").exists()
        with Lock(tmp_path / "out"):
            pass

    @pytest.mark.parametrize("content", ["", "nonsense", "[]", OF_NO_PROCESS])
    def test_refuses_even_when_its_holder_is_not_known(self, tmp_path: Path, content: str) -> None:
        with Lock(tmp_path / "out"):
            (tmp_path / ".out.lock").write_text(content)
            with pytest.raises(InUseError, match=r"in use by another run$"):
                Lock(tmp_path / "out")

    def test_is_taken_anew_when_its_file_was_removed_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when the holder ends between our opening of the file and our locking of it."""
        flock = fcntl.flock
        calls = []

        def lose_the_first(descriptor: int, operation: int) -> None:
            flock(descriptor, operation)
            calls.append(descriptor)
            if len(calls) == 1:
                (tmp_path / ".out.lock").unlink()

        monkeypatch.setattr(fcntl, "flock", lose_the_first)
        with Lock(tmp_path / "out"):
            assert json.loads((tmp_path / ".out.lock").read_text())["process"] == os.getpid()
        assert len(calls) == 2

    def test_on_a_file_system_without_locks_is_a_warning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refuse(descriptor: int, operation: int) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(fcntl, "flock", refuse)
        with caplog.at_level(logging.WARNING), Lock(tmp_path / "out"):
            pass
        assert "cannot be locked (Operation not supported)" in caplog.text

    def test_where_no_file_can_be_made_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            Lock(tmp_path / "no" / "out")


def test_a_lock_file_that_is_left_over_and_longer_does_not_hide_who_holds_it_now(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("x" * 1000)
    with Lock(tmp_path / "out"), pytest.raises(InUseError, match=f"process {os.getpid()} on"):
        Lock(tmp_path / "out")
