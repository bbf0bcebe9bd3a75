"""What a page embeds of pictures: thumbnails, heat layers, links. Knows nothing of HTML."""

import base64
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscan import heatmap
from pneumoscan.decode import DecodeError
from pneumoscan.records import ErrorCode, Record
from pneumoscan.reread import reread

LONGER_SIDE = 512
"""Pixels of a thumbnail: enough to fill a laptop's screen, 10 kB each."""
QUALITY = 75


class NoPictureError(Exception):
    """There is nothing to show; the message says why."""


def thumbnails(records: Iterable[Record], root: Path, threads: int) -> Iterator[dict[str, str]]:
    """For each record, in order, its picture as a data URL under `image`, or why there is none under `missing`."""

    def one(record: Record) -> dict[str, str]:
        try:
            return {"image": thumbnail(record, root)}
        except NoPictureError as error:
            return {"missing": str(error)}

    with ThreadPoolExecutor(threads, "thumbnail") as pool:
        yield from pool.map(one, records)


def thumbnail(record: Record, root: Path) -> str:
    """The picture of a record as a data URL, grey, small, with its own aspect ratio.

    Args:
        record: of a picture that could be decoded.
        root: where relative paths begin.

    Raises:
        NoPictureError: it is not there any more, or is another one.
    """
    try:
        picture = reread(record, root, LONGER_SIDE)
    except DecodeError as error:
        found = error.code is not ErrorCode.NOT_FOUND
        raise NoPictureError(f"picture cannot be shown: {error}" if found else "picture not found") from error
    if picture is None:
        raise NoPictureError("picture changed since it was scored")
    scale = LONGER_SIDE / max(picture.width, picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return _data_url(Image.fromarray(picture.pixels).resize(size), "WEBP", quality=QUALITY, method=2)


def heat_layer(heat: NDArray[np.float32]) -> str:
    """A heatmap float32 [h, w] as a data URL, a pixel for each cell: the page stretches it over the picture."""
    return _data_url(Image.fromarray(heatmap.layer(heat)), "PNG")


def link(record: Record, root: Path, page: Path) -> str:
    """The address of a record's picture from a page beside it: relative where that can be."""
    picture = os.path.abspath(os.path.join(root, record.path))
    try:
        picture = os.path.relpath(picture, os.path.abspath(page.parent))
    except ValueError:  # on another drive
        return Path(picture).as_uri()
    # After "./" nothing is taken for a scheme such as javascript:.
    return "./" + quote(os.fsencode(picture.replace(os.sep, "/")), safe="/")


def _data_url(image: Image.Image, format: str, **options: int) -> str:
    data = BytesIO()
    image.save(data, format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
