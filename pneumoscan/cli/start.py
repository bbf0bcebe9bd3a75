"""What commands that scan do first: streams, messages, the scanner."""

import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from pneumoscan.cli.exits import Exit, fail, tell
from pneumoscan.formats import printable
from pneumoscan.ledger import Settings

if TYPE_CHECKING:
    from pneumoscan.scan import Scanner


def open_closed_streams() -> None:
    """Stands in for streams that the caller has closed (`>&-`), so that no file takes their place unnoticed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


class _Messages(logging.Handler):
    """Tells messages as commands do."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(printable(self.format(record)))


def configure_messages(quiet: bool) -> None:
    """Warnings go to standard error in the program's own words, unless they are not wanted."""
    level = logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(format="pneumoscan: %(message)s", level=level, handlers=[_Messages()])
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata; what matters is in the record


def load_scanner(model: str | None, **options: Any) -> "Scanner":
    """Loads the model, by the name of a shipped one or the path of a file; None for the default.

    Raises:
        typer.Exit: with `UNAVAILABLE`, if model or device cannot be used.
    """
    from pneumoscan.model import DeviceError, ModelError
    from pneumoscan.scan import Scanner

    try:
        return Scanner(model, **{name: value for name, value in options.items() if value is not None})
    except (ModelError, DeviceError) as error:
        fail(str(error), Exit.UNAVAILABLE)


def settings_of(scanner: "Scanner") -> Settings:
    """What besides a file decides its record."""
    max_pixels = min(scanner.max_pixels, sys.maxsize)  # more than any picture has, and more than SQLite takes
    return Settings(scanner.model.sha256, scanner.threshold, max_pixels)
