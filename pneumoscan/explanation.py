"""All that is known of one picture and its verdict on one sheet. Knows nothing of files to write."""

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pneumoscan import drawing, heatmap
from pneumoscan.card import Card
from pneumoscan.drawing import DOUBTFUL, ILL, MUTED, PANEL, RULE, TEXT, WELL, write
from pneumoscan.formats import rounded
from pneumoscan.overlay import headline
from pneumoscan.records import Record, Status

MARGIN, GAP, SIDE = 40, 28, 400
BOX = 600
"""Pixels of the longer side of the two large pictures."""
SAW = 200
"""Side of the picture that shows what the model saw."""
WIDTH = 2 * MARGIN + 2 * BOX + 2 * GAP + SIDE
CONTOUR = 0.99
"""Heat at which the line is drawn."""
LIMITS = (
    "The heat is what each cell would say on its own. It shows what the model relied on, in coarse cells; it outlines "
    "no disease, and what has no colour may still be ill."
)


def explanation(
    record: Record, card: Card, grey: NDArray[np.uint8], pixels: NDArray[np.uint8], heat: NDArray[np.float32] | None
) -> Image.Image:
    """The sheet, RGB.

    Args:
        record: `ok` or `rejected`.
        card: of the model.
        grey: uint8 [H, W], the picture at its true shape, the longer side about `BOX` pixels or more.
        pixels: uint8 [S, S], what the network looked at.
        heat: float32 [h, w], 0 to 1; not shown of rejected pictures, which the model may not judge.
    """
    factor = BOX / max(grey.shape)
    height, width = (max(1, round(side * factor)) for side in grey.shape)
    picture = Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS)
    left, middle, right = MARGIN, MARGIN + BOX + GAP, MARGIN + 2 * (BOX + GAP)
    top = 128
    below = top + max(height, 340) + 62
    canvas = Image.new("RGB", (WIDTH, below + SAW + 18 + MARGIN), drawing.BACKGROUND)
    draw = ImageDraw.Draw(canvas)

    name = drawing.fitting(os.path.basename(record.path), 30, WIDTH - 2 * MARGIN, keep_end=True)
    write(draw, (left, 56), name, 30)
    draw.line((left, 76, WIDTH - MARGIN, 76), fill=RULE)

    write(draw, (left, 112), "Original", 15, MUTED)
    canvas.paste(picture, (left, top))
    write(draw, (middle, 112), "Where the model found evidence of pneumonia", 15, MUTED)
    shown = heat is not None and record.status is Status.OK
    if heat is None or not shown:
        why = "Not shown: the model may not judge this picture." if heat is not None else "The model has no heatmaps."
        canvas.paste(picture.point(lambda value: value // 3), (middle, top))
        write(draw, (middle + width / 2, top + height / 2), why, 16, TEXT, "mm")
    else:
        canvas.paste(Image.fromarray(heatmap.blend(np.asarray(picture), heat)), (middle, top))
        line = Image.fromarray(heatmap.outline(heat, width, height, CONTOUR))
        canvas.paste("white", (middle, top), line)
        drawing.heat_scale(canvas, middle, top + height + 14, BOX * 3 // 5, 13)
        write(draw, (middle + BOX, top + height + 26), f"white line: {CONTOUR:g}", 13, MUTED, "rs")
        cells = f"{heat.shape[1]} x {heat.shape[0]} cells"
        write(draw, (middle + BOX, top + height + 44), cells, 13, MUTED, "rs")

    Column(draw, right).verdict(record, card, top)

    write(draw, (left, below + 4), f"What the model saw: {len(pixels)} x {len(pixels)} pixels", 15, MUTED)
    saw = Image.fromarray(pixels).resize((SAW, SAW), Image.Resampling.LANCZOS)
    canvas.paste(saw, (left, below + 18))
    _facts(draw, record, card, left + SAW + GAP, below + 18)
    for index, text in enumerate(drawing.wrapped(LIMITS, 15, SIDE) if shown else []):
        write(draw, (right, below + 32 + 22 * index), text, 15, MUTED)
    write(draw, (right, below + 18 + SAW), drawing.NOTICE, 15, DOUBTFUL)
    return canvas


@dataclass
class Column:
    """The right column of the sheet, written from top to bottom.

    Attributes:
        draw: what it is written on.
        left: its left edge.
        y: how far it is written.
    """

    draw: ImageDraw.ImageDraw
    left: int
    y: float = 0

    def verdict(self, record: Record, card: Card, top: int) -> None:
        """Writes verdict, probabilities and outlier score with all their limits."""
        self.y = top + 30
        words, tint = headline(record)
        label, _, more = words.partition(" ")
        write(self.draw, (self.left, self.y), label, 40, tint)
        if more:
            self.y += 32
            write(self.draw, (self.left, self.y), more, 20, tint)
        self.y += 12
        for note in drawing.wrapped(record.message or "", 15, SIDE):
            self.y += 20
            write(self.draw, (self.left, self.y), note, 15)
        if record.probability is not None:
            self._bars(record)
            low, high = card.review_band_at(record.threshold)
            zones = [(low, WELL), (high, DOUBTFUL), (1.0, ILL)]
            told = rounded(record.probability)
            self._axis("probability of pneumonia", record.probability, told, zones, record.threshold)
            self._legend(f"threshold {record.threshold:g}; yellow: review, {low:g} to {high:g}")
        score, refused = record.outlier_score, card.outlier_threshold
        if score is not None and refused is not None and math.isfinite(score):
            unfamiliar = refused if card.unfamiliar_threshold is None else card.unfamiliar_threshold
            self.y += 8
            start, end = min(0.0, unfamiliar, score), max(refused, score)
            room = (refused - start) / 2 or 1.0
            zones = [(unfamiliar, WELL), (refused, DOUBTFUL), (max(refused + room, end + room / 10), ILL)]
            self._axis("outlier score", score, f"{score:.3f}", zones, start=start)
            self._legend(f"yellow: unfamiliar, above {unfamiliar:g}; red: rejected, above {refused:g}")

    def _bars(self, record: Record) -> None:
        self.y += 34
        classes = (("normal", record.p_normal, WELL), ("bacterial", record.p_bacterial, ILL),
                   ("viral", record.p_viral, ILL))  # fmt: skip
        start, end = self.left + 84, self.left + SIDE - 70
        for name, probability, tint in classes:
            share = probability or 0
            write(self.draw, (self.left, self.y), name, 15, TEXT, "lm")
            self.draw.rounded_rectangle((start, self.y - 8, end, self.y + 8), 4, fill=PANEL)
            if share * (end - start) >= 1:
                self.draw.rounded_rectangle(
                    (start, self.y - 8, start + share * (end - start), self.y + 8), 4, fill=tint
                )
            write(self.draw, (self.left + SIDE, self.y), rounded(share), 15, TEXT, "rm")
            self.y += 30

    def _axis(
        self,
        title: str,
        value: float,
        told: str,
        zones: list[tuple[float, str]],
        line: float | None = None,
        *,
        start: float = 0.0,
    ) -> None:
        """A coloured axis from `start` to the last zone's end, with a mark at the value and perhaps a line."""
        self.y += 36
        write(self.draw, (self.left, self.y), title, 15, MUTED)
        write(self.draw, (self.left + SIDE, self.y), told, 15, TEXT, "rs")
        self.y += 22

        def place(at: float) -> float:
            return self.left + (at - start) / (zones[-1][0] - start) * SIDE

        left = place(start)
        for end, tint in zones:
            self.draw.rectangle((left, self.y, place(end), self.y + 7), fill=tint)
            left = place(end)
        if line is not None:
            self.draw.line((place(line), self.y - 4, place(line), self.y + 11), TEXT, 2)
        x = place(value)
        self.draw.polygon([(x - 7, self.y - 11), (x + 7, self.y - 11), (x, self.y)], fill=TEXT)

    def _legend(self, text: str) -> None:
        self.y += 28
        write(self.draw, (self.left, self.y), drawing.fitting(text, 13, SIDE), 13, MUTED)


def _facts(draw: ImageDraw.ImageDraw, record: Record, card: Card, left: int, top: int) -> None:
    """A table of what is known of file and model."""
    facts = {
        "path": record.path,
        "size": f"{record.width} x {record.height} pixels, {record.bytes or 0:,} bytes",
        "modified": (record.modified or "")[:19].replace("T", " ") + " UTC",
        "model": f"{card.name} {card.version}, on {record.device}",
        "sha256": record.model_sha256,
        "threshold": f"{record.threshold:g}" + ("" if record.threshold == card.threshold else ", as asked for"),
        "chosen as": card.threshold_method if record.threshold == card.threshold else "",
    }
    for index, (name, value) in enumerate((name, value) for name, value in facts.items() if value):
        y = top + 14 + 29 * index
        write(draw, (left, y), name, 15, MUTED)
        room = 2 * BOX + GAP - SAW - GAP - 110
        write(draw, (left + 100, y), drawing.fitting(value, 15, room, keep_end=name == "path"), 15)
