"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pneumoscan.sources import PICTURES

Recursive = Annotated[bool, typer.Option("--recursive/--no-recursive", help="Enter directories in directories.")]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help=f"In directories, scan only these. Unless given: {' '.join(PICTURES)}"),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="In directories, pass over these files and directories.")
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Enter links to directories.")]
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Probability from which on it is PNEUMONIA. Unless given: the model's own."),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Pictures per run of the network. Unless given: chosen.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Decoding threads. Unless given: one for each core.")]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Larger pictures become errors, undecoded. Unless given: 64 million pixels."),
]
DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(help="What runs the network. [bold]cuda[/] fails unless it really does; [bold]auto[/] falls back."),
]
ModelFile = Annotated[Path | None, typer.Option(metavar="FILE", help="An ONNX model. Unless given: the one shipped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, warnings or summary.")]
