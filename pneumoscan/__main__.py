"""`pneumoscan` and `python -m pneumoscan`."""

import os
import sqlite3
import sys
from contextlib import suppress

from pneumoscan.atomic import NO_ROOM
from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit, UsageError, complain, lead_nowhere

STOPPED = (Exit.HANGUP, Exit.INTERRUPTED, Exit.TERMINATED)


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        app(prog_name="pneumoscan")
    except SystemExit as end:
        if isinstance(end.code, int) and end.code in STOPPED:
            _leave(end.code)
        if end.code == 1 and _is_misuse(end):  # nobody reads standard error any more
            lead_nowhere(sys.stderr)
            sys.exit(Exit.USAGE)
        raise
    except FileNotFoundError as error:
        if error.filename is not None:
            raise
        if not _has_folder():
            complain("the current directory is gone: go to another one")
            sys.exit(Exit.USAGE)
        if error.strerror is None:
            raise
        complain(f"{error.strerror}; set TMPDIR to a place that can be written to")  # by tempfile
        sys.exit(Exit.INPUT_ERRORS)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        lead_nowhere(sys.stdout)  # or what it still holds would fail again
        complain(f"cannot write: {error.strerror}")  # help, or a temporary file: commands tell of outputs
        sys.exit(Exit.USAGE if _is_misuse(error) else Exit.INPUT_ERRORS)
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        complain("no more threads may be started: raise the limit of processes (ulimit -u, TasksMax, --pids-limit)")
        sys.exit(Exit.INPUT_ERRORS)
    except sqlite3.OperationalError as error:  # what is remembered of millions of files spills to the disk
        from pneumoscan.path_table import spill_folder

        place = ""
        with suppress(OSError):  # there may be none
            place = f" in {spill_folder()}"
        complain(f"cannot keep temporary data{place}: {error}; set TMPDIR to a place with room")
        sys.exit(Exit.INPUT_ERRORS)


def _is_misuse(error: BaseException | None) -> bool:
    """Whether an error came up while wrong usage was told, or is that."""
    while error is not None and not isinstance(error, UsageError):
        error = error.__context__
    return error is not None


def _has_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _leave(code: int) -> None:
    """Ends at once, without waiting for threads: what is finished has been written.

    One may hang in a read, or wait for a lock: a signal can strike just when the main thread has taken that of a
    future, which then nobody gives back.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
