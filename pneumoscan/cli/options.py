"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pneumoscan.sources import PICTURES

FILES, RESULTS, ENGINE = "Which files", "Results", "Model and machine"
"""Panels of the help."""

Recursive = Annotated[
    bool, typer.Option("--recursive/--no-recursive", help="Enter directories in directories.", rich_help_panel=FILES)
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help=f"In directories, scan only these. Unless given: {' '.join(PICTURES)}",
        rich_help_panel=FILES,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="In directories, pass over these files and directories.", rich_help_panel=FILES),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Enter links to directories.", rich_help_panel=FILES)]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Probability from which on it is PNEUMONIA. Unless given: the model's own.",
        rich_help_panel=ENGINE,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Pictures per run of the network. Unless given: chosen.", rich_help_panel=ENGINE),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that decode and score. Unless given: one for each core.", rich_help_panel=ENGINE),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1, help="Larger pictures become errors, undecoded. Unless given: 64 million pixels.", rich_help_panel=FILES
    ),
]
DeviceName = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(
        help="What runs the network. [bold]cuda[/] fails unless it really does; [bold]auto[/] falls back.",
        rich_help_panel=ENGINE,
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="An ONNX model. Unless given: the one shipped.", rich_help_panel=ENGINE),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, warnings or summary.")]
