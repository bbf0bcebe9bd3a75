"""`pneumoscan` and `python -m pneumoscan`."""

import sqlite3
import sys

from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit, complain


def main() -> None:
    """Runs the command line and exits with its code."""
    try:
        app(prog_name="pneumoscan")
    except sqlite3.OperationalError as error:  # what is remembered of millions of files spills to the disk
        import tempfile

        complain(f"cannot keep temporary data in {tempfile.gettempdir()}: {error}; set TMPDIR to a place with room")
        sys.exit(Exit.INPUT_ERRORS)


if __name__ == "__main__":
    main()
