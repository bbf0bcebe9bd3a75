"""`pneumoscan report`: make a page of records, to look through the most urgent pictures first."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from tqdm import tqdm

from pneumoscan.atomic import write_whole
from pneumoscan.cli.exits import Exit, complain, fail, misuse
from pneumoscan.cli.options import RESULTS, DeviceName, ModelFile, Quiet
from pneumoscan.cli.recorded import latest
from pneumoscan.cli.start import configure_messages, load_scanner
from pneumoscan.records import Label, Status
from pneumoscan.sinks import is_file

if TYPE_CHECKING:
    from pneumoscan.report.worklist import Entry, Worklist
    from pneumoscan.scan import Scanner

THUMBNAILS = 500
"""Pictures that a page embeds unless told otherwise: 7 MB, and a few seconds of decoding."""


def _number_or_none(text: str) -> int:
    number = 0 if text == "none" else int(text)
    if number < 0:
        raise ValueError
    return number


def report(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Results (.csv, .json, .jsonl, .parquet) of [bold]predict[/].")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page, an .html file.", rich_help_panel=RESULTS)
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
    model: ModelFile = None,
    quiet: Quiet = False,
) -> None:
    """Make a worklist of results: one HTML file that needs no network, the most urgent pictures first.

    It holds the 20,000 most urgent of any number of records, and the first 5,000 errors. Pictures that have vanished or
    changed are shown as such.

    Exit codes: 0 the page was written; 1 it could not be; 2 wrong usage, or results that cannot be read; 3 there are no
    records; 4 model or device unavailable. Research use only; not a medical device.
    """
    check_page(output)
    root = root or Path()
    if not root.is_dir():
        misuse(f"there is no directory {root}", "--root")
    configure_messages(quiet)

    from pneumoscan.report.worklist import Worklist

    worklist = Worklist()
    found = latest(predictions, "PREDICTIONS")
    for record in tqdm(found, unit=" records", leave=False, disable=True if quiet else None):
        worklist.add(record)
    if not worklist.total:
        fail(f"nothing to show: {predictions} holds no records", Exit.NOTHING_TO_SCAN)
    scanner = None
    if heatmaps and thumbnails and worklist.counts[Label.PNEUMONIA]:
        scanner = load_scanner(model, device=device)
    facts = {"Results": str(predictions)}
    if not write_page(worklist, output, root, scanner, facts, thumbnails=thumbnails, images=images, quiet=quiet):
        raise typer.Exit(Exit.INPUT_ERRORS)


def check_page(target: Path, option: str = "-o") -> None:
    """Finds out what speaks against a page at that place, before a scan takes its time.

    Raises:
        typer.BadParameter: it cannot be written there.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        misuse(f"{target}: name the page .html", option)
    folder = target.absolute().parent
    if not folder.is_dir():
        misuse(f"{target}: there is no directory {target.parent}", option)
    if not is_file(target) or not os.access(folder, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        misuse(f"{target} cannot be written", option)


def write_page(
    worklist: "Worklist",
    target: Path,
    root: Path,
    scanner: "Scanner | None",
    facts: Mapping[str, str],
    *,
    thumbnails: int = THUMBNAILS,
    images: str = "embed",
    notes: Sequence[str] = (),
    quiet: bool = False,
) -> bool:
    """Makes the page and says so; whether it could be written.

    Args:
        worklist: what to show.
        target: the page.
        root: where relative paths begin.
        scanner: scores PNEUMONIAs again that have no heatmap yet, if it is of the same model; None for no such thing.
        facts: of the run, by name.
        thumbnails: pictures that are embedded.
        images: `embed` or `link`.
        notes: sentences on what the page does not show.
        quiet: says nothing but that it failed.
    """
    from pneumoscan.report.render import render

    entries = list(worklist.entries())
    notes = [*notes, *_left_out(worklist)]
    pictures = _pictures(entries, target, root, thumbnails, images, quiet)
    shown = len(pictures) if images == "link" else thumbnails
    notes += _add_heat(entries[:thumbnails], pictures[:thumbnails], root, scanner, quiet)
    if 0 < shown < len(entries):
        notes.append(f"Only the {shown:,} most urgent rows have their picture.")
    content = render(worklist, entries, pictures, facts=facts, notes=notes, linked_images=images == "link")
    try:
        write_whole(target, content)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        return False
    if not quiet:
        complain(f"wrote {target} ({len(content) / 1e6:.1f} MB)")
    return True


def _pictures(
    entries: "Sequence[Entry]", target: Path, root: Path, thumbnails: int, images: str, quiet: bool
) -> list[dict[str, str]]:
    """For each row what the page holds of its picture."""
    from pneumoscan.report import pictures
    from pneumoscan.scan import available_cores

    if images == "link":
        return [
            {} if entry.record.status == Status.ERROR else {"image": pictures.link(entry.record, root, target)}
            for entry in entries
        ]
    shown = [entry.record for entry in entries[:thumbnails] if entry.record.status != Status.ERROR]
    made = pictures.thumbnails(shown, root, available_cores())
    found = [
        {"missing": str(each)} if isinstance(each, pictures.NoPictureError) else {"image": each}
        for each in tqdm(made, total=len(shown), unit=" thumbnails", leave=False, disable=True if quiet else None)
    ]
    return found + [{} for _ in entries[len(found) :]]


def _add_heat(
    entries: "Sequence[Entry]",
    pictures: Sequence[dict[str, str]],
    root: Path,
    scanner: "Scanner | None",
    quiet: bool,
) -> list[str]:
    """Adds heat layers to pictures that are shown; what is to be said of those that get none."""
    from pneumoscan.report.pictures import heat_layer

    wanted = []
    for entry, picture in zip(entries, pictures, strict=True):
        if "image" in picture and entry.heat is not None:
            picture["heat"] = heat_layer(entry.heat)
        elif "image" in picture and entry.record.label == Label.PNEUMONIA:
            wanted.append((entry.record, picture))
    if scanner is None or not scanner.model.has_heatmap:
        return []
    fitting = [each for each in wanted if each[0].model_sha256 == scanner.model.sha256]
    again = scanner.scan_pictures((os.path.join(root, record.path) for record, _ in fitting), walk=False)
    progress = tqdm(again, total=len(fitting), unit=" heatmaps", leave=False, disable=True if quiet else None)
    for (record, picture), seen in zip(fitting, progress, strict=True):
        if seen.heatmap is not None and seen.record.modified == record.modified:
            picture["heat"] = heat_layer(seen.heatmap)
    foreign = len(wanted) - len(fitting)
    if foreign == 1:
        return ["1 picture has no heatmap: another model scored it."]
    return [f"{foreign:,} pictures have no heatmap: another model scored them."] if foreign else []


def _left_out(worklist: "Worklist") -> list[str]:
    """Says plainly what is not there."""
    parts = [
        f"the {kept:,} most urgent of {of:,} scored pictures"
        if name == "scored"
        else f"the first {kept:,} of {of:,} {'errors' if name == Status.ERROR else 'rejected pictures'}"
        for name, (kept, of) in worklist.left_out().items()
    ]
    if not parts:
        return []
    return [
        f"This page lists {' and '.join(parts)}. The counts and the histogram are of all; the results file has all."
    ]
