"""The command line: one file for each command. Heavy libraries are imported when a command runs, not before."""

import inspect
import re
from typing import Annotated

import typer

import pneumoscan
from pneumoscan.cli.bench import bench
from pneumoscan.cli.doctor import doctor
from pneumoscan.cli.evaluate import evaluate
from pneumoscan.cli.explain import explain
from pneumoscan.cli.predict import predict
from pneumoscan.cli.report import report
from pneumoscan.cli.schema import schema
from pneumoscan.cli.start import open_closed_streams
from pneumoscan.cli.validate import validate
from pneumoscan.cli.watch import watch

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (predict, watch, report, explain, evaluate, validate, schema, doctor, bench):
    # The help is laid out anew, so that the docstring's own line ends only get in the way.
    app.command(help=re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(str(command.__doc__))))(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pneumoscan {pneumoscan.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Scan chest X-rays for pneumonia. Research use only; not a medical device."""
    open_closed_streams()
