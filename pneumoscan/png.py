"""PNGs: whether the pixel data is all there, since Pillow leaves rows black that are missing; and the program's own."""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_KEYWORD, _NAME, _BASIS = "Software", "pneumoscan", "Source"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass of an interlaced picture: its first column and row, and the steps between its columns and rows."""
_PIECE = 2**20  # bytes inflated at a time
_DEFLATED = 1032  # times as long is the most that deflated data can become


def own(picture: "Image.Image", level: int = 6, basis: str = "") -> bytes:
    """A PNG that says that this program has drawn it, so that nobody scores it.

    Args:
        picture: what was drawn.
        level: of compression, 0 to 9.
        basis: what it was drawn from, in ASCII.
    """
    from PIL.PngImagePlugin import PngInfo

    file, note = BytesIO(), PngInfo()
    note.add_text(_KEYWORD, _NAME)
    note.add_text(_BASIS, basis)
    picture.save(file, "PNG", compress_level=level, pnginfo=note)
    return file.getvalue()


def is_own(info: Mapping[Any, Any]) -> bool:
    """Whether what Pillow tells of a picture is what `own` has put into it."""
    return info.get(_KEYWORD) == _NAME


def basis_of(path: str | os.PathLike[str]) -> str | None:
    """What a drawing was drawn from, as `own` was told; None where there is none of this program's."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return None

    from PIL import Image  # takes its time, and commands may end before any picture

    try:
        with Image.open(path, formats=("PNG",)) as image:
            return str(image.info.get(_BASIS, "")) if is_own(image.info) else None
    except Exception:  # Pillow raises nearly anything; whatever it is, it is not ours
        return None


def is_complete(data: bytes) -> bool:
    """Whether the pixel data of a PNG, which Pillow could decode, is as long as its header says.

    See https://www.w3.org/TR/png-3/, sections 7 to 11.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    bits = depth * _CHANNELS[colour]
    wanted: int = sum(
        -(-(height - y) // dy) * (1 + -(-columns * bits // 8))
        for x, y, dx, dy in (_ADAM7 if interlaced else ((0, 0, 1, 1),))
        if (columns := -(-(width - x) // dx)) > 0
    )
    inflating = zlib.decompressobj()
    for kind, chunk in _chunks(data):
        rest: bytes | memoryview = chunk if kind == b"IDAT" else b""
        while rest and wanted > 0:
            wanted -= len(inflating.decompress(rest, _PIECE))
            rest = inflating.unconsumed_tail
    return wanted <= 0 or len(inflating.flush()) >= wanted  # else it would inflate all that is left


def unpacked_at_most(data: bytes, each: int) -> int:
    """Bytes to which the texts and colour profiles of a PNG can unpack, where none may unpack to more than `each`."""
    packed = (chunk for kind, chunk in _chunks(data) if kind in (b"zTXt", b"iTXt", b"iCCP"))
    return sum(min(each, _DEFLATED * len(chunk)) for chunk in packed)


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each chunk; the last may be cut off."""
    view, position = memoryview(data), 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, view[position + 8 : position + 8 + length]
        position += 12 + length
