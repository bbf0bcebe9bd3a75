"""The command line: one file for each command, imported when it is asked for, so that none waits for the others."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

import pneumoscan
from pneumoscan.cli.exits import Exit, UsageError, fail, say
from pneumoscan.cli.start import open_closed_streams

NAMES = ("predict", "watch", "report", "explain", "evaluate", "validate", "schema", "doctor", "bench")
"""Commands in the order of the help. Each is a function in the file of its name."""


class _Commands(Mapping[str, Any]):
    """The commands by name, as Typer makes them of their functions; of what class depends on its version."""

    def __getitem__(self, name: str) -> Any:
        if name not in NAMES:
            raise KeyError(name)
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


@cache
def _command(name: str) -> Any:
    function = getattr(import_module(f"{__name__}.{name}"), name)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    # The help is laid out anew, so that the docstring's own line ends only get in the way.
    alone.command(name, help=re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(str(function.__doc__))))(function)
    return get_command(alone)


@contextmanager
def _usage_in_one_line() -> Iterator[None]:
    """Tells wrong usage in a line, which can be searched for, where no person looks."""
    try:
        yield
    except UsageError as error:
        if sys.stderr.isatty():
            raise
        fail(error.format_message(), Exit.USAGE)


class _Group(TyperGroup):
    """Typer's own, which would otherwise need every command before it runs one."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": _Commands()})

    def make_context(self, info_name: str | None, args: list[str], *others: Any, **settings: Any) -> Any:
        """Reads the arguments before the command."""
        open_closed_streams()
        with _usage_in_one_line() if args else nullcontext():  # without arguments, the help is what is told
            return super().make_context(info_name, args, *others, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        with _usage_in_one_line():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"pneumoscan {pneumoscan.__version__}\n")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Scan chest X-rays for pneumonia. Research use only; not a medical device."""
