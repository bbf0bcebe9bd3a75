"""Strict JPEG decoding: the whole picture or an error.

Owns the walk along a JPEG's markers and the decoding of what lies between them. libjpeg paints grey over whatever is
missing, and Pillow hides its warnings. But libjpeg also stops and asks for more when its input runs dry between two
pieces, and that tells where it stands: here it is given one run of entropy-coded data after another, and must have
finished a run exactly where the file says that the run ends. Knows nothing of files and greys.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from pneumoscan.records import ErrorCode

SPARE = 8
"""Bytes that the data may be too long: some encoders round up to whole words before the end marker."""
MAX_SCANS = 200
"""Most scans of one picture, which cost time without needing bytes. Encoders make about 10."""
MAX_SCANNED = 2_000_000_000
"""Most pixels that are gone over, those of all scans together."""

# libjpeg asks for input until it has 57 bits, when it has too few for the next code: 7 bytes after the last one. These
# hold ones only, which is no code, so that data with a gap is not completed by them.
_LOOK_AHEAD = b"\xff\x00" * 7
_CHUNK = 2**18  # bytes searched at once: bounds memory, and fits into a cache

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_RST0, _RST7, _EOI, _SOS, _DRI, _APP1, _TEM = 0xD0, 0xD7, 0xD9, 0xDA, 0xDD, 0xE1, 0x01
# What may stand anywhere between scans: DHT, DAC, DQT, DNL, DRI, COM, APP0 to APP15.
_TABLES = frozenset([0xC4, 0xCC, 0xDB, 0xDC, _DRI, 0xFE, *range(0xE0, 0xF0)])
_PROGRESSIVE, _ARITHMETIC = frozenset([0xC2, 0xCA]), frozenset([0xC9, 0xCA])
_FRAMES = frozenset([0xC0, 0xC1]) | _PROGRESSIVE | _ARITHMETIC
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - _FRAMES - _TABLES  # lossless or hierarchical


class JpegError(Exception):
    """A JPEG that cannot be decoded completely.

    Attributes:
        code: `truncated`, `corrupt`, `unsupported_format` or `too_large`.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _truncated(what: str) -> JpegError:
    return JpegError(ErrorCode.TRUNCATED, f"the picture is damaged: {what}")


def _corrupt(what: str) -> JpegError:
    return JpegError(ErrorCode.CORRUPT, f"the picture is damaged: {what}")


@dataclass(slots=True)
class Stream:
    """What stands where in a JPEG.

    Attributes:
        width, height: pixels.
        progressive: whether coefficients come in several steps.
        arithmetic: whether they are coded arithmetically rather than by Huffman's method.
        components: sampling factors (horizontal, vertical) of each colour component by its identifier.
        ends: where runs of entropy-coded data end; a restart marker or the end of the scan follows.
        scans: number of scans.
        end: offset behind the EOI marker.
    """

    width: int = 0
    height: int = 0
    progressive: bool = False
    arithmetic: bool = False
    components: dict[int, tuple[int, int]] = field(default_factory=dict)
    ends: "array[int]" = field(default_factory=lambda: array("Q"))
    scans: int = 0
    end: int = 0


def parse(data: bytes) -> Stream:
    """Walks along the markers of a JPEG up to the end marker, EOI. What cameras append to it is passed over.

    Restart intervals are counted, and scans added up: all coefficients of all components must come to their last bit.

    Raises:
        JpegError: `truncated` when EOI or a scan is missing, `corrupt` when the markers make no sense,
            `unsupported_format` when the picture is lossless or hierarchical, `too_large` with too many scans.
    """
    stream = Stream()
    precision: dict[int, list[int]] = {}  # for each component: the bits that each coefficient still lacks
    interval = 0
    position = 2
    while True:
        found = _MARKER.search(data, position)
        if found is None:
            raise _truncated("it has no end marker")
        marker, position = data[found.end() - 1], found.end()
        if marker == _EOI:
            break
        if not stream.scans and (_RST0 <= marker <= _RST7 or marker == _TEM):
            continue  # without meaning here, and passed over by libjpeg
        segment = _segment(data, position)
        position += 2 + len(segment)
        if marker in _FRAMES and not stream.components:
            _read_frame(stream, marker, segment)
            precision = {component: [99] * 64 for component in stream.components}
        elif marker in _OTHER_FRAMES:
            raise JpegError(ErrorCode.UNSUPPORTED_FORMAT, "lossless and hierarchical JPEGs are not supported")
        elif marker == _SOS:
            stream.scans += 1
            if stream.scans > min(MAX_SCANS, MAX_SCANNED / max(1, stream.width * stream.height)):
                raise JpegError(ErrorCode.TOO_LARGE, f"the picture has too many scans for its size: {stream.scans}")
            mcus = _read_scan(stream, segment, precision)
            position = _find_runs(stream, data, position, -(-mcus // interval) if interval else 1)
        elif marker == _DRI and len(segment) == 2:
            interval = int.from_bytes(segment)
        elif marker not in _TABLES:
            raise _corrupt(f"marker {marker:02x} stands where it must not")
    if not stream.scans or any(map(any, precision.values())):
        raise _truncated("not all of its scans are there")
    stream.end = position
    return stream


def count_exif(data: bytes) -> int:
    """Number of segments with EXIF before the first scan, where a decoder looks for them."""
    count, position = 0, 2
    while (found := _MARKER.search(data, position)) and (marker := data[found.end() - 1]) != _SOS:
        position = found.end()
        if not (_RST0 <= marker <= _EOI or marker == _TEM):  # these have no content
            count += marker == _APP1 and data.startswith(b"Exif\0\0", position + 2)
            position += int.from_bytes(data[position : position + 2])
    return count


def _segment(data: bytes, position: int) -> bytes:
    """A segment's content; its length stands at `position`."""
    length = int.from_bytes(data[position : position + 2])
    if position + length > len(data):
        raise _truncated("it ends within a segment")
    if length < 2:
        raise _corrupt("a segment has no length")
    return data[position + 2 : position + length]


def _read_frame(stream: Stream, marker: int, segment: bytes) -> None:
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise _corrupt("the frame header has a wrong length")
    stream.progressive, stream.arithmetic = marker in _PROGRESSIVE, marker in _ARITHMETIC
    stream.height = int.from_bytes(segment[1:3])
    stream.width = int.from_bytes(segment[3:5])
    stream.components = {segment[i]: divmod(segment[i + 1], 16) for i in range(6, len(segment), 3)}
    if not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in stream.components.values()):
        raise _corrupt("the frame header has wrong sampling factors")


def _read_scan(stream: Stream, segment: bytes, precision: dict[int, list[int]]) -> int:
    """Notes in `precision` what a scan brings; returns its number of MCUs, the units that restart intervals count."""
    if not segment or len(segment) != 4 + 2 * segment[0]:
        raise _corrupt("a scan header has a wrong length")
    components = segment[1:-3:2]
    if not components or not precision.keys() >= set(components):
        raise _corrupt("a scan is of components that the frame does not have")
    first, last, low = (segment[-3], segment[-2], segment[-1] & 15) if stream.progressive else (0, 63, 0)
    for component in components:
        lacking = precision[component]
        lacking[first : last + 1] = [low] * len(lacking[first : last + 1])
    most_h = max(h for h, _ in stream.components.values())
    most_v = max(v for _, v in stream.components.values())
    if len(components) == 1:  # MCUs of a component alone are its blocks
        h, v = stream.components[components[0]]
        return -(-stream.width * h // (8 * most_h)) * -(-stream.height * v // (8 * most_v))
    return -(-stream.width // (8 * most_h)) * -(-stream.height // (8 * most_v))


def _find_runs(stream: Stream, data: bytes, start: int, count: int) -> int:
    """Adds the `count` runs of a scan whose data begins at `start`; returns where the scan ends."""
    for number, end in enumerate(_markers(data, start), 1):
        marker = data[end + 1]
        while data[end - 1] == 0xFF:  # any number of these may stand before a marker
            end -= 1
        stream.ends.append(end)
        if not _RST0 <= marker <= _RST7:
            if number != count:
                raise _corrupt(f"{number} of {count} restart intervals are there")
            return end
        if marker != _RST0 + (number - 1) % 8:
            raise _corrupt("a restart marker stands where it must not")
    raise _truncated("it has no end marker")


def _markers(data: bytes, start: int) -> Iterator[int]:
    """Offsets of all markers from `start` on. NumPy, other than `re`, lets other threads run meanwhile."""
    for offset in range(start, len(data) - 1, _CHUNK):
        piece = np.frombuffer(data, np.uint8, min(_CHUNK + 1, len(data) - offset), offset)
        found = np.flatnonzero(piece[:-1] == 0xFF)
        following = piece[found + 1]
        yield from (found[(following != 0) & (following != 0xFF)] + offset).tolist()


def load(image: ImageFile.ImageFile, data: bytes, stream: Stream) -> None:
    """Decodes the pixels of `image`, which was opened from `data`, at the scale that `image.draft` has set.

    Returns only when every run of entropy-coded data holds the blocks that it must hold, to within a few bytes
    (a restart interval may hold too much). Damage that changes the values of blocks, but not how many bytes they take,
    cannot be seen: a JPEG has no checksum. Of arithmetic coding, whose decoder makes do with whatever there is,
    only the markers are checked.

    Args:
        image: opened, with nothing decoded yet.
        data: the file's bytes.
        stream: what `parse` says of them.

    Raises:
        JpegError: `truncated` or `corrupt`, when the data holds too few or too many blocks.
    """
    codec, extents, _, arguments = image.tile[0]
    image.load_prepare()
    decoder = _Decoder(Image._getdecoder(image.mode, codec, arguments, image.decoderconfig))
    try:
        decoder.codec.setimage(image.im, extents)
        if stream.arithmetic:  # this one cannot wait for input
            decoder.give(data[: stream.end])
        else:
            _give_runs(decoder, data, stream)
    finally:
        decoder.codec.cleanup()
    if not decoder.finished:
        raise _truncated("its data ends early")
    image.tile = []


def _give_runs(decoder: "_Decoder", data: bytes, stream: Stream) -> None:
    """Gives one run of entropy-coded data after another, and checks that each lasts for its blocks."""
    view = memoryview(data)
    given = 0
    for end in stream.ends:
        if not _RST0 <= data[end + 1] <= _RST7:  # for each restart interval too, this would cost time
            nearly = max(given, end - SPARE)
            decoder.give(view[given:nearly])
            given = nearly + 1
            if decoder.takes(view[nearly:given]):
                raise _corrupt("it has more data than pixels")
        decoder.give(view[given:end], _LOOK_AHEAD)
        given = end
        if not decoder.takes(b"\0"):
            raise _truncated("its data ends early")
    decoder.give(view[given : stream.end])  # what comes in several scans waits for this


class _Decoder:
    """Pillow's decoder, and what it has been given but not taken yet.

    Attributes:
        codec: Pillow's part.
        finished: whether it has all pixels.
    """

    def __init__(self, codec: Any) -> None:
        self.codec = codec
        self.finished = False
        self._rest = b""

    def give(self, *pieces: bytes | memoryview) -> None:
        """Lets it decode as far as it gets with more data.

        Raises:
            JpegError: `corrupt`.
        """
        if self.finished:
            return
        data = b"".join((self._rest, *pieces))
        taken, error = self.codec.decode(data)
        if error < 0:
            raise _corrupt("its data makes no sense")
        self.finished = taken < 0
        self._rest = data[taken:]

    def takes(self, byte: bytes | memoryview) -> bool:
        """Gives one byte, and tells whether all blocks of a run have been decoded.

        Then the decoder is in search of a marker and takes whatever comes. Within a block, out of data, it takes none
        before it has several more bytes. False also after 0xFF, half a marker, where it cannot be told.
        """
        waiting = bool(self._rest)
        self.give(byte)
        return self.finished or not (waiting or self._rest)
