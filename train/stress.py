"""Pictures as another hospital might frame and expose them: what a model loses here, it is likely to lose there.

On plain hold-outs of this data set every model looks alike (AUC about 0.995), because frame and format give the class
away. `stress` changes everything at once; `CHANGES` has one change each, so that an audit tells what a model relies on.
"""

from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from train.dataset import resize

STRESS_SEED = 20180222
"""By which held-out pictures are changed wherever a model is measured, so that all are measured on the same views."""

AREA = (0.6, 1.0)
"""Share of the picture that the random crop keeps."""
ASPECT = 1.25
"""Largest stretch of the crop, either way."""
CONTRAST = (0.6, 1.4)
GAMMA = (0.7, 1.4)
MASK = 0.10
"""Width of the black frame, as a share of the side."""

FRAME = 0.07
"""Width of the frame that is masked or kept alone, as a share of the side: it gives the class away with AUC 0.96."""
LUNGS = (0.08, 0.12, 0.92, 0.92)
"""Left, top, right and bottom of what holds the lungs in nearly every picture, as shares of the sides."""
CROP_SIDE = (0.80, 0.95)
"""Share of each side that the crop of "re-cropped" keeps."""
SMALL = 112
"""Side in pixels of "downscaled"."""
BLUR = 2.0
"""Standard deviation of the Gaussian in pixels."""
JPEG_QUALITY = 30
DETAIL_SCALE = 3.0
"""Standard deviation in pixels of the Gaussian beyond whose scale nothing is detail."""
ROTATION = 10
"""Degrees, to either side."""

Picture = NDArray[np.uint8]


def stress(images: Picture, size: int, seed: int, places: NDArray[np.intp] | None = None) -> Picture:
    """Crops, stretches, changes the exposure of, and masks the frame of each picture at random.

    Args:
        images: uint8 [N, H, W].
        size: side of the result.
        seed: the same seed gives the picture at place k the same change, whatever the other pictures.
        places: intp [N], of each picture in its data set; 0 to N - 1 unless given.

    Returns:
        uint8 [N, size, size].
    """
    result = np.empty((len(images), size, size), np.uint8)
    places = np.arange(len(images)) if places is None else places
    for position, (image, place) in enumerate(zip(images, places, strict=True)):
        random = np.random.default_rng([seed, place])
        box = random_box(image, random, AREA, ASPECT)
        crop = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box)
        view = (np.asarray(crop, np.float32) / 255) ** random.uniform(*GAMMA)
        view = (view - view.mean()) * random.uniform(*CONTRAST) + view.mean()
        border = round(MASK * size)
        masked = np.zeros((size, size), np.float32)
        masked[border:-border, border:-border] = view[border:-border, border:-border]
        result[position] = (masked.clip(0, 1) * 255).round()
    return result


def random_box(
    image: Picture, random: np.random.Generator, shares: tuple[float, float], aspect: float
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in pixels of a random part of a picture [H, W].

    It is a share of the picture between the two `shares`, stretched by up to `aspect`, either way.
    """
    height, width = image.shape
    area, stretch = random.uniform(*shares), np.exp(random.uniform(-np.log(aspect), np.log(aspect)))
    across, down = (side * min(1, np.sqrt(area * s)) for side, s in ((width, stretch), (height, 1 / stretch)))
    left, top = random.uniform(0, width - across), random.uniform(0, height - down)
    return left, top, left + across, top + down


def apply(
    name: str,
    images: Picture,
    size: int,
    seed: int,
    places: NDArray[np.intp],
    ratios: NDArray[np.floating] | None = None,
) -> Picture:
    """The view of that name of each picture, brought to size as scanning does.

    Args:
        name: one of `STRESSES`, of which "stressed" is `stress`, or `PROPORTIONS`.
        images: uint8 [N, S, S].
        size, seed, places: as of `stress`.
        ratios: float [N], width by height of the originals, for `PROPORTIONS`.

    Returns:
        uint8 [N, size, size].
    """
    if name == "stressed":
        return stress(images, size, seed, places)
    result = np.empty((len(images), size, size), np.uint8)
    for position, (image, place) in enumerate(zip(images, places, strict=True)):
        random = np.random.default_rng([seed, place])
        if name == PROPORTIONS and ratios is not None:
            changed = _stretch(image, random, factor=float(ratios[position]))
        else:
            changed = CHANGES[name](image, random)
        result[position] = resize(changed[None], size)[0]
    return result


def ring(side: int) -> NDArray[np.bool_]:
    """The frame of a square picture, bool [side, side]: its outer `FRAME`, at least one pixel."""
    border = max(1, round(FRAME * side))
    frame = np.ones((side, side), bool)
    frame[border:-border, border:-border] = False
    return frame


def _unchanged(image: Picture, _: np.random.Generator) -> Picture:
    return image


def _mask_frame(image: Picture, _: np.random.Generator) -> Picture:
    return np.where(ring(len(image)), 0, image).astype(np.uint8)


def _keep_frame(image: Picture, _: np.random.Generator, *, filled: bool) -> Picture:
    """Only the frame; the rest is black, or of the frame's own mean, which tells nothing of the rest."""
    frame = ring(len(image))
    return np.where(frame, image, image[frame].mean() if filled else 0).astype(np.uint8)


def _remove_lungs(image: Picture, _: np.random.Generator, *, filled: bool) -> Picture:
    """Black in place of the lungs, as training also does, or the mean of the rest."""
    height, width = image.shape
    left, top, right, bottom = (round(share * side) for share, side in zip(LUNGS, (width, height) * 2, strict=True))
    lungs = np.zeros(image.shape, bool)
    lungs[top:bottom, left:right] = True
    return np.where(lungs, image[~lungs].mean() if filled else 0, image).astype(np.uint8)


def _crop(image: Picture, random: np.random.Generator) -> Picture:
    height, width = image.shape
    share = random.uniform(*CROP_SIDE)
    left, top = random.uniform(0, 1 - share, 2) * (width, height)
    return _resample(image, (left, top, left + share * width, top + share * height))


def _stretch(image: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    """Makes everything wider by `factor`, or higher where that is below 1; what then lies outside is lost."""
    height, width = image.shape
    x, y = width * (1 - min(1, 1 / factor)) / 2, height * (1 - min(1, factor)) / 2
    return _resample(image, (x, y, width - x, height - y))


def _resample(image: Picture, box: tuple[float, float, float, float]) -> Picture:
    height, width = image.shape
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box=box))


def _contrast(image: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    return ((image - image.mean()) * factor + image.mean()).clip(0, 255).round().astype(np.uint8)


def _gamma(image: Picture, _: np.random.Generator, *, gamma: float) -> Picture:
    return ((image / 255) ** gamma * 255).round().astype(np.uint8)


def _blur(image: Picture, _: np.random.Generator) -> Picture:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)))


def _detail(image: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    """Makes detail stronger by `factor`, as machines and their software do, or weaker where that is below 1."""
    smooth = gaussian_filter(image.astype(np.float32), DETAIL_SCALE)
    return (smooth + (image - smooth) * factor).clip(0, 255).round().astype(np.uint8)


def _compress(image: Picture, _: np.random.Generator) -> Picture:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(file))


def _downscale(image: Picture, _: np.random.Generator) -> Picture:
    height, width = image.shape
    small = Image.fromarray(image).resize((SMALL, SMALL), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


def _rotate(image: Picture, random: np.random.Generator) -> Picture:
    return np.asarray(Image.fromarray(image).rotate(ROTATION * random.choice((-1, 1)), Image.Resampling.BILINEAR))


def _invert(image: Picture, _: np.random.Generator) -> Picture:
    return 255 - image


CHANGES: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "plain": _unchanged,
    "frame masked": _mask_frame,
    "re-cropped": _crop,
    "aspect x 1.25": partial(_stretch, factor=1.25),
    "aspect x 0.8": partial(_stretch, factor=0.8),
    "contrast x 1.4": partial(_contrast, factor=1.4),
    "contrast x 0.6": partial(_contrast, factor=0.6),
    "gamma 0.7": partial(_gamma, gamma=0.7),
    "gamma 1.4": partial(_gamma, gamma=1.4),
    "blurred": _blur,
    "detail x 0.6": partial(_detail, factor=0.6),
    "detail x 1.6": partial(_detail, factor=1.6),
    f"JPEG quality {JPEG_QUALITY}": _compress,
    "downscaled": _downscale,
    "rotated": _rotate,
    "inverted": _invert,
    "lungs removed": partial(_remove_lungs, filled=False),
    "lungs removed, filled": partial(_remove_lungs, filled=True),
    "frame only": partial(_keep_frame, filled=False),
    "frame only, filled": partial(_keep_frame, filled=True),
}
"""What each change makes of a square picture uint8 [S, S]: the same size; the generator is that of its place."""
STRESSES = ("plain", "stressed", *list(CHANGES)[1:])
"""Names of all views that `apply` knows of any picture, in the order of a report."""
PROPORTIONS = "true proportions"
"""Name of the view that needs the original's: its middle square, which undoes what stretching made of it."""
