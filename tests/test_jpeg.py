"""JPEGs that are whole, and those that are not, whatever libjpeg would make of them."""

import base64
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from pneumoscan import jpeg
from pneumoscan.decode import DecodeError, decode
from pneumoscan.records import ErrorCode

EOI = b"\xff\xd9"
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "baseline": ("L", {}),
    "colour": ("RGB", {"subsampling": 2}),
    "optimized": ("L", {"optimize": True}),
    "progressive": ("RGB", {"progressive": True}),
    "restarts": ("L", {"restart_marker_rows": 1}),
    "progressive with restarts": ("L", {"progressive": True, "restart_marker_blocks": 7}),
}

# 32 x 24 pixels that Pillow cannot write: brightness grows by 170 from left to right and by 80 from top to bottom.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/yQALCAAYACABAREA/8wABgAQEAX/2gAIAQEAAD8A/wDO61+9E3y7Ejo4ea6nhTtIUwogkEJnSN4g79rI"
    "SNJ4xZciURko+GD/2Q=="
)
ARITHMETIC_PROGRESSIVE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/ygALCAAYACABAREA/8wABAAQ/9oACAEBAAAAAf8Ancuer9XihkjSacWjgP/MAAQQBf/aAAgBAQABBQIa"
    "7mXLTvWPFID04P/MAAQQBf/aAAgBAQAGPwLA/8wABBAF/9oACAEBAAE/If/aAAgBAQAAABDyUP/MAAQQBf/aAAgBAQABPxDVIi/i"
    "Zw/Bp+cg/9k="
)
SCAN_FOR_EACH_COMPONENT = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy"
    "MjIyMjIyMjL/wAARCAAYACADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAABgf/xAAYEAACAwAAAAAAAAAAAAAAAAAABAUh"
    "Mf/aAAgBAQAAPwCPRymULI5TKFkcplCuOVyiMRymULI5TKFccplCyOUyiMRyuUK45TKFkcplCyOUyj//xAAUAQEAAAAAAAAAAAAA"
    "AAAAAAAA/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAgBAhEAPwAA/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAA"
    "AAAAAAAAAAD/2gAIAQMRAD8AAP/Z"
)


@cache
def radiograph(kind: str = "baseline", width: int = 320, height: int = 240) -> bytes:
    """A JPEG with the smooth shading and the noise of a radiograph."""
    mode, options = KINDS[kind]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    noise = np.random.default_rng(1).normal(0, 6, (height, width))
    pixels = 190 * np.exp(-(x**2) - y**2 / 2) + 20 * np.sin(9 * y) + noise
    return encode(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode), **options)


def encode(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def data_of(data: bytes) -> tuple[int, int]:
    """Where the entropy-coded data of the first scan begins, and that of the last one ends."""
    scan = data.index(b"\xff\xda")
    return scan + 2 + int.from_bytes(data[scan + 2 : scan + 4]), data.rindex(EOI)


def code_of(data: bytes, size: int | None = 64) -> ErrorCode:
    with pytest.raises(DecodeError) as caught:
        decode(data, size)
    return caught.value.code


def without(data: bytes, start: int, end: int) -> bytes:
    return data[:start] + data[end:]


class TestAWholePicture:
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_is_decoded_whatever_its_size_and_encoding(self, draw: st.DataObject) -> None:
        width, height = (draw.draw(st.integers(1, 90)) for _ in range(2))
        pixels = np.random.default_rng(draw.draw(st.integers(0, 9))).integers(0, 256, (height, width), dtype=np.uint8)
        if draw.draw(st.booleans()):
            pixels[:] = pixels[0, 0]
        mode = draw.draw(st.sampled_from(["L", "RGB", "CMYK"]))
        options = draw.draw(
            st.fixed_dictionaries(
                {"quality": st.integers(1, 100), "subsampling": st.integers(0, 2) if mode != "L" else st.just(0)},
                optional={
                    "optimize": st.booleans(),
                    "progressive": st.booleans(),
                    "restart_marker_blocks": st.integers(1, 40),
                    "restart_marker_rows": st.integers(1, 3),
                },
            )
        )
        data = encode(Image.fromarray(pixels).convert(mode), **options)
        with Image.open(BytesIO(data)) as image:
            assert np.array_equal(decode(data).pixels, np.asarray(image.convert("L")))
        size = draw.draw(st.integers(1, 40))
        assert decode(data, size).pixels.shape == (size, size)

    @pytest.mark.parametrize("size", [None, 8])
    @pytest.mark.parametrize("data", [ARITHMETIC, ARITHMETIC_PROGRESSIVE, SCAN_FOR_EACH_COMPONENT])
    def test_may_be_coded_as_hardly_anybody_does(self, data: bytes, size: int | None) -> None:
        x, y = np.meshgrid(np.linspace(0, 170, 32), np.linspace(0, 80, 24))
        expected = Image.fromarray((x + y).astype(np.uint8))
        if size:
            expected = expected.resize((size, size), Image.Resampling.BILINEAR)
        assert np.abs(decode(data, size).pixels.astype(int) - np.asarray(expected)).max() <= 3

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [None, 30])
    def test_may_have_anything_appended(self, kind: str, size: int | None) -> None:
        data = radiograph(kind)
        for more in (b"\0", EOI, b"\xff\xd8\xff\xe0junk", data):
            assert np.array_equal(decode(data + more, size).pixels, decode(data, size).pixels)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("padding", [b"\xff", b"\xff" * 3, b"\0", b"\0" * 3])
    def test_may_be_padded_before_its_end_marker(self, kind: str, padding: bytes) -> None:
        data = radiograph(kind)
        padded = data.removesuffix(EOI) + padding + EOI
        assert np.array_equal(decode(padded).pixels, decode(data).pixels)

    def test_may_have_fill_bytes_before_any_marker(self) -> None:
        data = radiograph("restarts")
        for number in range(8):
            data = data.replace(bytes([0xFF, 0xD0 + number]), bytes([0xFF, 0xFF, 0xD0 + number]))
        assert np.array_equal(decode(data).pixels, decode(radiograph("restarts")).pixels)

    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
    def test_may_have_its_markers_anywhere(self, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
        """Markers are looked for in chunks, on whose borders some lie."""
        monkeypatch.setattr(jpeg, "_CHUNK", chunk)
        for kind in ("restarts", "progressive with restarts"):
            data = radiograph(kind, 64, 48)
            assert decode(data).pixels.shape == (48, 64)

    def test_is_decoded_whatever_the_program_around_has_told_pillow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        data = radiograph()
        start, end = data_of(data)
        assert decode(data).width == 320
        assert code_of(without(data, (start + end) // 2, end)) is ErrorCode.TRUNCATED


class TestAPictureWithAGap:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_is_an_error_wherever_the_file_ends(self, draw: st.DataObject) -> None:
        data = radiograph(draw.draw(st.sampled_from(list(KINDS))))
        assert code_of(data[: draw.draw(st.integers(3, len(data) - 1))]) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_is_truncated_when_the_data_ends_early_though_an_end_marker_follows(self, draw: st.DataObject) -> None:
        data = radiograph(draw.draw(st.sampled_from(["baseline", "colour", "optimized"])))
        start, end = data_of(data)
        cut = draw.draw(st.integers(start, end - 16))
        size = draw.draw(st.sampled_from([None, 30, 64, 300]))
        assert code_of(without(data, cut, end), size) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)

    @pytest.mark.parametrize("kind", ["baseline", "colour", "optimized", "restarts", "progressive with restarts"])
    @pytest.mark.parametrize("size", [None, 30])
    @pytest.mark.parametrize("length", [100, 1000])
    def test_is_an_error_wherever_bytes_are_missing(self, kind: str, size: int | None, length: int) -> None:
        data = radiograph(kind)
        start, end = data_of(data)
        for cut in range(start, end - length, (end - start) // 20):
            assert code_of(without(data, cut, cut + length), size) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)

    @pytest.mark.parametrize("kind", ["baseline", "colour"])
    def test_is_an_error_where_a_sector_is_lost_to_zeros(self, kind: str) -> None:
        data = radiograph(kind)
        start, end = data_of(data)
        for lost in range(start, end - 512, (end - start) // 10):
            damaged = data[:lost] + bytes(512) + data[lost + 512 :]
            assert code_of(damaged) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)

    def test_within_one_restart_interval_is_truncated(self) -> None:
        data = radiograph("restarts")
        first, second = data.index(b"\xff\xd1"), data.index(b"\xff\xd2")
        middle = (first + second) // 2
        assert code_of(without(data, middle, second)) is ErrorCode.TRUNCATED

    def test_of_a_whole_number_of_rounds_of_restart_intervals_is_corrupt(self) -> None:
        data = radiograph("restarts")
        first = data.index(b"\xff\xd0")
        assert code_of(without(data, first, data.index(b"\xff\xd0", first + 1))) is ErrorCode.CORRUPT

    def test_of_scans_is_truncated(self) -> None:
        data = radiograph("progressive")
        scans = [i for i in range(len(data)) if data.startswith(b"\xff\xda", i)]
        assert len(scans) > 5
        for scan in scans[1:]:
            tables = data.rindex(b"\xff\xc4", 0, scan)
            assert code_of(data[:tables] + EOI) is ErrorCode.TRUNCATED

    def test_where_a_component_should_be_is_truncated(self) -> None:
        tables = SCAN_FOR_EACH_COMPONENT.rindex(b"\xff\xc4", 0, SCAN_FOR_EACH_COMPONENT.rindex(b"\xff\xda"))
        assert code_of(SCAN_FOR_EACH_COMPONENT[:tables] + EOI) is ErrorCode.TRUNCATED

    @pytest.mark.parametrize("data", [ARITHMETIC, ARITHMETIC_PROGRESSIVE])
    def test_at_its_end_is_an_error_with_arithmetic_coding_too(self, data: bytes) -> None:
        for length in range(1, 60):
            assert code_of(data[:-length]) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)


class TestContradictions:
    @pytest.mark.parametrize("kind", ["baseline", "colour", "progressive"])
    def test_more_data_than_pixels_is_corrupt(self, kind: str) -> None:
        data = radiograph(kind)
        frame = data.index(b"\xff\xc2" if kind == "progressive" else b"\xff\xc0")
        flat = bytearray(data)
        flat[frame + 5 : frame + 7] = (160).to_bytes(2)  # height
        assert code_of(bytes(flat)) is ErrorCode.CORRUPT

    def test_more_pixels_than_data_is_truncated(self) -> None:
        data = bytearray(radiograph())
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 7] = (264).to_bytes(2)
        assert code_of(bytes(data)) is ErrorCode.TRUNCATED

    def test_a_restart_marker_out_of_turn_is_corrupt(self) -> None:
        assert code_of(radiograph("restarts").replace(b"\xff\xd3", b"\xff\xd5", 1)) is ErrorCode.CORRUPT

    def test_a_restart_marker_too_many_is_corrupt(self) -> None:
        for kind, following in (("restarts", b"\xff\xd0"), ("baseline", b"\xff\xd0")):
            data = radiograph(kind)
            start, _ = data_of(data)
            assert code_of(data[: start + 40] + following + data[start + 40 :]) is ErrorCode.CORRUPT

    def test_another_marker_amid_the_data_is_corrupt(self) -> None:
        data = radiograph()
        start, _ = data_of(data)
        assert code_of(data[: start + 40] + b"\xff\x02" + data[start + 40 :]) in (
            ErrorCode.CORRUPT,
            ErrorCode.TRUNCATED,
        )

    def test_an_end_marker_amid_the_data_is_truncated(self) -> None:
        data = radiograph()
        start, _ = data_of(data)
        assert code_of(data[: start + 400] + EOI + data[start + 400 :]) is ErrorCode.TRUNCATED

    def test_two_frame_headers_are_corrupt(self) -> None:
        data = radiograph()
        frame, tables = data.index(b"\xff\xc0"), data.index(b"\xff\xc4")
        header = data[frame:tables]
        small = header[:5] + b"\0\x08\0\x08" + header[9:]
        for first, second in ((header, header), (header, small), (small, header)):
            assert code_of(data[:frame] + first + second + data[tables:]) is ErrorCode.CORRUPT

    @pytest.mark.parametrize(
        ("offset", "value"),
        [(2, b"\0\x00"), (2, b"\0\x0a"), (10, b"\0"), (10, b"\x05"), (11, b"\x07")],
        ids=["no length", "short", "sampling 0", "zero sampling", "unknown table"],
    )
    def test_a_frame_header_without_sense_is_an_error(self, offset: int, value: bytes) -> None:
        data = bytearray(radiograph())
        frame = data.index(b"\xff\xc0")
        data[frame + offset : frame + offset + len(value)] = value
        assert code_of(bytes(data)) in (ErrorCode.CORRUPT, ErrorCode.TRUNCATED)

    @pytest.mark.parametrize(("offset", "value"), [(3, 9), (4, 0), (4, 2), (5, 7)])
    def test_a_scan_header_without_sense_is_corrupt(self, offset: int, value: int) -> None:
        data = bytearray(radiograph())
        data[data.index(b"\xff\xda") + offset] = value
        assert code_of(bytes(data)) is ErrorCode.CORRUPT

    def test_a_segment_that_reaches_beyond_the_file_is_truncated(self) -> None:
        data = radiograph()
        scan = data.index(b"\xff\xda")
        assert code_of(data[:scan] + b"\xff\xfe\xff\xff" + data[scan:][:300]) is ErrorCode.TRUNCATED

    def test_scans_without_end_are_too_large(self) -> None:
        data = radiograph("progressive")
        scan = data.rindex(b"\xff\xda")
        many = data[:scan] + data[scan:].removesuffix(EOI) * (jpeg.MAX_SCANS + 1) + EOI
        assert code_of(many) is ErrorCode.TOO_LARGE

    def test_scans_are_fewer_the_larger_the_picture_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = radiograph("progressive")
        stream = jpeg.parse(data)
        monkeypatch.setattr(jpeg, "MAX_SCANNED", stream.scans * stream.width * stream.height)
        jpeg.parse(data)
        monkeypatch.setattr(jpeg, "MAX_SCANNED", stream.scans * stream.width * stream.height - 1)
        assert code_of(data) is ErrorCode.TOO_LARGE


class TestUnsupported:
    @pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC7, 0xCB, 0xCD])
    @pytest.mark.parametrize("size", [None, 30])
    def test_lossless_and_hierarchical_pictures(self, frame: int, size: int | None) -> None:
        data = radiograph().replace(b"\xff\xc0", bytes([0xFF, frame]), 1)
        assert code_of(data, size) is ErrorCode.UNSUPPORTED_FORMAT

    def test_deep_pictures(self) -> None:
        data = bytearray(radiograph())
        data[data.index(b"\xff\xc0") + 4] = 12
        assert code_of(bytes(data)) is ErrorCode.UNSUPPORTED_FORMAT

    def test_arithmetic_coding_that_is_none_ends_in_a_picture_or_an_error(self) -> None:
        for kind, frame in (("baseline", 0xC9), ("progressive", 0xCA)):
            data = radiograph(kind)
            marker = b"\xff\xc2" if kind == "progressive" else b"\xff\xc0"
            outcome(data.replace(marker, bytes([0xFF, frame]), 1))


def outcome(data: bytes, size: int = 48) -> None:
    """Passes when damaged data ends as it may: in a picture of the asked size, or in a stated error."""
    try:
        picture = decode(data, size)
    except DecodeError as error:
        assert error.code in ErrorCode
        assert str(error)
    else:
        assert picture.pixels.shape == (size, size)
        assert picture.pixels.dtype == np.uint8


def damaged(draw: st.DataObject, data: bytes) -> bytes:
    """`data` with bits flipped, pieces cut out, and pieces repeated, anywhere."""
    for _ in range(draw.draw(st.integers(1, 4))):
        position = draw.draw(st.integers(0, len(data) - 1))
        length = draw.draw(st.integers(0, 300))
        how = draw.draw(st.sampled_from(["flip", "cut", "repeat", "zero"]))
        piece = data[position : position + length]
        if how == "flip":
            piece = bytes([data[position] ^ 1 << draw.draw(st.integers(0, 7))]) + data[position + 1 : position + length]
        new = {"flip": piece, "cut": b"", "repeat": piece * 2, "zero": bytes(len(piece))}[how]
        data = data[:position] + new + data[position + max(length, how == "flip") :]
        data = data or b"\xff"
    return data


class TestAnyDamage:
    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_to_a_synthetic_radiograph_ends_in_a_picture_or_a_decode_error(self, draw: st.DataObject) -> None:
        outcome(damaged(draw, radiograph(draw.draw(st.sampled_from(list(KINDS))))))

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_to_an_arithmetic_coded_one_does_too(self, draw: st.DataObject) -> None:
        outcome(damaged(draw, draw.draw(st.sampled_from([ARITHMETIC, ARITHMETIC_PROGRESSIVE]))))

    def test_to_a_real_radiograph_does_too(self, demo_images: list[Path]) -> None:
        data = demo_images[0].read_bytes()

        @settings(max_examples=60, deadline=None)
        @given(st.data())
        def check(draw: st.DataObject) -> None:
            outcome(damaged(draw, data))

        check()

    def test_that_cuts_a_real_radiograph_is_an_error(self, demo_images: list[Path]) -> None:
        for path in demo_images:
            data = path.read_bytes()
            _, end = data_of(data)
            assert code_of(data[: end // 2]) is ErrorCode.TRUNCATED
            assert code_of(without(data, end // 2, end // 2 + 1500), 224) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)
            assert code_of(without(data, end - 3000, end), 224) in (ErrorCode.TRUNCATED, ErrorCode.CORRUPT)


@pytest.mark.parametrize("padding", [b"\0" * 7, b"\xff" * 100])
def test_a_jpeg_may_be_padded_to_whole_words_before_its_end_marker(padding: bytes) -> None:
    data = radiograph("baseline")
    assert np.array_equal(decode(data.removesuffix(EOI) + padding + EOI).pixels, decode(data).pixels)
