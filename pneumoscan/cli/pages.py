"""Making pages of records for commands: what speaks against one, its pictures, and the page of a scan under way."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pneumoscan.atomic import is_file, replace_with
from pneumoscan.cli.exits import complain, counted, misuse, need_no_picture, need_target
from pneumoscan.cli.outputs import RESUMABLE, STDOUT
from pneumoscan.cli.progress import progress
from pneumoscan.formats import Format
from pneumoscan.records import Label, Record, Status

if TYPE_CHECKING:
    from pneumoscan.heatmap import Heat
    from pneumoscan.report.worklist import Entry, Worklist
    from pneumoscan.scan import Scanner

THUMBNAILS = 500
"""Pictures that a page embeds unless told otherwise: 7 MB, and a few seconds of decoding."""


class ScanPage:
    """The page of a scan that is under way, made when all records are written.

    Attributes:
        wants_heat: whether heatmaps are of use as they come out of the scan.
    """

    def __init__(self, target: Path, outputs: Mapping[Path, Format], *, resume: bool) -> None:
        """Finds out what speaks against the page.

        Raises:
            typer.BadParameter: it cannot be written there.
        """
        from pneumoscan.report.worklist import Worklist

        check_page(target, "--report")
        self._place = os.path.realpath(target)
        if any(self._place == os.path.realpath(output) for output in outputs if output != STDOUT):
            misuse(f"{target} is named twice", "--report")
        self._target = target
        self._worklist = Worklist()
        # A scan that goes on knows of earlier records only what is done: the page is made of the whole output.
        files = [
            (path, format)
            for path, format in outputs.items()
            if format in RESUMABLE and path != STDOUT and is_file(path)
        ]
        self._earlier = files[0] if resume and files else None
        self.wants_heat = self._earlier is None

    def owns(self, path: str) -> bool:
        """Whether an input is the page, as an earlier scan has made it."""
        return os.path.basename(path) == self._target.name and os.path.realpath(path) == self._place

    def add(self, record: Record, heat: "Heat | None") -> None:
        """Takes a record, and the heatmap of its picture where there is one."""
        if self._earlier is None:
            self._worklist.add(record, heat)

    def write(
        self, scanner: "Scanner", seconds: float, *, is_stopped: bool, quiet: bool, may_be_empty: bool = False
    ) -> bool:
        """Makes the page, unless there is no record and it may not be empty; whether it could be written."""
        if self._earlier is not None and not _is_missing(self._earlier[0]):
            from pneumoscan.cli.recorded import latest

            file, format = self._earlier
            try:
                for record in latest(file, "--report", format):
                    self._worklist.add(record)
            except typer.BadParameter as error:  # the records of this scan are written all the same
                complain(f"cannot make {self._target}: {error.message}")
                return False
        if not (self._worklist.total or may_be_empty):
            return True
        facts = {"Scan took": f"{seconds:.1f} s"}
        notes = ["The scan was stopped before its end: pictures are missing."] if is_stopped else []
        scorer = None if is_stopped else scanner
        return write_page(self._worklist, self._target, Path(), scorer, facts, notes=notes, quiet=quiet)


def check_page(target: Path, option: str = "-o") -> None:
    """Finds out what speaks against a page at that place, before a scan takes its time.

    Raises:
        typer.BadParameter: it cannot be written there.
    """
    if target.suffix.lower() not in (".html", ".htm"):
        misuse(f"{target}: name the page .html", option)
    need_no_picture(target, option)
    need_target(target, option)


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
    from pneumoscan.report.worklist_page import render

    entries = list(worklist.entries())
    notes = [*notes, *_left_out(worklist)]
    pictures = _pictures(entries, target, root, thumbnails, images, quiet)
    shown = len(pictures) if images == "link" else thumbnails
    heated = [
        (entry.record, entry.heat, picture)
        for entry, picture in zip(entries[:thumbnails], pictures[:thumbnails], strict=True)
        if entry.heat is not None or entry.record.label == Label.PNEUMONIA
    ]
    notes += add_heat(heated, root, None if scanner is None else lambda: scanner, quiet)
    if any("image" in picture for picture in pictures):
        if shown < len(entries):
            notes.append(f"Only the {shown:,} most urgent rows have their picture.")
    elif shown and any(entry.record.status != Status.ERROR for entry in entries):
        notes.append("No picture was where its record says, or all had changed.")
    content = render(worklist, entries, pictures, facts=facts, notes=notes, linked_images=images == "link")
    return save_page(target, content, quiet)


def save_page(target: Path, content: bytes, quiet: bool) -> bool:
    """Writes a page whole, and says so unless it shall be quiet; whether it could be written."""
    try:
        replace_with(Path(os.path.realpath(target)), content)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        return False
    if not quiet:
        size = f"{len(content) / 1e6:.1f} MB" if len(content) >= 1e6 else f"{len(content) / 1e3:.0f} kB"
        complain(f"wrote {target} ({size})")
    return True


def _pictures(
    entries: "Sequence[Entry]", target: Path, root: Path, thumbnails: int, images: str, quiet: bool
) -> list[dict[str, str]]:
    """For each row what the page holds of its picture."""
    from pneumoscan.limits import available_cores
    from pneumoscan.report import pictures

    if images == "link":
        return [
            {} if entry.record.status == Status.ERROR else {"image": pictures.link(entry.record, root, target)}
            for entry in entries
        ]
    shown = [entry.record for entry in entries[:thumbnails] if entry.record.status != Status.ERROR]
    made = pictures.thumbnails(shown, root, available_cores())
    found = list(progress(made, "thumbnails", quiet=quiet, total=len(shown)))
    if found and not quiet and not any("image" in each for each in found):
        complain(
            "no picture is where its record says, or all have changed; pneumoscan report --root DIR looks elsewhere"
        )
    return found + [{} for _ in entries[len(found) :]]


def add_heat(
    shown: Iterable[tuple[Record, "Heat | None", dict[str, str]]],
    root: Path,
    scorer: "Callable[[], Scanner] | None",
    quiet: bool,
) -> list[str]:
    """Adds heat layers to pictures, and says what there is to say of those that get none.

    Args:
        shown: records, each with its heatmap, if it is known, and with what the page holds of its picture.
        root: where relative paths begin.
        scorer: loads what scores pictures again that have no heatmap, if it is of the same model; None for no such
            thing. Its limit of pixels is raised to that of the scan.
        quiet: shows no progress.
    """
    from pneumoscan.report.pictures import heat_layer
    from pneumoscan.reread import most_pixels

    wanted = []
    for record, heat, picture in shown:
        if "image" in picture and heat is not None:
            picture["heat"] = heat_layer(heat)
        elif "image" in picture:
            wanted.append((record, picture))
    if not wanted or scorer is None:
        return []
    scanner = scorer()
    if not scanner.model.has_heatmap:
        return []
    fitting = [each for each in wanted if each[0].model_sha256 == scanner.model.sha256]
    scanner.max_pixels = max(scanner.max_pixels, most_pixels(record for record, _ in fitting))
    again = scanner.scan_pictures((os.path.join(root, record.path) for record, _ in fitting), walk=False)
    watched = progress(again, "heatmaps", quiet=quiet, total=len(fitting))
    for (record, picture), seen in zip(fitting, watched, strict=True):
        if seen.heatmap is not None and record.modified in (None, seen.record.modified):
            picture["heat"] = heat_layer(seen.heatmap)
    lacking = {
        "scored by another model": len(wanted) - len(fitting),
        "changed, or unreadable by now": sum("heat" not in picture for _, picture in fitting),
    }
    return [f"No heatmap of {counted(number, 'picture')}: {why}." for why, number in lacking.items() if number]


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


def _is_missing(file: Path) -> bool:
    try:
        os.stat(file)
    except OSError as error:  # of another kind: reading it will say why
        return isinstance(error, FileNotFoundError)
    return False
