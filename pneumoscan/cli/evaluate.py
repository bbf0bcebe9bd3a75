"""`pneumoscan evaluate`: tell how good verdicts are on labelled pictures."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pneumoscan import models
from pneumoscan.cli.exits import Exit, complain, fail, misuse, need_folder, need_new_folder, say
from pneumoscan.cli.options import (
    ENGINE,
    RESULTS,
    BatchSize,
    DeviceName,
    MaxPixels,
    ModelName,
    Quiet,
    Threshold,
    Workers,
)
from pneumoscan.cli.outputs import same_file
from pneumoscan.cli.pages import check_page
from pneumoscan.cli.progress import progress
from pneumoscan.cli.recorded import recorded
from pneumoscan.cli.start import configure_messages, load_scanner
from pneumoscan.cli.stop import StopSignal
from pneumoscan.labels import LabelError, Labelled, OtherFiles, Pair, Pairing, pair, read_labels
from pneumoscan.records import Record

if TYPE_CHECKING:
    from pneumoscan.evaluation import Cases, Evaluation
    from pneumoscan.heatmap import Heat
    from pneumoscan.scan import Scanner, Seen


def evaluate(
    labels: Annotated[
        str,
        typer.Argument(
            metavar="LABELS",
            help="A folder with pictures below folders named NORMAL and PNEUMONIA, or a CSV with the columns path, "
            "label (normal, pneumonia, bacterial, viral) and perhaps subtype and group (the patient).",
        ),
    ],
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take these results (.csv, .json, .jsonl, .parquet) of [bold]predict[/] in place of a scan.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the relative paths of these results begin. Unless given: here.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(
            metavar="THRESHOLD",
            help="Also tell how good verdicts at this threshold would be. May be given again. Unless given: 0.5, and "
            "the one with sensitivity 0.95 on these pictures.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Draw ROC, precision and recall, reliability, confusion and scores into this folder.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    plot_format: Annotated[
        Literal["png", "svg"] | None,
        typer.Option(help="What to draw them as.", show_default="png", rich_help_panel=RESULTS),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Make a page (.html) of it all: figures, plots, any other threshold, the worst mistakes as pictures.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps/--no-heatmaps",
            help="Show on the page where the model found its evidence.",
            rich_help_panel=RESULTS,
        ),
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object in place of tables.", rich_help_panel=RESULTS)
    ] = False,
    threshold: Threshold = None,
    max_pixels: MaxPixels = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    device: DeviceName = "auto",
    model: ModelName = None,
    quiet: Quiet = False,
) -> None:
    """Measure how good verdicts are on pictures whose diagnosis is known.

    Scans the pictures, or takes the results of an earlier scan. Every figure comes with its 95 % interval and the
    number of pictures that it is about; pictures without a score are counted and named.

    Exit codes: 0 everything was scored or rejected; 1 some inputs ended in an error or have no record, or a plot or the
    page could not be written; 2 wrong usage, or no labels; 3 nothing to evaluate; 4 model or device unavailable; 129,
    130 or 143 stopped by a signal, without figures. Research use only; not a medical device.
    """
    if wrong := [value for value in at or () if not 0 <= value <= 1]:
        misuse(f"{wrong[0]} does not lie between 0 and 1", "--at")
    if root is not None and predictions is None:
        misuse("goes with --predictions", "--root")
    if root is not None:
        need_folder(root, "--root")
    if plot_format is not None and plots is None:
        misuse("goes with --plots", "--plot-format")
    if predictions is not None and (device != "auto" or {threshold, max_pixels, batch_size, workers, model} != {None}):
        misuse("goes without the options of model and machine: nothing is scanned", "--predictions")
    _prepare(plots, report)
    configure_messages(quiet)
    known, unlabelled = _known(labels, quiet)
    heat: dict[str, Heat] = {}
    if predictions is None:
        options = {"max_pixels": max_pixels, "batch_size": batch_size, "workers": workers}
        scanner = load_scanner(model, device=device, threshold=threshold, **options)
        records = _scan(known, scanner, heat if report and heatmaps else None, quiet)
    else:
        records = _read(predictions, root)
    pairing = pair(known, records, unlabelled)
    if not pairing.scored:
        fail(_nothing(pairing), Exit.NOTHING_TO_SCAN)

    from pneumoscan.cli.evaluation_output import as_json as to_json
    from pneumoscan.cli.evaluation_output import as_text
    from pneumoscan.evaluation import Cases, evaluate

    cases = Cases.of(pairing.scored)
    evaluation = evaluate(cases, at, unscored=[each.label for each in pairing.unscored])
    say(to_json(pairing, evaluation) if as_json else as_text(pairing, evaluation))
    is_written = plots is None or _draw(cases, evaluation, plots, plot_format or "png", quiet)
    if report is not None:
        from pneumoscan.cli.evaluation_page import write_evaluation

        facts = {"Labels": labels} | ({} if predictions is None else {"Results": str(predictions)})
        # A scan has just told where it found its evidence; what it did not, it would not tell now.
        scorer = None
        if heatmaps and predictions is not None:
            digests = Counter(each.record.model_sha256 for each in pairing.scored)
            scorer = partial(load_scanner, models.first_of(digest for digest, _ in digests.most_common()))
        is_written &= write_evaluation(report, pairing, cases, evaluation, facts, heat, scorer, quiet)
    if pairing.failed or pairing.without_record or not is_written:
        raise typer.Exit(Exit.INPUT_ERRORS)


def _prepare(plots: Path | None, report: Path | None) -> None:
    """Finds out what is missing before a scan takes its time."""
    try:
        import pneumoscan.evaluation

        if plots is not None or report is not None:
            import pneumoscan.plots  # noqa: F401
        if report is not None:
            check_page(report, "--report")
        if plots is not None:
            need_new_folder(plots, "--plots")
        if plots is not None and report is not None and same_file(plots, report):
            misuse(f"{plots} is named twice", "--plots")
    except ModuleNotFoundError as error:
        fail(str(error), Exit.USAGE)


def _known(source: str, quiet: bool) -> tuple[list[Labelled], list[str]]:
    others = OtherFiles()
    try:
        known, unlabelled = read_labels(source, others)
    except LabelError as error:
        misuse(str(error), "LABELS")
    if not known and unlabelled:
        where = "no picture lies below a folder NORMAL or PNEUMONIA" if Path(source).is_dir() else "no row has a label"
        misuse(f"{source}: {where}", "LABELS")
    told = str(others)
    if not known:
        skipped = f"; skipped: {told}" if told else ""
        fail(f"nothing to evaluate: no pictures in {source}{skipped}", Exit.NOTHING_TO_SCAN)
    if told and not quiet:
        complain(f"skipped: {told}")
    return known, unlabelled


def _read(predictions: Path, root: Path | None) -> list[Record]:
    """The records of an earlier scan, with paths as they are from here."""
    found = recorded(predictions, "--predictions")
    if root is None:
        return list(found)
    return [replace(record, path=os.path.join(root, record.path)) for record in found]


def _scan(known: list[Labelled], scanner: "Scanner", heat: "dict[str, Heat] | None", quiet: bool) -> list[Record]:
    """The records of the pictures; `heat`, if wanted, takes the heatmaps of wrong verdicts by path."""
    paths = [each.path for each in known]
    found: Iterator[Record]
    if heat is None:
        found = scanner.scan(paths, walk=False)
    else:
        found = _noting_heat(known, scanner.scan_pictures(paths, walk=False), heat)
    with StopSignal() as stop:
        records = list(progress(stop.until(found), "pictures", quiet=quiet, total=len(known)))
    stop.exit_if_any()  # figures of some of the pictures would pass for those of all
    return records


def _noting_heat(known: list[Labelled], seen: "Iterator[Seen]", heat: "dict[str, Heat]") -> Iterator[Record]:
    for labelled, (record, _, found) in zip(known, seen, strict=True):
        if found is not None and Pair(labelled, record).is_wrong:
            heat[record.path] = found.copy()  # a heatmap is a part of its whole batch
        yield record


def _nothing(pairing: Pairing) -> str:
    """Why no picture has figures."""
    parts = {
        "rejected": len(pairing.rejected),
        "failed": len(pairing.failed),
        "without a record": len(pairing.without_record),
    }
    message = f"nothing to evaluate: of {len(pairing.labelled):,} labelled pictures "
    message += ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    if pairing.failed:
        first = pairing.failed[0].record
        message += f"; {first.path}: {first.message}"
    elif pairing.without_record and pairing.without_label:
        labelled, record = (
            os.path.abspath(path) for path in (pairing.without_record[0].path, pairing.without_label[0])
        )
        message += f"; a label is of {labelled}, a record of {record}"
    return message


def _draw(cases: "Cases", evaluation: "Evaluation", folder: Path, format: str, quiet: bool) -> bool:
    """Draws, and says what; whether all could be written."""
    from pneumoscan.plots import draw

    try:
        folder.mkdir(exist_ok=True)
        written = draw(cases, evaluation, folder, format)
    except OSError as error:
        complain(f"cannot write {error.filename or folder}: {error.strerror}")
        return False
    if not quiet:
        complain(f"drew {', '.join(map(str, written))}")
    return True
