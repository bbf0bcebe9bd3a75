"""Which files to scan: named files, directory walks, shards. Knows nothing of pixels."""

import fnmatch
import os
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import PurePath
from typing import NamedTuple

PICTURES = ("*.jpeg", "*.jpg", "*.png")
"""Names that a directory walk picks up unless told otherwise. What a file really holds, its content tells."""

IN_MEMORY = 10_000
"""Entries of one directory that are sorted in a list; more go through a temporary database on the disk."""

PassedOver = Callable[[str, bool], object]
"""Takes the path of what a walk has not taken, and whether that is a link to a directory."""

NOTHING_YET = "\0"
"""Stands among paths where the next has not come yet, so that nobody waits for it who has something to say. No path
holds a NUL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a walk picks up, and which part of all inputs is scanned.

    Globs are those of `fnmatch`, whatever the case of letters. One without `/` is compared with the base name, one
    with `/` with the path relative to the directory that was named, where `*` also stands for `/`. Globs concern what
    walks find: a named file is always an input.

    Attributes:
        recursive: whether directories inside of those that are named are entered.
        include: files must match one of these.
        exclude: files and directories that match one of these are passed over; such a directory is not entered.
        follow_links: whether symbolic links to directories are entered. One that leads back to a directory that it lies
            in is not, so that the walk ends; a file that can be reached in several ways is found several times.
        shard: (k, n) for only the k-th of n parts, 1 <= k <= n. To which part a file belongs depends on nothing but its
            path relative to the named directory, or for a named file its `plain` path: not on the machine, the
            mount point or the other files.

    Raises:
        ValueError: the shard does not exist.
    """

    recursive: bool = True
    include: tuple[str, ...] = PICTURES
    exclude: tuple[str, ...] = ()
    follow_links: bool = False
    shard: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise ValueError(f"there is no shard {self.shard[0]} of {self.shard[1]}: count from 1")

    def takes(self, relative: str) -> bool:
        """Whether a walk picks up a file, by its path relative to the named directory, with `/`; shards aside."""
        *directories, name = relative.split("/")
        if directories and not self.recursive:
            return False
        above = ""
        for part in (*directories, name):
            above += part
            if part.startswith(".") or _matches(self.exclude, part, above):
                return False
            above += "/"
        return _matches(self.include, name, relative)


DEFAULT = Selection()


def plain(path: str) -> str:
    """A path without what does not matter in it, `.` and doubled separators; `..` does where there are links.

    A separator at its end stays: it says that this is a directory.
    """
    return os.fspath(PurePath(path)) + os.sep * path.endswith((os.sep, f"{os.sep}."))


def find_files(
    paths: Iterable[str | os.PathLike[str]],
    selection: Selection = DEFAULT,
    listed: Callable[[str], object] = lambda _: None,
    passed_over: PassedOver = lambda *_: None,
    in_other_shard: Callable[[str], object] = lambda _: None,
) -> Iterator[str]:
    """Streams the files to scan: named files as they are, directories in the order of their names' raw bytes.

    A named file is yielded whatever its name, and even if it does not exist: it is an input and gets its record. A
    named directory is walked, even if it is a link. In walks, hidden entries are passed over, and everything with a
    matching name that is neither a directory nor a link to one is an input, broken links and pipes too. A directory
    that cannot be listed is yielded itself, in every shard, so that it is not silently left out.

    Of each directory that is open on the way down, a bounded number of entries is in memory, however many it has.

    Args:
        paths: files and directories; `NOTHING_YET` is passed on.
        selection: what to take of a directory.
        listed: called with each directory that could be listed, after what is in it.
        passed_over: called with each file whose name is not included, and with each link to a directory that is not
            followed.
        in_other_shard: called with each file that would be yielded, but for its shard.
    """
    for path in map(as_text, paths):
        if path == NOTHING_YET:
            yield path
            continue
        found = _walk(path, selection, listed, passed_over) if os.path.isdir(path) else [_Entry(path, "", False)]
        for entry in found:
            name = entry.relative or plain(path)
            if entry.is_directory or selection.shard is None or _is_in_shard(name, *selection.shard):
                yield entry.path
            else:
                in_other_shard(entry.path)


def as_text(path: str | os.PathLike[str]) -> str:
    """The path as text, which records hold.

    Raises:
        TypeError: it is something else, such as bytes.
    """
    name = os.fspath(path)
    if isinstance(name, str):
        return name
    raise TypeError("paths must be text or os.PathLike, not bytes; see os.fsdecode")


class _Entry(NamedTuple):
    """Something found, and its path relative to the named directory, with `/`; empty for what was named itself."""

    path: str
    relative: str
    is_directory: bool


_Row = tuple[bytes, bool]
"""An entry's name, and whether it is a directory to be entered."""


def _walk(
    root: str, selection: Selection, listed: Callable[[str], object], passed_over: PassedOver
) -> Iterator[_Entry]:
    """Depth first, with a stack of its own, since directories may be nested deeper than calls."""
    named = _Entry(root, "", True)
    stack = [(named, identity_of(root), _list(named, selection, passed_over))]
    while stack:
        directory, _, entries = stack[-1]
        try:
            entry = next(entries, None)
            if entry is None:
                listed(directory.path)
        except OSError:
            yield directory
            entry = None
        if entry is None:
            stack.pop()
        elif not entry.is_directory:
            yield entry
        else:
            # Only links make loops. Without them nothing is compared, since some file systems number files badly.
            identity = identity_of(entry.path) if selection.follow_links else None
            if identity is None or all(identity != ancestor for _, ancestor, _ in stack):
                stack.append((entry, identity, _list(entry, selection, passed_over)))


def identity_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """What two names of one file or directory have in common; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # no name at all
        return None
    return status.st_dev, status.st_ino


def _list(directory: _Entry, selection: Selection, passed_over: PassedOver) -> Iterator[_Entry]:
    """What the selection takes of one directory, sorted.

    Raises:
        OSError: the directory cannot be listed.
    """
    prefix = directory.relative and directory.relative + "/"
    for name, is_directory in _sorted(partial(_scan, directory.path, prefix, selection, passed_over)):
        text = os.fsdecode(name)
        yield _Entry(os.path.join(directory.path, text), prefix + text, is_directory)


def _scan(path: str, prefix: str, selection: Selection, passed_over: PassedOver) -> Generator[_Row]:
    with os.scandir(path) as found:
        for entry in found:
            relative = prefix + entry.name
            if entry.name.startswith(".") or _matches(selection.exclude, entry.name, relative):
                continue
            try:
                is_directory, is_link = entry.is_dir(), entry.is_symlink()
            except OSError:  # such as a link to itself: no more a directory than one that leads nowhere
                is_directory, is_link = False, False
            if is_directory:
                if selection.recursive and (selection.follow_links or not is_link):
                    yield os.fsencode(entry.name), True
                elif selection.recursive:
                    passed_over(entry.path, True)
            elif _matches(selection.include, entry.name, relative):
                yield os.fsencode(entry.name), False
            else:
                passed_over(entry.path, False)


def _matches(globs: tuple[str, ...], name: str, relative: str) -> bool:
    names, paths = _compiled(globs)
    return bool(names.match(name) or paths.match(relative))


@lru_cache
def _compiled(globs: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """One expression for base names and one for relative paths; without globs, it matches nothing.

    A slash at the end, which shells add to the name of a directory, counts for nothing.
    """
    globs = tuple(glob.rstrip("/") or glob for glob in globs)
    kinds = ([glob for glob in globs if "/" not in glob], [glob for glob in globs if "/" in glob])
    names, paths = (re.compile("|".join(map(fnmatch.translate, kind)) or "(?!)", re.IGNORECASE) for kind in kinds)
    return names, paths


def _sorted(scan: Callable[[], Generator[_Row]]) -> Iterator[_Row]:
    """The rows of a scan, sorted, in bounded memory; the scan is over before the first is yielded."""
    rows = scan()
    few = list(islice(rows, IN_MEMORY + 1))
    if len(few) <= IN_MEMORY:
        yield from sorted(few)
        return

    import sqlite3  # takes its time, and few directories need it

    last = b""
    try:
        # A generator may be closed by another thread than the one that began it.
        with closing(sqlite3.connect("", check_same_thread=False)) as database:
            database.execute("CREATE TABLE entries (name BLOB, is_directory INTEGER)")
            database.executemany("INSERT INTO entries VALUES (?, ?)", chain(few, rows))
            for last, is_directory in database.execute("SELECT name, is_directory FROM entries ORDER BY name"):
                yield last, bool(is_directory)
    except sqlite3.Error:  # such as no room for temporary files: memory is what is left
        rows.close()
        yield from (row for row in sorted(scan()) if row[0] > last)


def _is_in_shard(key: str, part: int, parts: int) -> bool:
    return zlib.crc32(os.fsencode(key)) % parts == part - 1
