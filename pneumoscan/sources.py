"""Which files to scan. Owns the walk; knows nothing of pixels."""

import os
from collections.abc import Iterable, Iterator

SUFFIXES = (".jpeg", ".jpg", ".png")
"""Endings, in lower case, of the files that a directory walk picks up. What a file really holds, its content tells."""


def find_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
    """Streams the files to scan: named files as they are, directories recursively in sorted order.

    A named file is yielded whatever its suffix, and even if it does not exist: it is an input and gets its record.
    In directories, hidden entries are passed over and links to directories are not followed. A directory that
    cannot be listed is yielded itself, so that it is not silently left out.
    """
    for path in (os.fspath(path) for path in paths):
        if os.path.isdir(path):
            yield from _walk(path)
        else:
            yield path


def _walk(directory: str) -> Iterator[str]:
    """Depth first, with a stack of its own, since directories may be nested deeper than calls."""
    stack = [(directory, True)]
    while stack:
        path, is_directory = stack.pop()
        if not is_directory:
            yield path
            continue
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name), reverse=True)
        except OSError:
            yield path
            continue
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if not entry.name.startswith(".") and (is_directory or entry.name.lower().endswith(SUFFIXES)):
                stack.append((entry.path, is_directory))
