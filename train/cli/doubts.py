"""`python -m train doubts`: runs of labels that no network agrees with."""

from pathlib import Path
from typing import Annotated

import typer

from train.cli.data import training_data
from train.cli.options import DataOption, ScanSize
from train.settings import SCAN_SIZE


def doubts(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished fits.")],
    data: DataOption,
    size: ScanSize = SCAN_SIZE,
) -> None:
    """Find ranges of picture numbers in which fits cannot tell viral from bacterial. On the CPU."""
    from train.find_doubts import find_doubts

    found = find_doubts(runs, *training_data(data), size)
    typer.echo("runs of labels that agree with these fits, out of fold, as if by chance:")
    for run, pictures, agreement in found.doubts:
        typer.echo(f"  {run.kind:8} {run.first:5} to {run.last:5}  {pictures:5,} pictures, {agreement:.2f} agree")
    typer.echo("AUC, viral against bacterial, out of fold:")
    for name, figure in found.aucs.items():
        typer.echo(f"  {name:20} {figure}")
