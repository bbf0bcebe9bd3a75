"""`pneumoscan` and `python -m pneumoscan`."""

from pneumoscan.cli import app


def main() -> None:
    """Runs the command line and exits with its code."""
    app(prog_name="pneumoscan")


if __name__ == "__main__":
    main()
