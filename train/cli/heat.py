"""`python -m train heat`: how much of the heat lies in the middle."""

from pathlib import Path
from typing import Annotated

import typer

from pneumoscan.labels import TOLD
from train.cli.data import warn


def heat(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model's name, or an ONNX file.")],
    data: Annotated[Path, typer.Option(help="Labelled pictures: a folder or CSV as of pneumoscan evaluate.")],
) -> None:
    """Measure how much of a model's heat lies in the middle of pictures that it calls PNEUMONIA. On the CPU.

    The exit code is 1 where pictures could not be scored.
    """
    from train.heat import CENTRE, measure

    found = measure(model, data)
    typer.echo(f"{found.pictures:,} pictures called PNEUMONIA; share in the middle, {CENTRE:.0%} of each side:")
    for name in ("heat", "evidence"):
        typer.echo(f"  {name:8} {getattr(found, name)}")
    typer.echo(f"  {'even':8} {CENTRE**2:.3f}")
    if found.failed:
        more = "; …" if len(found.failed) > TOLD else ""
        warn(f"{len(found.failed):,} pictures could not be scored: {'; '.join(found.failed[:TOLD])}{more}")
        raise typer.Exit(1)
