"""A hold-out that is framed and exposed differently: what a model loses here, it loses in another hospital.

On plain hold-outs of this data set every model looks alike (AUC about 0.995), because frame and format give the class
away. Here they cannot.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AREA = (0.6, 1.0)
"""Share of the picture that the random crop keeps."""
ASPECT = 1.25
"""Largest stretch of the crop, either way."""
CONTRAST = (0.6, 1.4)
GAMMA = (0.7, 1.4)
MASK = 0.10
"""Width of the black frame, as a share of the side."""


def stress(images: NDArray[np.uint8], size: int, seed: int) -> NDArray[np.uint8]:
    """Crops, stretches, changes the exposure of, and masks the frame of each picture at random.

    Args:
        images: uint8 [N, H, W].
        size: side of the result.
        seed: the same seed gives picture k the same change, whatever the other pictures.

    Returns:
        uint8 [N, size, size].
    """
    result = np.empty((len(images), size, size), np.uint8)
    for position, image in enumerate(images):
        random = np.random.default_rng([seed, position])
        height, width = image.shape
        area = random.uniform(*AREA)
        stretch = np.exp(random.uniform(-np.log(ASPECT), np.log(ASPECT)))
        crop_width, crop_height = (
            side * min(1, np.sqrt(area * s)) for side, s in ((width, stretch), (height, 1 / stretch))
        )
        left, top = random.uniform(0, width - crop_width), random.uniform(0, height - crop_height)
        box = (left, top, left + crop_width, top + crop_height)
        crop = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box)
        view = (np.asarray(crop, np.float32) / 255) ** random.uniform(*GAMMA)
        view = (view - view.mean()) * random.uniform(*CONTRAST) + view.mean()
        border = round(MASK * size)
        masked = np.zeros((size, size), np.float32)
        masked[border:-border, border:-border] = view[border:-border, border:-border]
        result[position] = (masked.clip(0, 1) * 255).round()
    return result
