"""What is scanned: pictures of the user's, or drawn ones, as a folder of as many links to them as are wanted."""

import os
import random
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscan import decode
from pneumoscan.limits import available_cores
from pneumoscan.sources import find_files

DRAWN = 24
"""Different pictures that are drawn: enough that none stays in a processor's cache until its next turn."""
WIDTH, HEIGHT = 1320, 985
"""Of a drawn picture, on average: 1.3 megapixels, as the radiographs of children that the models are trained on."""
GRAIN = 1.85
"""Standard deviation of a drawn picture's noise in grey levels: its JPEG takes 1.6 bits a pixel, as theirs do."""


class Pictures(NamedTuple):
    """Pictures that can be decoded.

    Attributes:
        paths: where they are; a random choice of what was found in random order, always the same one.
        megapixels, kilobytes: of one on average; 10^6 pixels, 1000 bytes.
        undecodable: how many were chosen that cannot be decoded, and so are left out.
    """

    paths: list[Path]
    megapixels: float
    kilobytes: float
    undecodable: int


def find(folder: Path, count: int, size: int) -> Pictures:
    """Takes up to `count` pictures of a folder, which is walked as `predict` does, and so has them in the page cache.

    Args:
        folder: a directory.
        count: pictures that are wanted, at least 1.
        size: side to which they are decoded, in pixels.
    """
    found = list(find_files([folder]))
    # In random order too: neighbours resemble each other, so that the first few would not cost what all do on average.
    chosen = random.Random(0).sample(found, min(count, len(found)))
    with ThreadPoolExecutor(available_cores()) as pool:
        sizes = list(pool.map(lambda path: _measure(path, size), chosen))
    sound = [(Path(path), known) for path, known in zip(chosen, sizes, strict=True) if known]
    pixels, content = (sum(known[column] for _, known in sound) / max(len(sound), 1) for column in (0, 1))
    return Pictures([path for path, _ in sound], pixels / 1e6, content / 1e3, len(chosen) - len(sound))


def _measure(path: str, size: int) -> tuple[int, int] | None:
    """Pixels and bytes of a picture, or None where it cannot be decoded."""
    try:
        data = decode.read(path).data
        picture = decode.decode(data, size)
    except decode.DecodeError:
        return None
    return picture.width * picture.height, len(data)


def draw(folder: Path, count: int, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Draws grey JPEGs that cost about what radiographs cost: soft shapes under fine noise, up to a fifth larger or
    smaller than said. The same ones every time.

    Args:
        folder: where to put them; is made.
        count: of pictures.
        width, height: on average, in pixels.
    """
    folder.mkdir()
    for number in range(count):
        chance = np.random.default_rng(number)
        scale = chance.uniform(0.8, 1.2)
        pixels = _soft(chance, round(width * scale), round(height * scale))
        pixels += chance.standard_normal(pixels.shape, np.float32) * GRAIN
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"drawn{number:02}.jpeg", quality=95)


def _soft(chance: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Light and shade without edges, float32 [height, width], around the middle of the grey levels."""
    coarse = chance.uniform(20, 230, (9, 12)).astype(np.float32)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def fill(folder: Path, pictures: Iterable[Path], count: int) -> Path:
    """Makes a folder of that many links to the pictures, each as often as the others.

    Raises:
        OSError: there is no room for copies, where the system has no links.
    """
    paths = list(pictures)
    folder.mkdir()
    for number in range(count):
        path = paths[number % len(paths)]
        _link(path.absolute(), folder / f"{number:07}.{'png' if path.suffix.lower() == '.png' else 'jpeg'}")
    return folder


def _link(path: Path, link: Path) -> None:
    """A symbolic link first, since a hard one would change the user's file, if only its count of links."""
    for make in (os.symlink, os.link):
        with suppress(OSError, NotImplementedError):
            make(path, link)
            return
    shutil.copyfile(path, link)
