"""An X-ray under its heatmap with scale and caption, as one picture. Knows nothing of files to write."""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pneumoscan import drawing, heatmap
from pneumoscan.decode import DecodeError
from pneumoscan.formats import rounded
from pneumoscan.records import Label, Record, Status
from pneumoscan.reread import reread

LONGEST, SHORTEST = 1024, 512
"""Pixels of a picture's longer side in an overlay: larger ones are reduced, smaller ones enlarged."""
NARROWEST = 720
"""Pixels that scale and caption need."""
CAPTION = 118
"""Pixels of scale and caption in height."""


def overlay(record: Record, grey: NDArray[np.uint8], heat: NDArray[np.float32]) -> Image.Image:
    """The picture under its heat, RGB, with scale and caption.

    Args:
        record: of the picture.
        grey: uint8 [H, W].
        heat: float32 [h, w], 0 to 1, over all of the picture.
    """
    picture = Image.fromarray(heatmap.blend(grey, heat))
    width = max(picture.width, NARROWEST)
    canvas = Image.new("RGB", (width, picture.height + CAPTION), drawing.BACKGROUND)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    margin, top = 16, picture.height
    words, tint = headline(record)
    drawing.write(draw, (margin, top + 42), words, 22, tint)
    title = "cells' probability of pneumonia"
    scale = (width - 3 * margin) * 2 // 5
    drawing.write(draw, (width - margin - scale, top + 22), title, 12, drawing.MUTED)
    drawing.heat_scale(canvas, width - margin - scale, top + 30, scale, 12)
    path = drawing.fitting(record.path, 15, width - 2 * margin, keep_end=True)
    drawing.write(draw, (margin, top + 82), path, 15)
    note = f"{record.model}, threshold {record.threshold:g}"
    drawing.write(draw, (margin, top + 104), note, 13, drawing.MUTED)
    drawing.write(draw, (width - margin, top + 104), drawing.NOTICE, 13, drawing.MUTED, "rs")
    return canvas


def headline(record: Record) -> tuple[str, str]:
    """What a record says in a few words, and the colour for them."""
    if record.status is not Status.OK:
        return str(record.status), drawing.DOUBTFUL
    score = rounded(record.probability or 0)
    if record.label is Label.PNEUMONIA:
        words, tint = f"PNEUMONIA {score}", drawing.ILL
    else:
        words, tint = f"NORMAL (pneumonia {score})", drawing.WELL
    return ", ".join(filter(None, (words, record.subtype, "review" if record.review else ""))), tint


def original(record: Record, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture of a record at its true aspect ratio, uint8 [H, W], the longer side `SHORTEST` to `LONGEST` pixels.

    The file is read again, since the network's input is coarse. If that fails by now, or the file is another one, that
    input must do.

    Args:
        record: of a picture that was decoded.
        pixels: uint8 [S, S], what the network looked at.
    """
    grey, width, height = pixels, record.width or len(pixels), record.height or len(pixels)
    with suppress(DecodeError):
        if picture := reread(record):
            grey, width, height = picture.pixels, picture.width, picture.height
    factor = min(LONGEST, max(SHORTEST, width, height)) / max(width, height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))
