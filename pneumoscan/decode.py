"""Bytes to grey pixels: the one preprocessing, used by scanning and by training alike.

Owns what a pixel is and which files are refused. Knows nothing of models.
"""

import os
import stat
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from pneumoscan import jpeg, png
from pneumoscan.records import ErrorCode
from pneumoscan.signatures import JPEG, PNG

MAX_BYTES = 512 * 1024**2
"""Largest file read: the largest picture decoded, at 8 bytes a pixel."""
MAX_PIXELS = 64_000_000
"""Largest picture decoded, width times height. Digital radiographs reach about 16 million."""
LARGE_PIXELS = 16_000_000
"""Pictures that hold more pixels than this in memory are decoded one at a time, whatever the number of threads.

Decoding takes up to 11 bytes a pixel (transparency; 8 for 16 bits, 5 for colour, 1 for grey; next to none for a JPEG
that is scaled). So the largest digital radiographs, which must not wait for each other, take 180 MB a thread at most.
"""

MAX_SIDE = 65_535
"""Longest side decoded, which is that of a JPEG: of longer ones, resizing would take many times what decoding takes."""

MAX_TEXT = 16 * 1024**2
"""Bytes of a text or colour profile in a PNG, unpacked: some hold the header of a DICOM file, or hidden bombs."""
MAX_TEXTS = 256 * 1024**2
"""Bytes to which all of them together could unpack."""
MAX_EXIF = 1024**2
"""Bytes of EXIF that is looked at."""
MAX_EXIFS = 100
"""Most pieces of EXIF in a JPEG: the time of Pillow grows with the square of their number. Cameras write one or two."""

RESAMPLING = "bilinear"
"""Name of the filter in `decode`, as the model file states it. Pillow's is anti-aliased."""

SHORTEST_HEADER = 256
"""Bytes below which a JPEG or PNG whose header fails is called truncated rather than corrupt."""

LFS_POINTER = b"version https://git-lfs"
"""What a file begins with that stands in for one in Git LFS."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By orientation of EXIF, what is to be done with a picture that is to be displayed."""
_ON_ITS_SIDE = (5, 6, 7, 8)
"""Orientations of EXIF in which rows are stored as columns."""

_large = threading.Lock()

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


class File(NamedTuple):
    """A file's content.

    Attributes:
        data: all bytes.
        modified: time of modification in nanoseconds since the epoch, of the very file that was read.
    """

    data: bytes
    modified: int


def read(path: str | os.PathLike[str]) -> File:
    """All bytes of a regular file that nobody writes to meanwhile.

    Pipes and devices are refused, since reading them might never end.

    Raises:
        DecodeError: `not_found`, `permission_denied`, `empty_file`, `too_large` or `io_error`.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()  # says why it could not be listed, if that is so
        _check(status)
        with open(path, "rb", opener=_open_without_waiting) as file:
            before = os.fstat(file.fileno())
            _check(before)
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise DecodeError(ErrorCode.NOT_FOUND, "no such file") from None
    except ValueError:  # NUL, or half a character
        raise DecodeError(ErrorCode.NOT_FOUND, "no file can have such a name") from None
    except PermissionError:
        raise DecodeError(ErrorCode.PERMISSION_DENIED, "no permission to read it") from None
    except OSError as error:
        raise DecodeError(ErrorCode.IO_ERROR, f"cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise DecodeError(ErrorCode.TOO_LARGE, "there is not enough memory for the file") from error
    if len(data) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise DecodeError(ErrorCode.IO_ERROR, "changed while it was read")
    if not data:
        raise DecodeError(ErrorCode.EMPTY_FILE, "the file is empty")
    return File(data, after.st_mtime_ns)


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError(ErrorCode.IO_ERROR, "not a regular file")
    if status.st_size > MAX_BYTES:
        raise DecodeError(ErrorCode.TOO_LARGE, f"{status.st_size:,} bytes is more than the limit of {MAX_BYTES:,}")


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens even what has become a named pipe since it was looked at, instead of waiting for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a JPEG or PNG, recognised by its content, to grey.

    With `size` the picture is stretched to `size` by `size` (the aspect ratio is not kept, as in the training
    data); JPEGs are then decoded at the smallest DCT scale that is not below `size`, which costs a fraction of
    full decoding. A picture is decoded completely or not at all; `pneumoscan.jpeg` says what that can mean for a JPEG.
    Of several pictures in one file the first is taken. Threads may call this at the same time.

    Args:
        data: the file's bytes.
        size: side of the square result in pixels, or None for the original size.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        DecodeError: `empty_file`, `not_an_image`, `unsupported_format`, `truncated`, `corrupt`, `too_large`, or, for
            what this program has drawn, `not_a_chest_xray`.
    """
    if not data:
        raise DecodeError(ErrorCode.EMPTY_FILE, "the file is empty")
    image = _open(data)
    stored = image.size
    # Of a PNG, what is said of its orientation may stand behind its pixels.
    is_on_side = isinstance(image, JpegImageFile) and _orientation(image) in _ON_ITS_SIDE
    width, height = stored[::-1] if is_on_side else stored
    if png.is_own(image.info):
        raise DecodeError(ErrorCode.NOT_A_CHEST_XRAY, "drawn by pneumoscan: scan the radiograph itself", width, height)
    if max(stored) > MAX_SIDE or width * height > max_pixels:
        limit = f"{MAX_SIDE:,} on a side" if max(stored) > MAX_SIDE else f"{max_pixels / 1e6:g} million"
        raise DecodeError(
            ErrorCode.TOO_LARGE, f"{width} x {height} pixels is more than the limit of {limit}", width, height
        )
    try:
        stream = jpeg.parse(data) if isinstance(image, JpegImageFile) else None
        if stream and (stream.width, stream.height) != image.size:
            raise jpeg.JpegError(ErrorCode.CORRUPT, "the picture is damaged: its headers contradict each other")
        if size is not None:
            image.draft("L", (size, size))
        # What comes in several scans is kept whole until the last of them, at whatever scale it is decoded.
        held = image.width * image.height if stream and stream.scans == 1 else width * height
        with _large if held > LARGE_PIXELS else nullcontext():
            if stream:
                jpeg.load(image, data, stream)
            else:
                if image.tile[0].extents != (0, 0, *stored):  # of an animation, whose rest would stay black
                    raise OSError("its first frame does not fill it")
                image.load()
                _open(data).verify()  # Pillow decodes what its checksums call damaged, unless asked
                if not png.is_complete(data):
                    raise OSError("it is truncated: rows are missing")
            upright, is_on_side = _upright(image)
            width, height = stored[::-1] if is_on_side else stored
            grey = _grey(upright)
            if size is not None and grey.size != (size, size):
                grey = grey.resize((size, size), Image.Resampling.BILINEAR)
    except MemoryError as error:
        raise DecodeError(ErrorCode.TOO_LARGE, "there is not enough memory for the picture", width, height) from error
    except jpeg.JpegError as error:
        raise DecodeError(error.code, str(error), width, height) from error
    except Exception as error:  # on malformed data Pillow's readers raise nearly anything
        raise DecodeError(_read_failure(error), f"the picture is damaged: {error}", width, height) from error
    return Picture(np.asarray(grey), width, height)


def _open(data: bytes) -> ImageFile.ImageFile:
    """Reads the header with the reader that the first bytes call for (never by the file's name)."""
    if data.startswith((JPEG, PNG)):
        _check_header(data)
        try:
            return _png_reader()(BytesIO(data)) if data.startswith(PNG) else JpegImageFile(BytesIO(data))
        except Exception as error:  # on malformed data Pillow's readers raise nearly anything
            code = ErrorCode.TRUNCATED if len(data) < SHORTEST_HEADER else _read_failure(error)
            raise DecodeError(code, f"the header cannot be read: {error}") from error
    for offset, signature, name in _UNSUPPORTED:
        if data.startswith(signature, offset):
            raise DecodeError(ErrorCode.UNSUPPORTED_FORMAT, f"{name} is not supported; convert it to JPEG or PNG")
    if data.startswith(LFS_POINTER):
        raise DecodeError(
            ErrorCode.NOT_AN_IMAGE, "the file stands for a picture in Git LFS; get that with: git lfs pull"
        )
    raise DecodeError(ErrorCode.NOT_AN_IMAGE, "the file is not a JPEG or PNG picture")


def _check_header(data: bytes) -> None:
    """Refuses what Pillow would take long to read beside the pixels."""
    if data.startswith(JPEG) and jpeg.count_exif(data) > MAX_EXIFS:
        raise DecodeError(ErrorCode.TOO_LARGE, f"the picture has more than {MAX_EXIFS} pieces of EXIF")
    if data.startswith(PNG) and png.unpacked_at_most(data, MAX_TEXT) > MAX_TEXTS:
        raise DecodeError(
            ErrorCode.TOO_LARGE, f"its texts and profiles could unpack to more than {MAX_TEXTS >> 20} MiB"
        )


def _png_reader() -> type[ImageFile.ImageFile]:
    from PIL import PngImagePlugin  # takes its time, and most scans are of JPEGs alone

    PngImagePlugin.MAX_TEXT_CHUNK = MAX_TEXT
    return PngImagePlugin.PngImageFile


def _upright(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture as EXIF says that it is to be displayed, and whether it was stored on its side.

    It stays as it is stored where EXIF cannot be understood.
    """
    orientation = _orientation(image)
    transpose = _UPRIGHT.get(orientation)
    return (image if transpose is None else image.transpose(transpose)), orientation in _ON_ITS_SIDE


def _orientation(image: Image.Image) -> int:
    if any(len(image.info.get(name, "")) > MAX_EXIF for name in ("exif", "Raw profile type exif")):
        return 1
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # the pixels are sound, and broken EXIF raises nearly anything
        return 1


def _read_failure(error: Exception) -> ErrorCode:
    """Pillow tells what is wrong only in its message."""
    message = str(error).lower()
    if "cannot handle" in message:  # a number of bits or of layers
        return ErrorCode.UNSUPPORTED_FORMAT
    if "too large" in message or "too much" in message:  # what is said beside the pixels
        return ErrorCode.TOO_LARGE
    return ErrorCode.TRUNCATED if "truncated" in message else ErrorCode.CORRUPT


def _grey(image: Image.Image) -> Image.Image:
    """Any Pillow mode to `L`: luma of ITU-R BT.601, transparency over black, 16 bits of grey by their own range.

    Of 16 bits with colour or transparency Pillow has kept the upper 8.
    """
    if image.mode == "L" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I"):
        # Deep radiographs hold 10 to 16 bits at an unstated window, so their own range becomes 0 to 255.
        deep = np.array(image, dtype=np.float32)
        low, high = float(deep.min()), float(deep.max())
        deep -= low  # in place, since such pictures can be large
        deep *= 255 / max(high - low, 1)
        return Image.fromarray(deep.round(out=deep).astype(np.uint8))
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        grey = Image.new("L", image.size)
        grey.paste(coloured.convert("L"), mask=coloured.getchannel("A"))
        return grey
    return image.convert("L")
