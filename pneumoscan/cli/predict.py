"""`pneumoscan predict`: scan files and directories, write one record for each."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from pneumoscan.cli.exits import Exit, complain, counted, fail, misuse, tell
from pneumoscan.cli.heatmaps import Heatmaps, Which
from pneumoscan.cli.options import (
    FILES,
    RESULTS,
    BatchSize,
    DeviceName,
    Exclude,
    FollowLinks,
    Include,
    MaxPixels,
    ModelName,
    Quiet,
    Recursive,
    Threshold,
    Workers,
)
from pneumoscan.cli.outputs import STDOUT, Outputs, chosen_formats, same_file
from pneumoscan.cli.pages import ScanPage
from pneumoscan.cli.progress import progress
from pneumoscan.cli.start import configure_messages, load_scanner, settings_of
from pneumoscan.cli.stop import StopSignal
from pneumoscan.cli.summary import Counts, Untaken
from pneumoscan.formats import Format, printable
from pneumoscan.lists import read_list
from pneumoscan.path_table import PathTable
from pneumoscan.records import Label, Record, Status
from pneumoscan.sources import NOTHING_YET, PICTURES, Selection, find_files, plain

if TYPE_CHECKING:
    from pneumoscan.heatmap import Heat
    from pneumoscan.scan import Scanner

STDIN = "-"


def predict(
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", help="Pictures and directories.")] = None,
    files_from: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also scan the paths in this list, one a line ([bold]-[/]: standard input).",
            rich_help_panel=FILES,
        ),
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Paths in the list end with NUL, not newline.", rich_help_panel=FILES)
    ] = False,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    follow_links: FollowLinks = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Scan only the K-th of N parts; for several machines.", rich_help_panel=FILES),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            readable=False,
            help="Write to this .csv, .json, .jsonl or .parquet file, or to standard output ([bold]-[/]). "
            "May be given again.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="For standard output and files whose suffix does not tell. Unless given: a table on a terminal, "
            "JSON Lines in a pipe.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the .jsonl or .csv output: scan only what is new, changed, failed, or lacks its heatmap.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Also make this .html page, a worklist with the most urgent pictures first.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    heatmaps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Also draw where the model found its evidence, into this folder: a PNG for each picture that is "
            "PNEUMONIA. Pictures in that folder are not scanned.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    heatmaps_for: Annotated[
        Which | None,
        typer.Option(
            help="Of pictures called PNEUMONIA (positive), flagged for review, or all scored. Unless given: positive.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    threshold: Threshold = None,
    max_pixels: MaxPixels = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    device: DeviceName = "auto",
    model: ModelName = None,
    fail_on: Annotated[
        Literal["pneumonia"] | None,
        typer.Option(
            help="Exit with 10 if a picture that was scanned is PNEUMONIA and nothing failed.", rich_help_panel=RESULTS
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Scan chest X-rays: one record for each picture, in sorted order.

    Directories are walked recursively. A file that cannot be scored gets a record that says why. A path that is named
    twice is scanned once.

    Exit codes: 0 everything scored or rejected; 1 finished, but some inputs ended in an error, or the rest of an
    output could not be written; 2 wrong usage, or an output that cannot be opened; 3 nothing to scan; 4 model or device
    unavailable; 5 an output is in use by another run; 10 see --fail-on; 129, 130 or 143 stopped by a signal; the
    outputs hold the records up to then. Research use only; not a medical device.
    """
    counts = Counts()
    selection = _selection(recursive, include, exclude, follow_links, shard)
    named = _named(paths or [], files_from, null, counts)
    formats = chosen_formats(output or [STDOUT], format)
    if files_from not in (None, STDIN) and any(same_file(Path(files_from), path) for path in formats):
        misuse(f"{files_from} is the list of what to scan, which would be lost", "-o")
    if files_from not in (None, STDIN) and report is not None and same_file(Path(files_from), report):
        misuse(f"{files_from} is the list of what to scan, which would be lost", "--report")
    if heatmaps is None and heatmaps_for:
        misuse("goes with --heatmaps", "--heatmaps-for")
    page = None if report is None else ScanPage(report, formats, resume=resume)
    overlays = None if heatmaps is None else Heatmaps(heatmaps, heatmaps_for or "positive", paths or [])
    configure_messages(quiet)
    stop = StopSignal()
    is_cut = False
    begun = time.monotonic()
    with Outputs(formats, resume=resume, patience=stop.patience) as outputs:

        def is_own(path: str) -> bool:
            return bool(outputs.owns(path) or (page and page.owns(path)))

        untaken = Untaken(
            with_names=not include, is_own=lambda path: is_own(path) or (overlays and overlays.holds(path))
        )
        inputs = find_files(named, selection, outputs.forget_failure, untaken.add, counts.add_elsewhere)
        scanner = load_scanner(
            model, device=device, threshold=threshold, max_pixels=max_pixels, batch_size=batch_size, workers=workers
        )
        to_do = _to_do(inputs, is_own, scanner, outputs, overlays, counts)
        records = stop.until(_records(scanner, to_do, overlays, page))
        first = next(records, None)
        if first is None and not (counts.done or counts.elsewhere or counts.unread or stop.number):
            outputs.repair()
            filters = {"--include": include, "--exclude": exclude, "--no-recursive": not recursive}
            given = " and ".join(name for name, is_given in filters.items() if is_given)
            part = f" with {given}" if given else ""
            others = f"; skipped: {untaken}" if str(untaken) else ""
            where = ", ".join(paths or [str(files_from)])
            if overlays and overlays.left_out:
                part = f" but {overlays.left_out:,} in the folder of heatmaps, where nothing is scanned"
            fail(f"nothing to scan: no pictures in {where}{part}{others}", Exit.NOTHING_TO_SCAN)
        outputs.open(only_stdout=first is None and bool(counts.unread or stop.number))
        rows = chain([first] if first else [], records)
        for record, heat in progress(rows, "pictures", quiet=quiet):
            outputs.write(record)
            if not outputs and page is None and (overlays is None or outputs.failed):
                is_cut = outputs.failed
                break
            counts.add(record)
            if page is not None:
                page.add(record, heat)
    seconds = time.monotonic() - begun
    if not quiet:
        if Format.TABLE not in formats.values():
            counts.complain_of_errors()
        tell(f"{counts} {seconds:.1f} s on {scanner.model.device}.")
        if str(untaken):
            tell(f"Skipped: {untaken}.")
        if stop.number or is_cut:
            why = f"by {stop.name}" if stop.number else "by outputs that failed"
            how = "; to go on, give the same command with --resume" if outputs.can_be_resumed else ""
            tell(f"Stopped {why} before the end{how}.")
        if overlays:
            tell(f"{counted(overlays.written, 'heatmap')} drawn in {printable(str(heatmaps))}.")
        tell("Research use only; not a medical device.")
    if overlays and overlays.left_out:
        complain(
            f"{counted(overlays.left_out, 'input')} in {heatmaps}, the folder of heatmaps, where nothing is scanned: "
            "name another one with --heatmaps"
        )
    if overlays and overlays.failed:
        records_are = "" if outputs.failed else "; all records are"
        complain(f"{counted(overlays.failed, 'heatmap')} could not be written or removed{records_are}")
    lacks_page = page is not None and not page.write(
        scanner, seconds, is_stopped=bool(stop.number), quiet=quiet, may_be_empty=bool(counts.elsewhere)
    )
    stop.exit_if_any()
    lacks_overlays = overlays is not None and bool(overlays.failed or overlays.left_out)
    if counts[Status.ERROR] or counts.unread or outputs.failed or lacks_overlays or lacks_page:
        raise typer.Exit(Exit.INPUT_ERRORS)
    if fail_on and counts[Label.PNEUMONIA]:
        raise typer.Exit(Exit.PNEUMONIA_FOUND)


def _selection(
    recursive: bool, include: list[str] | None, exclude: list[str] | None, follow_links: bool, shard: str | None
) -> Selection:
    """What the options say of which files to scan."""
    try:
        part = None
        if shard is not None:
            k, n = shard.split("/")
            part = (int(k), int(n))
        return Selection(
            recursive=recursive,
            include=tuple(include or PICTURES),
            exclude=tuple(exclude or ()),
            follow_links=follow_links,
            shard=part,
        )
    except ValueError:
        misuse(f"{shard}: expected K/N with 1 <= K <= N, as in 1/4", "--shard")


def _named(paths: list[str], files_from: str | None, null: bool, counts: Counts) -> Iterable[str]:
    """The files and folders that are named, and those in the list, which is opened."""
    if "" in paths:
        misuse("a path is empty", "PATH")
    if files_from is None:
        if not paths:
            misuse("name pictures or directories, or a list of them with --files-from", "PATH")
        if null:
            misuse("goes with --files-from", "--null")
        return paths
    return chain(paths, _read_list(_open_list(files_from), null, counts))


def _open_list(name: str) -> BinaryIO:
    if name == STDIN:
        if sys.stdin is None:
            misuse("standard input is closed", "--files-from")
        return sys.stdin.buffer
    try:
        return open(name, "rb")
    except OSError as error:
        misuse(f"cannot read {name}: {error.strerror}", "--files-from")


def _read_list(stream: BinaryIO, null: bool, counts: Counts) -> Iterator[str]:
    """The paths of a list. One that cannot be read on is reported, and ends there; what came before is scanned."""
    try:
        yield from read_list(stream, b"\0" if null else b"\n")
    except (ValueError, OSError) as error:
        complain(f"--files-from: {getattr(error, 'strerror', None) or error}")
        counts.unread = True


def _records(
    scanner: "Scanner", to_do: Iterator[str], overlays: Heatmaps | None, page: ScanPage | None
) -> "Iterator[tuple[Record, Heat | None]]":
    """The records, each with its heatmap where the page wants it and there is one."""
    if overlays is None and (page is None or not page.wants_heat):
        return ((record, None) for record in scanner.scan(to_do, walk=False))
    pictures = scanner.scan_pictures(to_do, walk=False)
    if overlays is not None:
        if not scanner.model.has_heatmap:
            fail("the model has no heatmaps: it has no output heatmap", Exit.UNAVAILABLE)
        pictures = overlays.draw(pictures)
    return ((record, heat) for record, _, heat in pictures)


def _to_do(
    inputs: Iterator[str],
    is_own: Callable[[str], bool],
    scanner: "Scanner",
    outputs: Outputs,
    overlays: Heatmaps | None,
    counts: Counts,
) -> Iterator[str]:
    """The inputs that need a scan, each once; counts those that were found, and those that were done before."""
    settings = settings_of(scanner)
    with closing(PathTable()) as numbers:
        for number, path in enumerate(inputs):
            if path == NOTHING_YET:
                yield path
                continue
            is_left_out = is_own(path) or (overlays and overlays.leave_out(path))
            if not is_left_out and numbers.setdefault(plain(path), number) == number:  # else in another spelling
                done = outputs.done(path, settings)
                if done and not (overlays and overlays.lacks(path, *done, settings)):
                    counts.done += 1
                else:
                    yield path
