"""The command line of training: one file for each command."""

import typer

from train.cli.audit import audit
from train.cli.compare import compare
from train.cli.cost import cost
from train.cli.doubts import doubts
from train.cli.export import export
from train.cli.fit import fit
from train.cli.heat import heat
from train.cli.index import index

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Train the model that pneumoscan scans with. Research use only; not a medical device.",
)
for command in (index, fit, compare, audit, doubts, heat, export, cost):
    app.command()(command)
