"""Bytes to grey pixels: the one preprocessing, used by scanning and by training alike.

Owns what a pixel is and which files are refused. Knows nothing of models.
"""

import os
import stat
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pneumoscan.records import ErrorCode

MAX_BYTES = 512 * 1024**2
"""Largest file read: the largest picture decoded, at 8 bytes a pixel."""
MAX_PIXELS = 64_000_000
"""Largest picture decoded, width times height. Digital radiographs reach about 16 million."""

RESAMPLING = "bilinear"
"""Name of the filter in `decode`, as the model file states it. Pillow's is anti-aliased."""

SHORTEST_HEADER = 256
"""Bytes below which a JPEG or PNG whose header fails is called truncated rather than corrupt."""

_READERS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
)

# First bytes of formats that people do keep radiographs in, so that the error can name them.
_UNSUPPORTED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    (4, b"ftyp", "HEIF or AVIF"),
    (4, b"jP  ", "JPEG 2000"),
    (128, b"DICM", "DICOM"),
    (0, b"%PDF", "PDF"),
)


class DecodeError(Exception):
    """A file that cannot be turned into pixels.

    Attributes:
        code: the stable code that goes into the record.
        width, height: the picture's size in pixels where the header could still be read, else None.
    """

    def __init__(self, code: ErrorCode, message: str, width: int | None = None, height: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.width = width
        self.height = height


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture.

    Attributes:
        pixels: uint8 [H, W], grey, 0 black to 255 white.
        width, height: size of the original in pixels, as displayed (EXIF orientation applied).
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int


def read(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a regular file. Pipes and devices are refused, since reading them might never end.

    Raises:
        DecodeError: `not_found`, `permission_denied`, `empty_file`, `too_large` or `io_error`.
    """
    try:
        status = os.stat(path)
        mode = status.st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()  # says why it could not be listed, if that is so
        if not stat.S_ISREG(mode):
            raise DecodeError(ErrorCode.IO_ERROR, "not a regular file")
        if status.st_size > MAX_BYTES:
            raise DecodeError(ErrorCode.TOO_LARGE, f"{status.st_size:,} bytes is more than the limit of {MAX_BYTES:,}")
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise DecodeError(ErrorCode.NOT_FOUND, "no such file") from None
    except PermissionError:
        raise DecodeError(ErrorCode.PERMISSION_DENIED, "no permission to read it") from None
    except OSError as error:
        raise DecodeError(ErrorCode.IO_ERROR, f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise DecodeError(ErrorCode.EMPTY_FILE, "the file is empty")
    return data


def decode(data: bytes, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a JPEG or PNG, recognised by its content, to grey.

    With `size` the picture is stretched to `size` by `size` (the aspect ratio is not kept, as in the training
    data); JPEGs are then decoded at the smallest DCT scale that is not below `size`, which costs a fraction of
    full decoding. A picture is decoded completely or not at all.

    Args:
        data: the file's bytes.
        size: side of the square result in pixels, or None for the original size.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        DecodeError: `empty_file`, `not_an_image`, `unsupported_format`, `truncated`, `corrupt` or `too_large`.
    """
    if not data:
        raise DecodeError(ErrorCode.EMPTY_FILE, "the file is empty")
    image = _open(data)
    width, height = image.size
    if width * height > max_pixels:
        raise DecodeError(
            ErrorCode.TOO_LARGE,
            f"{width} x {height} pixels is more than the limit of {max_pixels / 1e6:g} million",
            width,
            height,
        )
    try:
        if size is not None:
            image.draft("L", (size, size))
        image.load()
        if isinstance(image, PngImageFile):  # Pillow decodes what its checksums call damaged, unless asked
            PngImageFile(BytesIO(data)).verify()
        upright = _upright(image)
        turned = (upright.width > upright.height) != (image.width > image.height)
        if turned:
            width, height = height, width
        grey = _grey(upright)
    except MemoryError as error:
        raise DecodeError(ErrorCode.TOO_LARGE, "there is not enough memory for the picture", width, height) from error
    except Exception as error:  # on malformed data Pillow's readers raise nearly anything
        raise DecodeError(_read_failure(error), f"the picture is damaged: {error}", width, height) from error
    if size is not None and grey.size != (size, size):
        grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    return Picture(np.asarray(grey), width, height)


def _open(data: bytes) -> Image.Image:
    """Reads the header with the reader that the first bytes call for (never by the file's name)."""
    for signature, reader in _READERS:
        if data.startswith(signature):
            try:
                return reader(BytesIO(data))
            except Exception as error:  # on malformed data Pillow's readers raise nearly anything
                code = ErrorCode.TRUNCATED if len(data) < SHORTEST_HEADER else _read_failure(error)
                raise DecodeError(code, f"the header is damaged: {error}") from error
    for offset, signature, name in _UNSUPPORTED:
        if data.startswith(signature, offset):
            raise DecodeError(ErrorCode.UNSUPPORTED_FORMAT, f"{name} is not supported; convert it to JPEG or PNG")
    raise DecodeError(ErrorCode.NOT_AN_IMAGE, "the file is not a JPEG or PNG picture")


def _upright(image: Image.Image) -> Image.Image:
    """The picture as EXIF says that it is to be displayed; as it is stored, where EXIF cannot be understood."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are sound, and broken EXIF raises nearly anything
        return image


def _read_failure(error: Exception) -> ErrorCode:
    """Pillow tells a file that ends early from a broken one only in its message."""
    return ErrorCode.TRUNCATED if "truncated" in str(error).lower() else ErrorCode.CORRUPT


def _grey(image: Image.Image) -> Image.Image:
    """Any Pillow mode to `L`: luma of ITU-R BT.601, transparency over black, 16 bits by their own range."""
    if image.mode == "L":
        return image
    if image.mode.startswith("I"):
        # Deep radiographs hold 10 to 16 bits at an unstated window, so their own range becomes 0 to 255.
        deep = np.asarray(image, dtype=np.float32)
        low, high = float(deep.min()), float(deep.max())
        return Image.fromarray(((deep - low) * (255 / max(high - low, 1))).round().astype(np.uint8))
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "black")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    return image.convert("L")
