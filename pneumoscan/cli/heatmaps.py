"""Drawing overlays beside a scan, into a folder that mirrors its inputs."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pneumoscan import png
from pneumoscan.atomic import replace_with
from pneumoscan.cli.exits import complain, misuse, need_new_folder
from pneumoscan.ledger import Settings
from pneumoscan.overlay_files import basis, basis_of, lies_in, mirrored
from pneumoscan.pool import pool_of
from pneumoscan.records import Label, Record, timestamp
from pneumoscan.signatures import is_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pneumoscan.scan import Seen

Which = Literal["positive", "review", "all"]

DRAWERS = 2
AHEAD = 8
"""Overlays under way at most, each of which holds a picture."""
TOLD = 3
"""Failures that are reported one by one."""


class Heatmaps:
    """Draws overlays in threads, a bounded number ahead of the records.

    Attributes:
        written: how many overlays were written.
        failed: how many could not be.
        left_out: how many inputs lie in the folder that are no drawings, and were not scanned.
    """

    def __init__(self, folder: Path, which: Which, inputs: list[str]) -> None:
        """Makes sure that the folder can be written to, or made in the one above; it is made for the first record.

        Args:
            folder: where the overlays go.
            which: pictures called PNEUMONIA, those for review, or all that were scored.
            inputs: named files and directories.

        Raises:
            typer.BadParameter: it cannot be written to, or an input lies in it.
        """
        self.written = self.failed = self.left_out = 0
        self._folder, self._which = folder, which
        need_new_folder(folder, "--heatmaps")
        self._root = os.path.realpath(folder)
        for path in inputs:
            if self.holds(path):
                misuse(f"{path} lies in {folder}, where nothing is scanned: name another folder", "--heatmaps")

    def holds(self, path: str) -> bool:
        """Whether a path lies in the folder. Such pictures must not be inputs: earlier overlays are there."""
        return lies_in(path, self._root)

    def leave_out(self, path: str) -> bool:
        """Whether a path lies in the folder. It is counted, unless this program has drawn it: that nobody will miss."""
        if not self.holds(path):
            return False
        self.left_out += png.basis_of(path) is None
        return True

    def lacks(self, path: str, label: str | None, review: bool, settings: Settings) -> bool:
        """Whether a picture that got this verdict has no overlay of it, though it is to get one and can be read."""
        if not self._wants(label, review) or not os.access(path, os.R_OK):
            return False
        with suppress(OSError):
            status = os.stat(path)
            wanted = basis(status.st_size, timestamp(status.st_mtime_ns), settings.model_sha256, settings.threshold)
            return png.basis_of(self._folder / mirrored(path)) != wanted
        return False

    def draw(self, pictures: Iterator["Seen"]) -> "Generator[Seen]":
        """Yields the pictures in their order, each as soon as its overlay, if it gets one, is on the disk.

        So a run that is killed and resumed lacks no overlay. One that fails is reported, and harms nothing else.
        Earlier ones of other content or another verdict go.
        """
        waiting: deque[tuple[Seen, str, Future[None] | None]] = deque()
        with pool_of(DRAWERS, "draw") as pool:
            for number, seen in enumerate(pictures):
                record, pixels, heat = seen
                if number == 0:
                    with suppress(OSError):  # told when the first is drawn
                        self._folder.mkdir(exist_ok=True)
                place, drawn = "", None
                if pixels is not None and heat is not None and self._wants(record.label, record.review):
                    place = mirrored(record.path)
                    while any(place == other for _, other, _ in waiting):  # ./a.png and a.png
                        yield self._finished(*waiting.popleft())
                    drawn = pool.submit(self._draw, place, record, pixels, heat)
                elif record.bytes is not None:
                    self._forget(record)
                waiting.append((seen, place, drawn))
                while waiting and (waiting[0][2] is None or len(waiting) > AHEAD):
                    yield self._finished(*waiting.popleft())
            while waiting:
                yield self._finished(*waiting.popleft())

    def _wants(self, label: str | None, review: bool) -> bool:
        if self._which == "all":
            return bool(label)  # of the others the model may not judge
        return review if self._which == "review" else label == Label.PNEUMONIA

    def _forget(self, record: Record) -> None:
        """Removes an overlay of what an input was, or was said to be, before this record; no sheet of `explain`."""
        target = self._folder / mirrored(record.path)
        is_another = png.basis_of(target) not in (None, "", basis_of(record))
        if is_another and lies_in(os.fspath(target.parent), self._root):
            try:
                target.unlink(missing_ok=True)
            except OSError as error:
                self._complain(f"remove the outdated heatmap {target}", error)

    def _draw(self, place: str, record: Record, pixels: "NDArray[np.uint8]", heat: "NDArray[np.float32]") -> None:
        from pneumoscan.overlay import original, overlay

        target = self._folder / place
        picture = overlay(record, original(record, pixels), heat)
        if not lies_in(os.fspath(target.parent), self._root):  # a link in the folder leads elsewhere
            raise OSError(0, "it would lie outside the folder, behind a link")
        if not target.is_symlink() and is_picture(target) and png.basis_of(target) is None:
            raise OSError(0, "a picture lies there that this program has not drawn")
        target.parent.mkdir(parents=True, exist_ok=True)
        # Other levels take several times as long to save a tenth.
        replace_with(target, png.own(picture, 1, basis_of(record)))

    def _finished(self, seen: "Seen", place: str, drawn: Future[None] | None) -> "Seen":
        try:
            if drawn is not None:
                drawn.result()
                self.written += 1
        except (OSError, MemoryError) as error:
            self._complain(f"write the heatmap {self._folder / place}", error)
        return seen

    def _complain(self, what: str, error: OSError | MemoryError) -> None:
        self.failed += 1
        if self.failed <= TOLD:
            complain(f"cannot {what}: {getattr(error, 'strerror', None) or error or 'not enough memory'}")
