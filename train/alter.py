"""Chest X-rays changed a little, which must be taken, and made into what must be refused.

The gate (`train.gate`) learns from both. All of them are made of chest X-rays: no other picture is needed.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from train.stress import random_box

Images = NDArray[np.uint8]

AREA = (0.8, 1.0)
"""Share of the picture that a mild crop keeps."""
ASPECT = 1.1
"""Largest stretch of a mild crop, either way."""
ROTATION = 5.0
"""Largest mild rotation, in degrees."""
BLUR = (0.2, 1.2)
"""Standard deviation of a mild blur, in pixels at scanning size."""
SHARPENING = (30, 120)
"""Percent of mild unsharp masking: originals are sharper than their small, more compressed copies."""
CONTRAST = (0.75, 1.25)
GAMMA = (0.8, 1.25)
BRIGHTNESS = 0.08
"""Largest mild shift, of a range of 1."""
QUALITY = (40, 95)
"""JPEG quality of a mildly compressed picture."""
CLOSE_UP = (0.2, 0.4)
"""Side of a close-up as a share of the picture's."""
PIECES = (2, 4, 7)
"""Numbers of rows and columns into which a picture is cut before its pieces are shuffled."""


def mild(images: Images, seed: int) -> Images:
    """Each picture as another machine or archive might have kept it.

    Args:
        images: uint8 [N, S, S].
        seed: the same seed gives picture k the same change, whatever the other pictures.

    Returns:
        uint8 [N, S, S].
    """
    return np.stack([_mild(image, np.random.default_rng([seed, k])) for k, image in enumerate(images)])


def _mild(image: Images, random: np.random.Generator) -> Images:
    box = random_box(image, random, AREA, ASPECT)
    turned = Image.fromarray(image).rotate(random.uniform(-ROTATION, ROTATION), Image.Resampling.BILINEAR)
    view = turned.resize(turned.size, Image.Resampling.BILINEAR, box=box)
    kind = random.choice(["blurred", "sharpened", "neither"])
    if kind == "blurred":
        view = view.filter(ImageFilter.GaussianBlur(random.uniform(*BLUR)))
    elif kind == "sharpened":
        view = view.filter(ImageFilter.UnsharpMask(1, round(random.uniform(*SHARPENING)), 0))
    grey = (np.asarray(view, np.float32) / 255) ** random.uniform(*GAMMA)
    grey = (grey - grey.mean()) * random.uniform(*CONTRAST) + grey.mean() + random.uniform(-BRIGHTNESS, BRIGHTNESS)
    file = BytesIO()
    Image.fromarray((grey.clip(0, 1) * 255).round().astype(np.uint8)).save(
        file, "JPEG", quality=int(random.integers(*QUALITY, endpoint=True))
    )
    return np.asarray(Image.open(file))


def _close_up(images: Images, seed: int) -> Images:
    result = np.empty_like(images)
    for position, image in enumerate(images):
        random, side = np.random.default_rng([seed, position]), len(image)
        part = random.uniform(*CLOSE_UP) * side
        left, top = random.uniform(0, side - part, 2)
        box = (left, top, left + part, top + part)
        result[position] = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR, box=box))
    return result


def _shuffled(images: Images, seed: int) -> Images:
    result = images.copy()
    for position, image in enumerate(images):
        random = np.random.default_rng([seed, position])
        count = int(random.choice(PIECES))
        side = len(image) // count
        corners = [(y * side, x * side) for y in range(count) for x in range(count)]
        for (y, x), source in zip(corners, random.permutation(len(corners)), strict=True):
            top, left = corners[source]
            result[position, y : y + side, x : x + side] = image[top : top + side, left : left + side]
    return result


ALTERATIONS: dict[str, Callable[[Images, int], Images]] = {
    "upside_down": lambda images, _: images[:, ::-1],
    "turned_left": lambda images, _: np.rot90(images, 1, (1, 2)),
    "turned_right": lambda images, _: np.rot90(images, -1, (1, 2)),
    "inverted": lambda images, _: 255 - images,
    "close_up": _close_up,
    "shuffled": _shuffled,
}
"""What must be refused: pictures uint8 [N, S, S] and a seed to pictures of the same shape."""
