"""`pneumoscan schema`: what a record looks like, for programs or people."""

import json
from typing import Annotated

import typer

from pneumoscan.cli.exits import say


def schema(
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="A table to read in place of the JSON Schema.")
    ] = False,
) -> None:
    """Print the JSON Schema of a record, whatever format it is written in."""
    from pneumoscan.schema import json_schema, markdown

    say(markdown() if as_markdown else json.dumps(json_schema(), indent=2) + "\n")
