"""Records as a table for people."""

from io import TextIOWrapper
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pneumoscan.formats import printable, rounded
from pneumoscan.records import Label, Record, Status

TABLE_ROWS = 1000
"""Rows that a table shows; beyond, nobody reads on, and a scan may have millions."""


class TableSink:
    """A table on a text stream, drawn at the end. Names are shown inert, whatever they hold."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._records: list[Record] = []
        self._left_out = 0

    def write(self, record: Record) -> None:
        """Keeps one row."""
        if len(self._records) < TABLE_ROWS:
            self._records.append(record)
        else:
            self._left_out += 1

    def commit(self) -> None:
        """Draws the table.

        Raises:
            OSError: it could not be written.
        """
        if isinstance(self._stream, TextIOWrapper):
            self._stream.reconfigure(errors="backslashreplace")
        table = Table(
            "file",
            "result",
            "pneumonia",
            "subtype",
            "note",
            box=None,
            header_style="bold",
            collapse_padding=True,
            pad_edge=False,
        )
        for column in table.columns:
            column.overflow = "fold"
        table.columns[1].min_width = max(map(len, (*Label, *Status)))
        table.columns[2].justify = "right"
        for record in self._records:
            result = record.label or record.status
            style = {"PNEUMONIA": "red", "NORMAL": "green"}.get(result, "yellow")
            score = "" if record.probability is None else rounded(record.probability)
            note = ": ".join(filter(None, (record.error or ("review" if record.review else None), record.message)))
            table.add_row(
                Text(printable(record.path)), Text(result, style), score, record.subtype or "", Text(printable(note))
            )
        console = Console(file=self._stream, highlight=False)
        with console.capture() as drawn:  # into a pipe that nobody reads any more it would end the whole program
            console.print(table)
            if self._left_out:
                console.print(f"… and {self._left_out:,} more. Write them to a file with -o.")
        self._stream.write(drawn.get())
        self._stream.flush()

    def discard(self) -> None:
        """Nothing is open."""
