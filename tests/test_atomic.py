"""Files appear whole, and nothing that failed is left beside them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pneumoscan import atomic
from pneumoscan.atomic import replace_with
from tests.conftest import let_others_in


def test_what_two_write_at_once_is_whole_and_the_last_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, fsync = tmp_path / "a.png", os.fsync

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(atomic.os, "fsync", fsync)
        replace_with(target, b"theirs")
        assert target.read_bytes() == b"theirs"
        fsync(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", meanwhile)
    replace_with(target, b"ours")
    assert target.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [target]


def test_what_fails_is_told_by_the_name_of_the_target(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told:
        replace_with(tmp_path / "none" / "a.png", b"x")
    assert str(told.value) == f"[Errno 2] No such file or directory: '{tmp_path / 'none' / 'a.png'}'"
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError) as told:
        replace_with(tmp_path / "a.png", b"x")
    assert told.value.filename == str(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    replace_with(tmp_path / ("a" * 255), b"x")
    assert [len(path.name) for path in tmp_path.iterdir()] == [255]


@pytest.mark.skipif(os.getuid() != 0, reason="needs to be another user")
def test_a_group_that_may_not_be_given_away_does_not_leave_its_rights_to_another(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for path, owner, group, mode in ((old, 12345, 23456, 0o664), (new, 12345, 12345, 0o600)):
        path.touch()
        path.chmod(mode)
        os.chown(path, owner, group)
    let_others_in(tmp_path)
    program = (
        "import os, sys; from pathlib import Path; from pneumoscan.atomic import copy_mode\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345); copy_mode(Path('old'), Path('new'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (new.stat().st_gid, oct(new.stat().st_mode & 0o777)) == (12345, "0o644")
