"""Pictures as they might also have been taken: batch augmentation on the network's own device.

The data set's shortcut is how a picture is framed: image height alone separates the classes with AUC 0.925. So the
crop, the aspect ratio and the frame are made random, and so is the exposure. Small copies of the data set are
compressed more than what is scanned; blur and noise keep the network from reading anything into that. How strong fine
detail is gives the class away too (see `train.texture`).
"""

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

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
DETAIL_SCALE = (1.5, 8.0)
"""Standard deviation of the Gaussian, in pixels of the view, below whose scale detail may be changed."""
FOREIGN_WIDTH = (0.04, 0.16)
"""Width on each side of a frame taken from another picture, as a share of the side."""


def swap_frames(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Gives a share of the pictures the frame of another one of the batch, so that frames tell less of the class.

    Args:
        images: uint8 [N, H, W] on any device.
        share: 0 to 1.
        generator: on the CPU.

    Returns:
        uint8 [N, H, W].
    """
    others = images[torch.randperm(len(images), generator=generator).to(images.device)]
    return torch.where(_frames(images, FOREIGN_WIDTH, share, generator), others, images)


def remove_lungs(images: Tensor, share: float, generator: torch.Generator, black: float = 0.0) -> tuple[Tensor, Tensor]:
    """Leaves only the frame of a share of the pictures: what is within becomes one random grey, or black.

    Args:
        images, share, generator: as of `swap_frames`.
        black: share of these that become black.

    Returns:
        uint8 [N, H, W], and bool [N]: whether the lungs were removed, so that nothing is left to tell the class by.
    """
    chosen = _uniform(generator, images, 0, 1) < share
    within = ~_frames(images, FOREIGN_WIDTH, 1, generator) & chosen[:, None, None]
    grey = (_uniform(generator, images, 0, 1, 1, 1) * 255).to(images.dtype)
    if black:
        grey = torch.where(_uniform(generator, images, 0, 1, 1, 1) < black, 0, grey)
    return torch.where(within, grey, images), chosen


def change_detail(views: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Makes what is finer than some random scale stronger or weaker, as other machines and their software do.

    Args:
        views: float32 [N, H, W] from 0 to 255.
        largest: of the change of the logarithm of its strength, either way.
        generator: on the CPU.

    Returns:
        float32 [N, H, W] from 0 to 255.
    """
    # What is smooth needs half of the resolution only.
    finest, coarsest = (scale / 2 for scale in DETAIL_SCALE)
    scales = torch.exp(_uniform(generator, views, math.log(finest), math.log(coarsest)))
    halved = _blur(functional.avg_pool2d(views[:, None], 2)[:, 0], scales, coarsest)
    smooth = functional.interpolate(halved[:, None], views.shape[1:], mode="bilinear")[:, 0]
    strength = torch.exp(_uniform(generator, views, -largest, largest, 1, 1))
    return (smooth + (views - smooth) * strength).clamp(0, 255)


def augment(
    images: Tensor, size: int, generator: torch.Generator, crop_area: float = 0.1, stretch: float = 4 / 3
) -> Tensor:
    """One random view of each picture.

    Args:
        images: uint8 [N, H, W] on any device.
        size: side of the result.
        generator: on the CPU; the same state gives the same views.
        crop_area: least share of the picture that is kept.
        stretch: largest ratio by which the crop is stretched, either way; at least 1.

    Returns:
        float32 [N, size, size] from 0 to 255.
    """
    count, device = len(images), images.device

    uniform = partial(_uniform, generator, images)
    area, ratio = uniform(crop_area, 1), torch.exp(uniform(-math.log(stretch), math.log(stretch)))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
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

    frame = _frames(views, (0, FRAME_WIDTH), FRAME_SHARE, generator)
    return torch.where(frame, uniform(0, 1, 1, 1), views) * 255


def _uniform(generator: torch.Generator, images: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """Random numbers float [N, *shape], as many as there are pictures and where these are."""
    return torch.rand(len(images), *shape, generator=generator).mul_(high - low).add_(low).to(images.device)


def _frames(images: Tensor, width: tuple[float, float], share: float, generator: torch.Generator) -> Tensor:
    """A frame bool [N, H, W] around a share of the pictures, of another random width on each side."""
    _, height, across = images.shape
    framed = _uniform(generator, images, 0, 1, 1) < share
    widths = torch.where(framed, _uniform(generator, images, *width, 4), 0.0)
    left, top, right, bottom = widths.T[:, :, None, None]
    x = (torch.arange(across, device=images.device) / across)[None, None, :]
    y = (torch.arange(height, device=images.device) / height)[None, :, None]
    return (x < left) | (x >= 1 - right) | (y < top) | (y >= 1 - bottom)


def _blur(images: Tensor, deviations: Tensor, largest: float = BLUR[1]) -> Tensor:
    """Blurs each of the pictures float [N, H, W] by a Gaussian of its own standard deviation [N], in pixels."""
    reach = math.ceil(2.5 * largest)
    distance = torch.arange(-reach, reach + 1, device=images.device)
    kernels = torch.exp(-0.5 * (distance / deviations[:, None]) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True))[:, None]
    padded = functional.pad(images[None], (reach,) * 4, mode="reflect")
    rows = functional.conv2d(padded, kernels[:, :, None], groups=len(images))
    return functional.conv2d(rows, kernels[:, :, :, None], groups=len(images))[0]
