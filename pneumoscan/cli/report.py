"""`pneumoscan report`: make a page of records, to look through the most urgent pictures first."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pneumoscan import models
from pneumoscan.cli.exits import Exit, fail, need_folder
from pneumoscan.cli.options import RESULTS, DeviceName, Quiet, model_option
from pneumoscan.cli.pages import THUMBNAILS, check_page, write_page
from pneumoscan.cli.progress import progress
from pneumoscan.cli.recorded import latest
from pneumoscan.cli.start import configure_messages, load_scanner
from pneumoscan.records import Label


def _number_or_none(text: str) -> int:
    number = "0" if text == "none" else str(text)  # the default is a number already
    if not number.isdecimal():
        raise typer.BadParameter(f"{text!r} is neither a number from 0 nor none")
    return int(number)


def report(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Results (.csv, .json, .jsonl, .parquet) of [bold]predict[/].")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", readable=False, help="The page, an .html file.", rich_help_panel=RESULTS
        ),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the relative paths of the results begin. Unless given: here.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    images: Annotated[
        Literal["embed", "link"],
        typer.Option(
            help="[bold]embed[/] small pictures, so that the page can be sent; or [bold]link[/] the originals, from "
            "where they lie.",
            rich_help_panel=RESULTS,
        ),
    ] = "embed",
    thumbnails: Annotated[
        int,
        typer.Option(
            metavar="N|none",
            parser=_number_or_none,
            help="Embed this many pictures, the most urgent ones, at some 14 kB each.",
            rich_help_panel=RESULTS,
        ),
    ] = THUMBNAILS,
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps/--no-heatmaps",
            help="Score the embedded PNEUMONIAs again, to show where the model found its evidence.",
            rich_help_panel=RESULTS,
        ),
    ] = True,
    device: DeviceName = "auto",
    model: Annotated[str | None, model_option("the shipped model that made the records")] = None,
    quiet: Quiet = False,
) -> None:
    """Make a worklist of results: one HTML file that needs no network, the most urgent pictures first.

    However many records there are, it lists at most the 20,000 most urgent of those scored, 5,000 rejected and 5,000
    errors. Pictures that have vanished or changed are shown as such. Heatmaps come only from the model that scored the
    pictures; unless named, it is looked for among the shipped ones.

    Exit codes: 0 the page was written; 1 it could not be; 2 wrong usage, or results that cannot be read; 3 there are no
    records; 4 model or device unavailable. Research use only; not a medical device.
    """
    check_page(output)
    root = root or Path()
    need_folder(root, "--root")
    configure_messages(quiet)

    from pneumoscan.report.worklist import Worklist

    worklist = Worklist()
    found = latest(predictions, "PREDICTIONS")
    for record in progress(found, "records", quiet=quiet):
        worklist.add(record)
    if not worklist.total:
        fail(f"nothing to show: {predictions} holds no records", Exit.NOTHING_TO_SCAN)
    scanner = None
    if heatmaps and thumbnails and worklist.counts[Label.PNEUMONIA]:
        if model is None:
            model = models.first_of(run.model_sha256 for run, _ in worklist.runs.most_common())
        scanner = load_scanner(model, device=device)
    facts = {"Results": str(predictions)}
    if not write_page(worklist, output, root, scanner, facts, thumbnails=thumbnails, images=images, quiet=quiet):
        raise typer.Exit(Exit.INPUT_ERRORS)
