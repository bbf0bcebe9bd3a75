"""`python -m train compare`: what candidate recipes are worth."""

from pathlib import Path
from typing import Annotated

import typer

from train.cli.data import training_data
from train.cli.options import Data, Device, Run
from train.settings import Settings


def compare(
    data: Data,
    run: Run = Path("runs/compare"),
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Of the candidates, this one; may be repeated.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=Settings().folds, help="How many folds to fit and to score.")] = 1,
    device: Device = "auto",
) -> None:
    """Fit candidate recipes briefly, and print what each is worth plain and stressed. Goes on where it stopped."""
    from train import compare as comparison
    from train.network import best_device

    names = [*comparison.CANDIDATES, *comparison.MIRRORED]
    unknown = set(only or ()) - set(names)
    if unknown:
        raise typer.BadParameter(f"no candidate {', '.join(sorted(unknown))}; there are {names}")
    samples, pixels = training_data(data)
    found = comparison.compare(
        only or names, samples, pixels, run, folds, best_device() if device == "auto" else device
    )
    typer.echo(comparison.to_markdown(found))
