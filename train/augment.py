"""Pictures as they might also have been taken: batch augmentation on the network's own device.

The data set's shortcut is how a picture is framed: image height alone separates the classes with AUC 0.925. So the
crop, the aspect ratio and the frame are made random, and so is the exposure. Small copies of the data set are
compressed more than what is scanned; blur and noise keep the network from reading anything into that.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

CROP_AREA = (0.1, 1.0)
"""Share of the picture that is kept."""
ASPECT = 4 / 3
"""Largest stretch of the crop, either way."""
ROTATION = math.radians(10)
EXPOSURE = 0.4
"""Largest relative change of contrast, and of the logarithm of gamma."""
BRIGHTNESS = 0.2
"""Largest shift, of a range of 1."""
BLUR_SHARE = 0.5
BLUR = (0.3, 1.5)
"""Share of pictures that are blurred, and the Gaussian's standard deviation in pixels of the source."""
NOISE = 0.03
"""Largest standard deviation of noise, of a range of 1."""
FRAME_SHARE = 0.3
FRAME_WIDTH = 0.12
"""Share of pictures that get an empty frame, and its largest width on each side."""


def augment(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One random view of each picture.

    Args:
        images: uint8 [N, H, W] on any device.
        size: side of the result.
        generator: on the CPU; the same state gives the same views.

    Returns:
        float32 [N, size, size] from 0 to 255.
    """
    count, device = len(images), images.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator).mul_(high - low).add_(low).to(device)

    area, stretch = uniform(*CROP_AREA), torch.exp(uniform(-math.log(ASPECT), math.log(ASPECT)))
    width, height = (area * stretch).sqrt().clamp(max=1), (area / stretch).sqrt().clamp(max=1)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    angle = uniform(-ROTATION, ROTATION)
    theta = torch.stack(
        [
            torch.stack([width * mirror * angle.cos(), -height * angle.sin(), (1 - width) * uniform(-1, 1)], 1),
            torch.stack([width * mirror * angle.sin(), height * angle.cos(), (1 - height) * uniform(-1, 1)], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, [count, 1, size, size], align_corners=False)
    sources = images.float() / 255
    sources = torch.where(uniform(0, 1, 1, 1) < BLUR_SHARE, _blur(sources, uniform(*BLUR)), sources)
    views = functional.grid_sample(sources[:, None], grid, align_corners=False)[:, 0]

    gamma = torch.exp(uniform(-EXPOSURE, EXPOSURE, 1, 1))
    contrast, shift = uniform(1 - EXPOSURE, 1 + EXPOSURE, 1, 1), uniform(-BRIGHTNESS, BRIGHTNESS, 1, 1)
    views = views.clamp(min=1e-4) ** gamma
    mean = views.mean((1, 2), keepdim=True)
    noise = torch.randn(views.shape, generator=generator).to(device) * uniform(0, NOISE, 1, 1)
    views = ((views - mean) * contrast + mean + shift + noise).clamp(0, 1)

    share = torch.where(uniform(0, 1, 1) < FRAME_SHARE, FRAME_WIDTH, 0.0)
    left, top, right, bottom = (uniform(0, 1, 4) * share * size).T[:, :, None, None]
    place = torch.arange(size, device=device)
    across, down = place[None, None, :], place[None, :, None]
    frame = (across < left) | (across >= size - right) | (down < top) | (down >= size - bottom)
    return torch.where(frame, uniform(0, 1, 1, 1), views) * 255


def _blur(images: Tensor, deviations: Tensor) -> Tensor:
    """Blurs each of the pictures float [N, H, W] by a Gaussian of its own standard deviation [N], in pixels."""
    reach = math.ceil(2.5 * BLUR[1])
    distance = torch.arange(-reach, reach + 1, device=images.device)
    kernels = torch.exp(-0.5 * (distance / deviations[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True))[:, None]
    padded = functional.pad(images[None], (reach,) * 4, mode="reflect")
    rows = functional.conv2d(padded, kernels[:, :, None], groups=len(images))
    return functional.conv2d(rows, kernels[:, :, :, None], groups=len(images))[0]
