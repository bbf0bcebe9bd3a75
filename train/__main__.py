"""`python -m train`: from labelled pictures to the model file."""

import logging

from train.cli import app
from train.cli.data import warn
from train.errors import TrainError


def main() -> None:
    """Runs the command line; what went wrong with data or fit is a message, not a traceback."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app(prog_name="python -m train")
    except TrainError as error:
        warn(str(error))
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
