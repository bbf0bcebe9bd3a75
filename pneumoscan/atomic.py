"""Files that appear whole: where they grow, and how they are put in their place."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors by which a disk is full."""
INHERITED = re.compile(r"/dev/(?:(stdout|stderr)|fd/(\d+))")
"""Names of open descriptors."""
MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux lists what is mounted; the fifth field of a line is the place."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag by which a link is not opened; Windows has none."""


def is_file(target: Path) -> bool:
    """Whether an output is, or would become, a regular file; a pipe, a device or an inherited descriptor is not."""
    if INHERITED.fullmatch(os.fspath(target)):
        return False
    try:
        return stat.S_ISREG(os.stat(target).st_mode)
    except (OSError, ValueError):  # nothing is there
        return True


def remove_link(path: Path) -> None:
    """Removes a link at a place where this program makes files of its own: somebody else has put it there."""
    if path.is_symlink():
        path.unlink()


def check_writable(target: Path) -> None:
    """Raises `PermissionError` where a file that is there may not be written, though it could be replaced."""
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def partial_file(target: Path) -> Path:
    """Where a file grows that is put in its place when it is complete."""
    return target.with_name(f".{target.name}.partial")


def rewritten(target: Path) -> Path:
    """Where a file is written that replaces another as soon as it is whole, by the one run that may do so."""
    return target.with_name(f".{target.name}.new")


def check_replaceable(target: Path) -> None:
    """Raises `OSError` where a file that is there may not be written, or is mounted by itself, as containers do: such a
    file cannot be replaced.
    """
    check_writable(target)
    place = os.fsencode(os.path.realpath(target).translate({ord(each): f"\\{ord(each):03o}" for each in " \t\n\\"}))
    mounts: set[bytes] = set()
    with suppress(OSError):  # other systems than Linux
        mounts = {line.split()[4] for line in MOUNTS.read_bytes().splitlines()}
    if place in mounts:
        raise OSError(errno.EBUSY, "it is mounted by itself, and cannot be replaced: mount its folder")


def mode_like(source: Path) -> int:
    """Permissions to make a file with that is then given those of another one: until then, nobody else can read it.

    Where there is no such file, the umask decides.
    """
    return 0o600 if source.exists() else 0o666


def copy_mode(source: Path, file: IO[bytes]) -> None:
    """Gives an open file the owner, group and permissions of another one, if there is one, as far as may be.

    A group that may not be given to it leaves its rights to no other one: that gets what everybody gets.
    """
    number = file.fileno()
    with suppress(OSError):
        had, has = source.stat(), os.fstat(number)
        if os.path.samestat(had, has):
            return
        mode = stat.S_IMODE(had.st_mode)
        if had.st_gid != has.st_gid:
            try:
                os.chown(number, -1, had.st_gid)
            except OSError:
                mode = mode & ~0o070 | (mode & 0o007) << 3
        os.chmod(number if os.chmod in os.supports_fd else file.name, mode)
        if had.st_uid != has.st_uid:  # last: of another's file nothing may be changed any more
            os.chown(number, had.st_uid, -1)


def replace_with(target: Path, data: bytes) -> None:
    """Writes a file whole, in the place and with the permissions of what is there; a link is replaced, not followed.

    Others may do the same at the same time: what is written last stays.

    Raises:
        OSError: it could not be written, or a pipe or a device is there; what was there is not harmed. Its `filename`
            is the target.
    """
    if not (is_file(target) or target.is_dir()):  # a folder is told in the system's own words
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(target))
    growing = target.with_name(f".pneumoscan-{os.urandom(4).hex()}.new")  # as long whatever the target's name
    try:
        with replacing(target, growing, like=target) as file:
            file.write(data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error  # and not where it grew
    sync(target.parent)


@contextmanager
def replacing(target: Path, growing: Path, *, like: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes the place of another one as soon as it is whole, and is gone after an error.

    Args:
        target: what is replaced, if it is there.
        growing: where the file lies until then, in place of anything there.
        like: a file whose owner, group and permissions it gets; while it grows, only its owner can read it. Where
            there is no such file, the umask decides.

    Raises:
        OSError: it could not be written; what was there is not harmed.
    """
    try:
        growing.unlink(missing_ok=True)  # left by a kill, or a link to who knows what
        with open(growing, "xb", opener=partial(os.open, mode=mode_like(like))) as file:
            copy_mode(like, file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        growing.replace(target)
    except BaseException:
        with suppress(OSError):
            growing.unlink()
        raise


def sync(directory: Path) -> None:
    """Puts the names in a directory on the disk, where the system can."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
