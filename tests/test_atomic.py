"""Files appear whole, and nothing that failed is left beside them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pneumoscan import atomic
from pneumoscan.atomic import copy_mode, replace_with
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
        "os.setgroups(eval(sys.argv[1])); os.setgid(12345); os.setuid(12345)\n"
        "with open('new', 'r+b') as file: copy_mode(Path('old'), file)"
    )
    for groups, group, mode in (([], 12345, "0o644"), ([23456], 23456, "0o664")):
        subprocess.run([sys.executable, "-c", program, str(groups)], cwd=tmp_path, check=True)
        assert (new.stat().st_gid, oct(new.stat().st_mode & 0o777)) == (group, mode)


@pytest.mark.parametrize(("refused", "mode"), [((), "0o660"), ((-1, 12345), "0o660"), ((23456,), "0o600")])
def test_permissions_are_kept_whatever_of_owner_and_group_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[int, ...], mode: str
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o660)
    real = old.stat()
    is_given_away = False

    def stat(path: Path) -> os.stat_result:
        return os.stat_result((*real[:4], 12345, 23456, *real[6:])) if path == old else os.stat(path)

    def chown(number: int, user: int, group: int) -> None:
        nonlocal is_given_away
        if {user, group} & set(refused) - {-1}:
            raise OSError(errno.EINVAL, "Invalid argument")  # of a user whom a container does not know
        is_given_away |= user != -1

    def chmod(number: int, mode: int) -> None:
        assert not is_given_away
        os.fchmod(number, mode)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(atomic.os, "chown", chown)
    monkeypatch.setattr(atomic.os, "chmod", chmod)
    monkeypatch.setattr(atomic.os, "supports_fd", {chmod})
    with new.open("wb") as file:
        copy_mode(old, file)
        assert oct(os.fstat(file.fileno()).st_mode & 0o777) == mode


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_what_replaces_a_file_outlives_a_power_cut_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def noting(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", noting)
    replace_with(tmp_path / "a.png", b"x")
    assert synced == [(tmp_path / "a.png").stat().st_ino, tmp_path.stat().st_ino]


def test_what_is_interrupted_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.png").write_bytes(b"older")
    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_with(tmp_path / "a.png", b"x")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]
