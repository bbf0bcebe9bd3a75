"""`python -m train export`: from a finished fit to the model file and its card."""

from pathlib import Path
from typing import Annotated

import typer

from pneumoscan.metrics import Interval
from train.cli.data import training_data, warn
from train.cli.options import Data, Run, ScanSize
from train.settings import SCAN_SIZE, WEIGHTS_LICENCE


def export(
    data: Data,
    run: Run = Path("runs/lite0"),
    out: Annotated[
        Path | None, typer.Option(help="The model file; its card goes beside it. Unless given, model.onnx of the fit.")
    ] = None,
    size: ScanSize = SCAN_SIZE,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantise to 8 bits, which is faster on CPUs, and measure the folds so too."),
    ] = False,
    name: Annotated[str, typer.Option(help="Of the model; that of the fit's network unless given.")] = "",
    version: Annotated[str, typer.Option(help="Of the model.")] = "0",
    source: Annotated[
        str,
        typer.Option(
            help="Where the pictures are from and under which licence, for the card. Unless given, a folder with as "
            "many pictures of each class as the published data set is taken for it, all else for pictures of your own.",
        ),
    ] = "",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = WEIGHTS_LICENCE,
    audit_json: Annotated[
        Path | None, typer.Option("--audit", metavar="FILE", help="What audit --json wrote of this fit, for the card.")
    ] = None,
    compare_json: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="The compare.json of compare, for the card.")
    ] = None,
) -> None:
    """Calibrate a finished fit on its folds, and write the ONNX file and its CARD.md."""
    from train.release import find_weaknesses, make_place, release, source_of

    out = out or run / "model.onnx"
    make_place(out)
    samples, pixels = training_data(data)
    card, calibration = release(
        samples,
        pixels,
        run,
        out,
        size=size,
        int8=int8,
        name=name,
        version=version,
        source=source or source_of(samples, data),
        licence=licence,
        audit=audit_json,
        comparison=compare_json,
    )
    for key, figure in card.figures.items():
        typer.echo(f"{key:40} {Interval(*figure)}")
    typer.echo(f"temperature {calibration.temperature:.3f}, offsets {calibration.offsets}")
    typer.echo(f"threshold {card.threshold}, review band {card.review_band}")
    typer.echo(f"outlier threshold {card.outlier_threshold}, unfamiliar threshold {card.unfamiliar_threshold}")
    typer.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) and {out.with_name('CARD.md')}")
    if weaknesses := find_weaknesses(card.figures):
        warn(f"the model is of little use: {'; '.join(weaknesses)}")
