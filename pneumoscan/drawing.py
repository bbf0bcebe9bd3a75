"""What pictures for people are drawn with: dark colours as in reading rooms, type, the scale of a heatmap.

Text is that of strangers. The font that comes with Pillow has little beyond ASCII, so that all else becomes an escape
sequence to read.
"""

from bisect import bisect_right
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pneumoscan import heatmap
from pneumoscan.formats import printable

BACKGROUND, PANEL, RULE = "#0d1014", "#161b22", "#343c47"
TEXT, MUTED = "#eef1f5", "#98a2b0"
ILL, WELL, DOUBTFUL = "#ff8a5c", "#5cc8a8", "#f2c14e"
NOTICE = "Research use only, not a diagnosis."

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache
def font(size: int) -> Font:
    """The font that comes with Pillow; size in pixels."""
    return ImageFont.load_default(size)


def ascii_line(text: str) -> str:
    """The text in ASCII, whatever it holds, on one line."""
    return printable(text).encode("ascii", "backslashreplace").decode()


def fitting(text: str, size: int, width: float, *, keep_end: bool = False) -> str:
    """The text, cut to so many pixels: its end goes, or with `keep_end` its beginning, as is best for paths."""
    text = ascii_line(text)[-4096:] if keep_end else ascii_line(text)[:4096]
    if font(size).getlength(text) <= width:
        return text
    counts = range(1, len(text) + 1)
    most = bisect_right(counts, width, key=lambda count: font(size).getlength(_cut(text, count, keep_end)))
    return _cut(text, most, keep_end)


def _cut(text: str, count: int, keep_end: bool) -> str:
    return "..." + text[len(text) - count :] if keep_end else text[:count] + "..."


def wrapped(text: str, size: int, width: float) -> list[str]:
    """The text in lines of so many pixels; words that are longer are cut."""
    lines = [""]
    for word in ascii_line(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(fitting(word, size, width))
    return [line for line in lines if line]


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, fill: str = TEXT, anchor: str = "ls"
) -> None:
    """Writes a line; the place is the left end of its base line, or what the anchor says (see Pillow)."""
    draw.text(place, ascii_line(text), fill=fill, font=font(size), anchor=anchor)


def heat_scale(canvas: Image.Image, left: int, top: int, width: int, size: int = 13) -> None:
    """Draws the colours of a heatmap over mid-grey X-ray, with the probabilities that they stand for below.

    Args:
        canvas: what to draw on.
        left, top, width: where, in pixels.
        size: height of the bar in pixels; bar and numbers together take 2 * size + 8.
    """
    bar = np.linspace(0, 1, width, dtype=np.float32)
    opacity = heatmap.OPACITY * bar[:, None]
    colours = heatmap.colour(bar) * opacity + 110 * (1 - opacity)
    canvas.paste(Image.fromarray(colours.round().astype(np.uint8)[None].repeat(size, 0)), (left, top))
    draw = ImageDraw.Draw(canvas)
    *others, last = heatmap.TICKS
    taken, end = 0.0, width - font(size - 2).getlength(f"{last:g}") - 8
    for tick in (*others, last):
        x, length = (width - 1) * float(heatmap.evidence(tick)), font(size - 2).getlength(f"{tick:g}")
        start = min(max(x - length / 2, 0), width - length)
        draw.line((left + x, top + size, left + x, top + size + 4), fill=MUTED)
        if tick == last or (taken <= start and start + length <= end):
            write(draw, (left + start, top + size + 7), f"{tick:g}", size - 2, MUTED, "lt")
            taken = start + length + 8
