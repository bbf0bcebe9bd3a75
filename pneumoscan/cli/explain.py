"""`pneumoscan explain`: all that is known of a picture and its verdict, on one sheet."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscan import png
from pneumoscan.atomic import replace_with
from pneumoscan.cli.exits import Exit, complain, misuse, need_no_picture, need_place, say
from pneumoscan.cli.options import DeviceName, MaxPixels, ModelName, Quiet, Threshold
from pneumoscan.cli.start import configure_messages, load_scanner
from pneumoscan.cli.stop import StopSignal
from pneumoscan.overlay_files import file_name
from pneumoscan.records import Status
from pneumoscan.sources import identity_of

if TYPE_CHECKING:
    from pneumoscan.card import Card
    from pneumoscan.scan import Seen

SUFFIX = ".explain.png"
PREVIEW = 72
"""Columns of a preview at most."""


def explain(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            readable=False,
            help=f"Write to this .png file, or to NAME{SUFFIX} in this directory, which several pictures need. "
            "Unless given: the current directory.",
        ),
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview/--no-preview",
            help="Show the heatmap, where standard output is a terminal of 256 colours or more.",
        ),
    ] = True,
    threshold: Threshold = None,
    max_pixels: MaxPixels = None,
    device: DeviceName = "auto",
    model: ModelName = None,
    quiet: Quiet = False,
) -> None:
    """Draw all that is known of a chest X-ray and its verdict on one sheet, a PNG.

    The original, where the model found its evidence, the probabilities with threshold and review band, the outlier
    score with its limits, what the model saw, file and model. A picture that is rejected gets a sheet that says why;
    what this program has drawn gets none.

    Exit codes: 0 every picture has its sheet; 1 a picture could not be scored, or a sheet not be written; 2 wrong
    usage; 4 model or device unavailable; 129, 130 or 143 stopped by a signal. Research use only; not a medical device.
    """
    targets = _targets(images, output)
    configure_messages(quiet)
    stop = StopSignal()
    scanner = load_scanner(model, threshold=threshold, max_pixels=max_pixels, device=device, batch_size=1, workers=1)
    failed = False
    for seen, target in zip(stop.until(scanner.scan_pictures(images, walk=False)), targets, strict=False):
        if seen.pixels is None:  # an error, or what this program has drawn
            complain(f"{seen.record.path}: {seen.record.error}: {seen.record.message}")
            failed = True
            continue
        try:
            _write(scanner.model.card, seen, target)
        except OSError as error:
            complain(f"cannot write {target}: {error.strerror or error}")
            failed = True
            continue
        if preview and sys.stdout.isatty() and _can_preview():
            say(_preview(seen))
        if not quiet:
            complain(f"wrote {target}")
    stop.exit_if_any()
    if failed:
        raise typer.Exit(Exit.INPUT_ERRORS)


def _targets(images: list[str], output: Path | None) -> list[Path]:
    """Where each sheet goes: no two to one place, and none over a picture."""
    for path in images:
        if os.path.isdir(path):
            misuse(f"{path} is a directory: name pictures in it, as in {os.path.join(path, '*.jpeg')}", "IMAGE")
    folder = Path() if output is None else output
    if output is None or os.path.isdir(output):
        targets = [folder / file_name(os.path.basename(path), SUFFIX) for path in images]
    elif len(images) > 1:
        misuse(f"{output} is not a directory, which several pictures need", "-o")
    elif output.suffix.lower() != ".png":
        misuse(f"{output} is neither a directory nor named .png", "-o")
    else:
        folder, targets = output.parent, [output]
    need_place(folder, "-o", targets[0])
    inputs = {identity_of(path) for path in images} - {None}
    taken: dict[Path, str] = {}
    for path, target in zip(images, targets, strict=True):
        if identity_of(target) in inputs:
            misuse(f"{target} is a picture that is to be explained", "-o")
        if png.basis_of(target) is None:
            need_no_picture(target, "-o")
        if target in taken:
            misuse(f"{taken[target]} and {path} have the same name: explain them one by one", "IMAGE")
        taken[target] = path
    return targets


def _write(card: "Card", seen: "Seen", target: Path) -> None:
    from pneumoscan.explanation import explanation
    from pneumoscan.overlay import original

    record, pixels, heat = seen
    assert pixels is not None  # of every picture that is no error
    grey = original(record, pixels)
    replace_with(target, png.own(explanation(record, card, grey, pixels, heat)))


def _can_preview() -> bool:
    """Whether the terminal has the characters and the colours."""
    from rich.console import Console

    console = Console()
    has_colours = console.color_system in ("256", "truecolor") and not console.no_color
    return has_colours and console.encoding.startswith("utf")


def _preview(seen: "Seen") -> str:
    """The picture under its heat in half blocks, two pixels in each character."""
    from io import StringIO

    import numpy as np
    from PIL import Image
    from rich.console import Console
    from rich.text import Text

    from pneumoscan import heatmap

    record, pixels, heat = seen
    text = StringIO()
    console = Console(file=text, force_terminal=True)
    width = min(console.width, PREVIEW)
    height = max(2, 2 * round(width * (record.height or width) / (record.width or width) / 2))
    grey = np.asarray(Image.fromarray(np.asarray(pixels)).resize((width, min(height, 2 * PREVIEW))))
    shown = heat is not None and record.status is Status.OK
    colours = heatmap.blend(grey, heat) if shown and heat is not None else np.repeat(grey[..., None], 3, -1)
    for upper, lower in zip(colours[::2].tolist(), colours[1::2].tolist(), strict=True):
        line = Text()
        for above, below in zip(upper, lower, strict=True):
            line.append("▀", f"rgb({above[0]},{above[1]},{above[2]}) on rgb({below[0]},{below[1]},{below[2]})")
        console.print(line)
    return text.getvalue()
