"""`pneumoscan watch`: scan what arrives in folders, for as long as it is let."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscan.atomic import is_file
from pneumoscan.cli.exits import Exit, misuse, need_folder, say, tell
from pneumoscan.cli.options import (
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
    finite,
)
from pneumoscan.cli.outputs import Outputs
from pneumoscan.cli.start import configure_messages, load_scanner, settings_of
from pneumoscan.cli.stop import StopSignal
from pneumoscan.cli.summary import Counts
from pneumoscan.formats import SUFFIXES, Format, is_utf8
from pneumoscan.records import ErrorCode, Status
from pneumoscan.sources import PICTURES, Selection, identity_of
from pneumoscan.systemd import notify, unit
from pneumoscan.watch import Folders, State, state_of

if TYPE_CHECKING:
    from pneumoscan.scan import Scanner

PRINT_UNIT = "--print-systemd-unit"
WATCHING = "How to watch"
"""A panel of the help."""


def watch(
    directories: Annotated[list[str], typer.Argument(metavar="DIR...", help="Folders that keep filling.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            readable=False,
            help="The .jsonl file to append to; it also tells what is done.",
        ),
    ],
    settle: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            callback=finite,
            help="How long a file must stay unchanged before it is scanned.",
            rich_help_panel=WATCHING,
        ),
    ] = 2,
    poll: Annotated[
        float,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            callback=finite,
            help="Time between walks over the folders (more if they take long).",
            rich_help_panel=WATCHING,
        ),
    ] = 5,
    events: Annotated[
        bool,
        typer.Option(
            "--events/--no-events",
            help="Also heed the system's file events, with the extra [bold]watch[/].",
            rich_help_panel=WATCHING,
        ),
    ] = True,
    recursive: Recursive = True,
    include: Include = None,
    exclude: Exclude = None,
    follow_links: FollowLinks = False,
    threshold: Threshold = None,
    max_pixels: MaxPixels = None,
    batch_size: BatchSize = None,
    workers: Workers = None,
    device: DeviceName = "auto",
    model: ModelName = None,
    print_systemd_unit: Annotated[
        bool, typer.Option(PRINT_UNIT, help="Show the unit that runs this command as a service, and exit.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Scan chest X-rays as they arrive in folders, until stopped.

    Goes on where the output ends, so that it may be stopped and started at any time. A file is scanned when it has
    stopped growing, and again when it changes. Tells systemd when it is ready.

    Exit codes: 1 the output can no longer be written, as on a full disk; 2 wrong usage, or an output that cannot be
    opened; 4 model or device unavailable; 5 the output is in use by another run; 129, 130 or 143 stopped by a signal.
    Research use only; not a medical device.
    """
    for directory in directories:
        if not os.path.isdir(directory):
            misuse(f"{directory} is not a directory, or may not be entered", "DIR")
    if SUFFIXES.get(output.suffix.lower()) is not Format.JSONL:
        misuse(f"{output}: only .jsonl can grow and be read at the same time", "-o")
    need_folder(output.parent, "-o", output)
    if not is_file(output):
        misuse(f"{output} is not a regular file", "-o")
    if print_systemd_unit:
        arguments = [word for word in sys.argv[1:] if word != PRINT_UNIT]
        # Without -P Python would import what lies in the working directory, to which others may write.
        command = [sys.executable, "-P", "-m", "pneumoscan", *arguments]
        writes_to = os.path.dirname(os.path.realpath(output))
        for folder, option in ((os.getcwd(), "working directory"), (writes_to, "-o")):
            if re.search(r"[\x00-\x1f\x7f]|[\\\s]$", folder) or not is_utf8(folder):
                misuse(f"{folder}: systemd takes no directory with such a name", option)
        if wrong := [word for word in command if not is_utf8(word)]:
            misuse(f"{wrong[0]}: systemd takes no name that is not UTF-8", PRINT_UNIT)
        say(unit(command, working_directory=os.getcwd(), writes_to=writes_to), "utf-8")
        return
    selection = Selection(
        recursive=recursive,
        include=tuple(include or PICTURES),
        exclude=tuple(exclude or ()),
        follow_links=follow_links,
    )
    configure_messages(quiet)
    stop = StopSignal()
    with Outputs({output: Format.JSONL}, resume=True) as outputs:
        scanner = load_scanner(
            model, device=device, threshold=threshold, max_pixels=max_pixels, batch_size=batch_size, workers=workers
        )
        outputs.open()
        to_do = _ToDo(scanner, outputs)
        folders = Folders(_spelt_alike(directories), selection, settle=settle, poll=poll, events=events)
        notify("READY=1")
        for ready in stop.until(folders.rounds(to_do.wants, outputs.forget_failure, to_do.forget_gone)):
            counts = Counts()
            for record in stop.until(scanner.scan(to_do.begin(ready), walk=False)):
                is_gone = record.error is ErrorCode.NOT_FOUND
                to_do.end(record.path, failed=record.status is Status.ERROR and not is_gone)
                if not is_gone:  # before it was an input
                    outputs.write(record)
                    if not outputs:
                        break
                    counts.add(record)
            if counts.total and not quiet:
                counts.complain_of_errors()
                tell(str(counts))
            if not outputs:
                break
        notify("STOPPING=1")
    raise typer.Exit(stop.code if stop.number else Exit.INPUT_ERRORS)


def _spelt_alike(directories: list[str]) -> list[str]:
    """Each folder once, and one that lies in another by the name of that one, so that a file has one name."""
    named: dict[str, str] = {}
    names = []
    for directory in sorted(directories, key=lambda each: len(os.path.abspath(each))):
        place = os.path.join(os.path.abspath(directory), "")
        outer = next((other for other in named if place.startswith(other)), place)
        inner = place[len(outer) :].rstrip(os.sep)
        within = os.path.join(named[outer], inner) if inner else named.get(outer, directory)
        is_same = identity_of(within) == identity_of(directory)  # not where `..` follows a link, which leads elsewhere
        names.append(within if is_same else directory)
        named.setdefault(place, names[-1])
    return list(dict.fromkeys(names))


class _ToDo:
    """Which files are wanted: those of which the output says nothing valid, and that have not just failed like this."""

    def __init__(self, scanner: "Scanner", outputs: Outputs) -> None:
        self._settings = settings_of(scanner)
        self._outputs = outputs
        self._in_flight: dict[str, State | None] = {}
        self._failed: dict[str, State | None] = {}

    def wants(self, path: str) -> bool:
        """Whether a file needs a scan."""
        state = state_of(path)
        if state is None:
            return False
        if self._failed.get(path) == state or self._outputs.owns(path):
            return False
        return self._outputs.done(path, self._settings) is None

    def forget_gone(self) -> None:
        """Forgets what has failed and is gone."""
        for path in [path for path in self._failed if state_of(path) is None]:
            del self._failed[path]

    def begin(self, paths: Iterator[str]) -> Iterator[str]:
        """Passes on paths, and notes in which state they are before they are read."""
        for path in paths:
            if path not in self._in_flight:  # folders may overlap
                self._in_flight[path] = state_of(path)
                yield path

    def end(self, path: str, *, failed: bool) -> None:
        """Notes what became of a file."""
        state = self._in_flight.pop(path)
        if failed:
            self._failed[path] = state
        else:
            self._failed.pop(path, None)
