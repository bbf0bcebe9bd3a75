"""What is known of any number of paths: in memory while they are few, then in a temporary file."""

import errno
import os
import sqlite3

SPILL_VARIABLES = ("SQLITE_TMPDIR", "TMPDIR")
"""Of the environment, that tell SQLite where to keep what does not fit into memory: the first that can be written."""


def spill_folder() -> str:
    """Where SQLite keeps what does not fit into memory, which is not always where Python keeps temporary files.

    See https://www.sqlite.org/tempfiles.html, section 5.

    Raises:
        OSError: there is no such folder.
    """
    if os.name == "nt":
        import tempfile

        return tempfile.gettempdir()
    named = map(os.environ.get, SPILL_VARIABLES)
    for folder in (*named, "/var/tmp", "/usr/tmp", "/tmp", "."):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return os.path.abspath(folder)
    raise FileNotFoundError(errno.ENOENT, "there is no folder for them")


def temporary_database() -> sqlite3.Connection:
    """A database that SQLite keeps in memory while it is small, then in a temporary file that nobody sees.

    Where there can be no such file, it stays in memory.
    """
    try:
        spill_folder()
        place = ""
    except OSError:
        place = ":memory:"
    database = sqlite3.connect(place, isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA cache_size = -1000")  # KiB
    return database


class PathTable:
    """A dictionary of integers by path that takes no memory however many there are."""

    def __init__(self) -> None:
        self._database = temporary_database()
        self._database.execute("CREATE TABLE number (path BLOB PRIMARY KEY, number INT) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def setdefault(self, path: str, number: int) -> int:
        """The number of a path, which is this one unless it had one."""
        if self._database.execute("INSERT OR IGNORE INTO number VALUES (?, ?)", [_key(path), number]).rowcount:
            return number
        found = self.get(path)
        assert found is not None
        return found

    def __setitem__(self, path: str, number: int) -> None:
        self._database.execute("INSERT OR REPLACE INTO number VALUES (?, ?)", [_key(path), number])

    def get(self, path: str) -> int | None:
        """The number of a path; None where it has none."""
        found = self._database.execute("SELECT number FROM number WHERE path = ?", [_key(path)]).fetchone()
        return None if found is None else int(found[0])

    def close(self) -> None:
        """Frees what it holds."""
        self._database.close()


def _key(path: str) -> bytes:
    """The path's characters; of one that a file gave, escaped or half ones too, which no system's path could hold."""
    return path.encode("utf-8", "surrogatepass")
