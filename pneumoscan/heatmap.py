"""Heatmaps as pictures: colours, opacity, layers to lay over an X-ray. Knows nothing of network and command line.

A heatmap is float32 [h, w], 0 to 1: for each coarse cell of the picture, the probability of pneumonia that the network
would state if all of the picture were like it. Such probabilities are next to 0 or 1 nearly everywhere, while what the
network averages over the cells (see `train.network`) is their logits. So a picture shows *evidence*, the log odds, 0 at
even odds and 1 at a million to one; a scale beside it is to be labelled with `TICKS`, the probabilities.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Heat = NDArray[np.float32]
Pixels = NDArray[np.uint8]

COLDEST, HOTTEST = 0.5, 0.999999
"""Heats at the ends of the scale. A cell that speaks against pneumonia is as cold as one that says nothing; beyond
the upper end, single precision can hardly tell probabilities apart."""
TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999)
"""Heats to write beside a scale of evidence."""

COLOURS = np.array(
    [
        (13, 8, 135), (76, 2, 161), (126, 3, 168), (170, 35, 149), (204, 71, 120),
        (230, 108, 92), (248, 149, 64), (253, 197, 39), (240, 249, 33),
    ],
    np.float32,
)  # fmt: skip
"""Every 32nd colour of plasma, by Smith and van der Walt (matplotlib, CC0), between which colours are interpolated; no
channel is then off by more than 6 of 255. Its lightness grows evenly, also in grey print and for the colour-blind. None
of its colours is grey, black or white, so that none passes for X-ray, as the ends of magma and inferno do.
"""
OPACITY = 0.5
"""Of the hottest cells, so that the X-ray shows through; it grows with the evidence."""


def evidence(heat: Heat | float) -> Heat:
    """Log odds of heat of any shape, float32, scaled and cut to 0 at `COLDEST` or less and 1 at `HOTTEST` or more.

    What is no number is no evidence.
    """
    sound = np.clip(np.nan_to_num(np.asarray(heat, np.float64), nan=0), COLDEST, HOTTEST)
    return np.asarray(np.log(sound / (1 - sound)) / math.log(HOTTEST / (1 - HOTTEST)), np.float32)


def _table() -> Pixels:
    """RGBA uint8 [256, 4] of evidence from 0 to 1; looked up, since a large picture has a million pixels to colour."""
    steps = np.linspace(0, 1, 256)
    anchors = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(steps, anchors, COLOURS[:, channel]) for channel in range(3)]
    return np.stack([*channels, 255 * OPACITY * steps], -1).round().astype(np.uint8)


TABLE = _table()


def colour(evidence: Heat) -> Pixels:
    """The colours uint8 [..., 3] of evidence [...], 0 to 1."""
    return _layer(evidence)[..., :3]


def layer(heat: Heat) -> Pixels:
    """Colours to lay over the picture, RGBA uint8 [h, w, 4], not premultiplied; transparent where there is no evidence.

    A pixel for each cell: as a PNG it takes a few hundred bytes, and a browser that stretches it makes it smooth.
    """
    return _layer(evidence(heat))


def smooth_layer(heat: Heat, width: int, height: int) -> Pixels:
    """As `layer`, RGBA uint8 [height, width, 4]. Evidence is enlarged, not colours, which would mix to others."""
    return _layer(enlarge(heat, width, height))


def enlarge(heat: Heat, width: int, height: int) -> Heat:
    """The evidence between the centres of the cells, bicubic, float32 [height, width], 0 to 1."""
    smooth = Image.fromarray(evidence(heat)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth).clip(0, 1)


def blend(grey: Pixels, heat: Heat) -> Pixels:
    """A picture uint8 [H, W], grey, under its heat: RGB uint8 [H, W, 3]. Where there is no evidence it is untouched."""
    height, width = grey.shape
    picture = Image.fromarray(grey).convert("RGBA")
    picture.alpha_composite(Image.fromarray(smooth_layer(heat, width, height)))
    return np.asarray(picture.convert("RGB"))


def outline(heat: Heat, width: int, height: int, level: float) -> Pixels:
    """A line around what is at least as hot as `level`: its opacity, uint8 [height, width], some two pixels wide."""
    smooth = np.pad(enlarge(heat, width, height), 1, mode="edge")
    down, right = np.gradient(smooth)
    distance = np.abs(smooth - evidence(level)) / np.maximum(np.hypot(down, right), 1e-6)
    opacity = (1.5 - distance[1:-1, 1:-1]).clip(0, 1)
    return np.asarray((255 * opacity).round(), np.uint8)


def _layer(evidence: Heat) -> Pixels:
    return TABLE[(evidence * np.float32(255) + np.float32(0.5)).astype(np.uint8)]
