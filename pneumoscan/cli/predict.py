"""`pneumoscan predict`: scan files and directories, write one record for each."""

import logging
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from tqdm import tqdm

from pneumoscan.cli.exits import Exit, complain, fail
from pneumoscan.records import Label, Record, Status
from pneumoscan.sinks import SUFFIXES, Format, Sink

STDOUT = Path("-")


def predict(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Images and directories.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this .csv, .json or .jsonl file, or to standard output ([bold]-[/]). May be given again.",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="For standard output and files whose suffix does not tell. Unless given: a table on a terminal, "
            "JSON Lines in a pipe.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Probability from which on it is PNEUMONIA. Unless given: the model's own."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Pictures per run of the network. Unless given: chosen.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Decoding threads. Unless given: one for each core.")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(
            help="What runs the network. [bold]cuda[/] fails unless it really does; [bold]auto[/] falls back."
        ),
    ] = "auto",
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An ONNX model. Unless given: the one shipped.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, warnings or summary.")] = False,
) -> None:
    """Scan chest X-rays: one record for each picture, in sorted order.

    Directories are walked recursively for .jpeg, .jpg and .png files. A file that cannot be scored gets a record that
    says why.

    Exit codes: 0 everything scanned; 1 finished, but some inputs ended in an error, or an output could not be written;
    2 wrong usage; 3 nothing to scan; 4 model or device unavailable; 129, 130 or 143 stopped by a signal; the
    outputs hold the records up to then. Research use only; not a medical device.
    """
    _open_closed_streams()
    if "" in paths:
        raise typer.BadParameter("a path is empty", param_hint="PATH")
    targets = _targets(output or [STDOUT], format)
    logging.basicConfig(format="pneumoscan: %(message)s", level=logging.ERROR if quiet else logging.WARNING)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about metadata; what matters is in the record
    stop = _StopSignal()

    from pneumoscan.model import DeviceError, ModelError
    from pneumoscan.scan import Scanner

    begun = time.monotonic()
    try:
        scanner = Scanner(model, device=device, threshold=threshold, batch_size=batch_size, workers=workers)
    except (ModelError, DeviceError) as error:
        fail(str(error), Exit.UNAVAILABLE)
    records = scanner.scan(paths)
    first = next(records, None)
    if first is None:
        fail("nothing to scan: no .jpeg, .jpg or .png files in " + ", ".join(paths), Exit.NOTHING_TO_SCAN)

    outputs = _Outputs(targets)
    counts: Counter[str] = Counter()
    try:
        for record in tqdm(chain([first], records), unit=" pictures", leave=False, disable=True if quiet else None):
            outputs.write(record)
            counts[record.label or record.status] += 1
            counts["review"] += record.review
            if stop.number or not outputs:
                break
        records.close()
    except BaseException:
        outputs.discard()
        raise
    outputs.commit()
    if not quiet:
        typer.echo(_summary(counts, time.monotonic() - begun, scanner.model.device), err=True)
    if stop.number:
        raise typer.Exit(128 + stop.number)
    if counts[Status.ERROR] or outputs.failed:
        raise typer.Exit(Exit.INPUT_ERRORS)


def _open_closed_streams() -> None:
    """Stands in for streams that the caller has closed (`>&-`), to which nothing can be said."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


class _StopSignal:
    """Remembers the first SIGINT, SIGTERM or SIGHUP; a second one ends the program at once.

    Attributes:
        number: of the signal, 0 before there was one.
    """

    def __init__(self) -> None:
        self.number = 0
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number
        signal.signal(number, signal.SIG_DFL)


def _targets(outputs: list[Path], format: Format | None) -> dict[Path, Format]:
    """The format of each output, after its suffix where that tells."""
    targets = {}
    for path in outputs:
        default = Format.TABLE if sys.stdout.isatty() else Format.JSONL
        chosen = (format or default) if path == STDOUT else SUFFIXES.get(path.suffix.lower(), format)
        if chosen is None:
            raise typer.BadParameter(f"{path}: name the file .csv, .json or .jsonl, or add --format", param_hint="-o")
        if path != STDOUT and not path.absolute().parent.is_dir():
            raise typer.BadParameter(f"{path}: there is no directory {path.parent}", param_hint="-o")
        targets[path] = chosen
    if format is not None and format not in targets.values():
        raise typer.BadParameter(f"{format} fits no output: their suffixes say otherwise", param_hint="--format")
    return targets


class _Outputs:
    """Several outputs that get the same records. One that fails is given up, and the others go on.

    Attributes:
        failed: whether an output was given up, other than by a reader who had seen enough.
    """

    def __init__(self, targets: dict[Path, Format]) -> None:
        self.failed = False
        self._sinks: dict[Path, Sink] = {}
        for path, format in targets.items():
            try:
                self._sinks[path] = Sink(None if path == STDOUT else path, format)
            except OSError as error:
                self.discard()
                fail(f"cannot write {path}: {error.strerror}", Exit.USAGE)

    def __bool__(self) -> bool:
        return bool(self._sinks)

    def write(self, record: Record) -> None:
        """Writes a record to every output that is left."""
        self._each(lambda sink: sink.write(record))

    def commit(self) -> None:
        """Completes every output that is left."""
        self._each(Sink.commit)

    def discard(self) -> None:
        """Gives up every output."""
        for sink in self._sinks.values():
            sink.discard()

    def _each(self, action: Callable[[Sink], None]) -> None:
        for path, sink in list(self._sinks.items()):
            try:
                action(sink)
            except OSError as error:
                sink.discard()
                del self._sinks[path]
                if path == STDOUT:  # else the interpreter would fail again when it flushes at its end
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                if not isinstance(error, BrokenPipeError):
                    self.failed = True
                    complain(f"cannot write {path}: {error.strerror}")


def _summary(counts: Counter[str], seconds: float, device: str) -> str:
    """One line on what was found, one on what it is not."""
    total = sum(counts[name] for name in (*Label, Status.REJECTED, Status.ERROR))
    found = ", ".join(
        f"{counts[name]:,} {name.lower()}" for name in (*Label, Status.REJECTED, Status.ERROR) if counts[name]
    )
    return (
        f"{total:,} scanned in {seconds:.1f} s on {device}: {found}; {counts['review']:,} for review.\n"
        "Research use only; not a medical device."
    )
