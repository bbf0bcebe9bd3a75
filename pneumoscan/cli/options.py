"""Options that several commands share."""

import math
from typing import Annotated, Any

import typer

from pneumoscan import devices, models
from pneumoscan.sources import PICTURES

FILES, RESULTS, ENGINE = "Which files", "Results", "Model and machine"
"""Panels of the help."""


def _known_device(name: str) -> str:
    try:
        devices.parse(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return name


def finite(value: float | None) -> float | None:
    """Refuses infinity, and NaN, which is neither below a lowest nor above a highest value."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


Recursive = Annotated[
    bool, typer.Option("--recursive/--no-recursive", help="Enter subdirectories, too.", rich_help_panel=FILES)
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
    typer.Option(metavar="GLOB", help="In directories, skip these files and directories.", rich_help_panel=FILES),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Enter links to directories.", rich_help_panel=FILES)]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        callback=finite,
        help="Probability from which on a picture is PNEUMONIA; what lies between it and the model's review band is "
        "flagged, too. Unless given: the model's own.",
        rich_help_panel=ENGINE,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pictures per run of the network, filled up on a CPU to a multiple of 4. Unless given: automatic.",
        rich_help_panel=ENGINE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Threads that decode and score. Unless given: one for each core.", rich_help_panel=ENGINE),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Pictures of more pixels become errors, undecoded. Unless given: 64 million.",
        rich_help_panel=FILES,
    ),
]
DeviceName = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        callback=_known_device,
        autocompletion=lambda: ["auto", "cpu", "cuda", "cuda:all"],
        help="What runs the network: [bold]auto[/], [bold]cpu[/], [bold]cuda[/], or GPUs by number, [bold]cuda:0,1[/] "
        "or [bold]cuda:all[/]. [bold]cuda[/] fails unless it really runs; [bold]auto[/] falls back.",
        rich_help_panel=ENGINE,
    ),
]


def model_option(unless_given: str = models.DEFAULT_MODEL) -> Any:
    """The option `--model` of a command that without it takes what is named here."""
    return typer.Option(
        metavar="NAME|FILE",
        help=f"A shipped model ({', '.join(models.names())}), or an ONNX file. Unless given: {unless_given}.",
        rich_help_panel=ENGINE,
    )


ModelName = Annotated[str | None, model_option()]  # a Path would lose the ./ by which a file is told from a name
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, warnings or summary.")]
