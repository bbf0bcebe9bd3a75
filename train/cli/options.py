"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from train.dataset import SOURCE_SIZE

SMALLEST = 32
"""Side in pixels of the one cell that networks see at least."""

Data = Annotated[Path, typer.Argument(metavar="DATA", help="A chest_xray folder, or a CSV of path, label, group.")]
DataOption = Annotated[
    Path, typer.Option("--data", help="As of fit: a chest_xray folder, or a CSV of path, label, group.")
]
Run = Annotated[Path, typer.Option(help="Folder of the fit: weights, checkpoints, TensorBoard logs.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="cuda trains with mixed precision.")]
ScanSize = Annotated[
    int,
    typer.Option(
        min=SMALLEST,
        max=SOURCE_SIZE,
        help="Side at which the networks of a fit scan, in pixels. Pictures are held for training at "
        "the maximum: a larger side would be measured on enlarged ones, unlike a scan.",
    ),
]
