"""What is said when something is wrong that several commands meet."""

import errno
import os

import pytest

from pneumoscan import __main__
from pneumoscan.cli import exits


def test_what_nobody_foresaw_is_no_missing_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(**_: object) -> None:
        raise FileNotFoundError("something of a library's own")

    monkeypatch.setattr(__main__, "app", failing)
    with pytest.raises(FileNotFoundError, match="of a library's own"):
        __main__.main()


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
