import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pneumoscan import png
from pneumoscan.png import basis_of, is_complete, own


def encoded(mode: str, size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, "PNG")
    return file.getvalue()


def with_pixels(data: bytes, pixels: bytes, *, interlaced: int = 0, pieces: int = 3) -> bytes:
    """A PNG whose pixel data is replaced, and split into several chunks."""
    header = data[16:28] + bytes([interlaced])
    step = len(pixels) // pieces + 1
    chunks = [
        (b"IHDR", header),
        *((b"IDAT", pixels[i : i + step]) for i in range(0, len(pixels), step)),
        (b"IEND", b""),
    ]
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_what_an_encoder_writes_is_complete(mode: str, size: tuple[int, int]) -> None:
    assert is_complete(encoded(mode, size))


@pytest.mark.parametrize("size", [(1, 1), (9, 5), (2000, 1500)])
def test_one_byte_less_is_not(size: tuple[int, int]) -> None:
    length = size[1] * (1 + size[0])
    data = encoded("L", size)
    assert is_complete(with_pixels(data, zlib.compress(bytes(length))))
    assert not is_complete(with_pixels(data, zlib.compress(bytes(length - 1))))


# By hand, after the tables of the standard: bytes of all passes, each row with its filter byte.
@pytest.mark.parametrize(("size", "length"), [((1, 1), 2), ((8, 8), 79), ((5, 1), 9), ((3, 5), 25)])
def test_of_interlaced_pictures_all_passes_count(size: tuple[int, int], length: int) -> None:
    data = encoded("L", size)
    complete = with_pixels(data, zlib.compress(bytes(length)), interlaced=1)
    with Image.open(BytesIO(complete)) as image:
        image.load()  # Pillow counts the same
    assert is_complete(complete)
    assert not is_complete(with_pixels(data, zlib.compress(bytes(length - 1)), interlaced=1))


def test_a_bomb_is_not_inflated_further_than_needed() -> None:
    bomb = with_pixels(encoded("L", (1, 1)), zlib.compress(bytes(10**8), 9))
    tracemalloc.start()
    assert is_complete(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**7


@pytest.mark.parametrize(
    "data", [b"DDS |\0\0\0" + bytes(120), b"\0\0\0\x20ftypavif" + bytes(99), b"\x89PNG\r\n\x1a\n", b""]
)
def test_what_is_no_drawing_of_this_program_has_no_basis_whatever_pillow_says_of_it(
    tmp_path: Path, data: bytes
) -> None:
    drawing, other = tmp_path / "drawing.png", tmp_path / "other.png"
    drawing.write_bytes(own(Image.new("L", (4, 4)), basis="a picture"))
    assert basis_of(drawing) == "a picture"
    other.write_bytes(data)
    assert basis_of(other) is None


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_whatever_can_unpack_to_much_is_counted(kind: bytes) -> None:
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 10, kind) + bytes(10 + 4)
    assert png.unpacked_at_most(data, 5000) == 5000
