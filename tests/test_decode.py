import os
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from pneumoscan import decode as decode_module
from pneumoscan.decode import DecodeError, decode, read
from pneumoscan.records import ErrorCode


def encode(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def gradient(width: int = 320, height: int = 200) -> Image.Image:
    """Brightness grows from left to right and, less, from top to bottom: no symmetry hides a turn or a flip."""
    x, y = np.meshgrid(np.linspace(0, 170, width), np.linspace(0, 80, height))
    return Image.fromarray((x + y).astype(np.uint8))


def code_of(data: bytes, **options: int) -> ErrorCode:
    with pytest.raises(DecodeError) as caught:
        decode(data, 64, **options)
    assert str(caught.value)
    return caught.value.code


def chunk(kind: bytes, content: bytes, *, crc: int = 0) -> bytes:
    """A chunk of a PNG; other than 0, `crc` makes its checksum wrong."""
    checksum = zlib.crc32(kind + content) ^ crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, *chunks: bytes, end: bytes = chunk(b"IEND", b"")) -> bytes:
    """A grey PNG with the chunks given, by default its pixels (all black) alone."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    if not chunks:
        chunks = (chunk(b"IDAT", zlib.compress(bytes((width + 1) * height))),)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + end


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


class TestPixels:
    def test_are_grey_bytes_of_the_asked_size_and_remember_the_original_one(self) -> None:
        picture = decode(encode(gradient()), 64)
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape == (64, 64)
        assert (picture.width, picture.height) == (320, 200)

    def test_keep_the_original_size_unless_told_otherwise(self) -> None:
        picture = decode(encode(gradient(), "PNG"))
        assert np.array_equal(picture.pixels, np.asarray(gradient()))

    def test_are_stretched_to_the_square(self) -> None:
        expected = np.asarray(gradient().resize((64, 64), Image.Resampling.BILINEAR))
        assert np.array_equal(decode(encode(gradient(), "PNG"), 64).pixels, expected)

    def test_of_a_jpeg_decoded_at_reduced_scale_are_those_of_full_decoding(self) -> None:
        data = encode(gradient(2000, 1600), quality=95)
        full = Image.open(BytesIO(data)).resize((64, 64), Image.Resampling.BILINEAR)
        assert mean_difference(decode(data, 64).pixels, np.asarray(full)) < 1

    @pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
    @pytest.mark.parametrize("progressive", [False, True])
    def test_of_any_jpeg_are_those_of_the_grey_one(self, mode: str, progressive: bool) -> None:
        data = encode(gradient().convert(mode), quality=95, progressive=progressive)
        assert mean_difference(decode(data, 64).pixels, decode(encode(gradient(), "PNG"), 64).pixels) < 2

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L"])
    def test_of_any_png_are_those_of_the_grey_one(self, mode: str) -> None:
        data = encode(gradient().convert(mode), "PNG")
        assert mean_difference(decode(data, 64).pixels, decode(encode(gradient(), "PNG"), 64).pixels) < 1

    def test_of_a_16_bit_png_use_the_range_that_it_uses(self) -> None:
        twelve_bits = Image.fromarray(np.linspace(0, 4095, 256 * 256).reshape(256, 256).astype(np.uint16))
        pixels = decode(encode(twelve_bits, "PNG")).pixels
        assert (pixels.min(), pixels.max()) == (0, 255)
        assert pixels[128, 0] == pytest.approx(128, abs=1)

    def test_that_are_transparent_are_black(self) -> None:
        assert decode(encode(Image.new("RGBA", (9, 9), (255, 255, 255, 0)), "PNG")).pixels.max() == 0

    def test_of_the_one_grey_that_is_declared_transparent_are_black(self) -> None:
        picture = gradient()
        pixels = decode(encode(picture, "PNG", transparency=200)).pixels
        expected = np.asarray(picture)
        assert (expected == 200).any()
        assert np.array_equal(pixels, np.where(expected == 200, 0, expected))

    @pytest.mark.parametrize("orientation", range(9))
    @pytest.mark.parametrize("shape", [(320, 200), (200, 320), (200, 200), (320, 319), (319, 320)])
    @pytest.mark.parametrize("format", ["JPEG", "PNG"])
    def test_are_upright_when_exif_says_the_picture_was_turned(
        self, orientation: int, shape: tuple[int, int], format: str
    ) -> None:
        undo = {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90,
            7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }.get(orientation)
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = gradient(*shape)
        stored = upright if undo is None else upright.transpose(undo)
        picture = decode(encode(stored, format, quality=95, exif=exif), 64)
        assert (picture.width, picture.height) == upright.size
        assert mean_difference(picture.pixels, decode(encode(upright, "PNG"), 64).pixels) < 2

    @pytest.mark.parametrize(
        ("code", "missing", "max_pixels"), [(ErrorCode.TRUNCATED, 20, 60_000), (ErrorCode.TOO_LARGE, 0, 59_999)]
    )
    def test_of_a_turned_jpeg_have_the_size_as_displayed_in_errors_too(
        self, code: ErrorCode, missing: int, max_pixels: int
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encode(gradient(300, 200), "JPEG", exif=exif)
        with pytest.raises(DecodeError) as error:
            decode(data[: len(data) - missing], max_pixels=max_pixels)
        assert (error.value.code, error.value.width, error.value.height) == (code, 200, 300)

    def test_are_as_stored_when_exif_cannot_be_understood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ValueError("nonsense")

        expected = decode(encode(gradient()), 64).pixels
        exif = Image.Exif()
        exif[0x0112] = 6
        monkeypatch.setattr(Image.Image, "getexif", fail)
        assert np.array_equal(decode(encode(gradient(), exif=exif), 64).pixels, expected)

    @pytest.mark.parametrize("size", [None, 64])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 65_000), (65_000, 1), (2, 3)])
    @pytest.mark.parametrize("format", ["JPEG", "PNG"])
    def test_of_absurd_shapes_are_pixels_all_the_same(
        self, format: str, shape: tuple[int, int], size: int | None
    ) -> None:
        picture = decode(encode(Image.new("L", shape, 90), format), size)
        assert (picture.width, picture.height) == shape
        assert picture.pixels.shape == ((size, size) if size else shape[::-1])
        assert (picture.pixels == 90).all()

    def test_of_print_colours_are_those_of_the_grey_picture(self) -> None:
        data = encode(gradient().convert("CMYK"), quality=95)
        assert b"Adobe" in data  # so its values are inverted
        assert mean_difference(decode(data, 64).pixels, decode(encode(gradient(), "PNG"), 64).pixels) < 2
        unconverted = data.index(b"Adobe") + 11
        ycck = data[:unconverted] + b"\x02" + data[unconverted + 1 :]
        assert decode(ycck, 64).pixels.shape == (64, 64)

    def test_of_several_pictures_in_one_file_are_those_of_the_first(self) -> None:
        first, second = gradient(), Image.new("L", (320, 200))
        for format, quality in (("MPO", 95), ("PNG", None)):
            data = encode(first, format, save_all=True, append_images=[second], quality=quality)
            assert mean_difference(decode(data, 64).pixels, decode(encode(first, "PNG"), 64).pixels) < 2

    def test_of_a_png_do_not_depend_on_data_beyond_them(self) -> None:
        surplus = chunk(b"IDAT", zlib.compress(bytes(11 * 10) + b"\xff" * 30_000_000))
        assert decode(png(10, 10, surplus)).pixels.max() == 0
        assert decode(png(10, 10) + b"junk").pixels.max() == 0


class TestRefusals:
    def test_an_empty_file(self) -> None:
        assert code_of(b"") is ErrorCode.EMPTY_FILE

    @pytest.mark.parametrize(
        "data",
        [
            b"hello",
            b"\xff",
            b"\xff\xd8",
            b"\x89PNG",
            b"<svg></svg>",
            b'<?xml version="1.0"?><svg></svg>',
            b"<html>",
            b"GIF",
            bytes(1000),
        ],
    )
    def test_what_is_no_image(self, data: bytes) -> None:
        assert code_of(data) is ErrorCode.NOT_AN_IMAGE

    @pytest.mark.parametrize("format", ["GIF", "TIFF", "BMP", "WEBP", "JPEG2000"])
    def test_a_format_that_is_not_scanned_is_named(self, format: str) -> None:
        assert code_of(encode(gradient(), format)) is ErrorCode.UNSUPPORTED_FORMAT

    def test_an_animated_gif_and_a_document_are_named(self) -> None:
        gif = encode(gradient(), "GIF", save_all=True, append_images=[Image.new("L", (320, 200))])
        with pytest.raises(DecodeError, match="GIF"):
            decode(gif)
        with pytest.raises(DecodeError, match="PDF"):
            decode(encode(gradient(), "PDF"))

    def test_a_dicom_file_is_named(self) -> None:
        with pytest.raises(DecodeError, match="DICOM"):
            decode(bytes(128) + b"DICM" + bytes(100))

    @pytest.mark.parametrize("format", ["JPEG", "PNG"])
    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_picture_cut_short_is_truncated_never_half_judged(self, format: str, share: float) -> None:
        data = encode(gradient(), format)
        assert code_of(data[: int(len(data) * share)]) is ErrorCode.TRUNCATED

    def test_a_header_cut_short_is_truncated(self) -> None:
        assert code_of(encode(gradient())[:30]) is ErrorCode.TRUNCATED

    def test_a_damaged_png_is_corrupt(self) -> None:
        data = bytearray(encode(gradient(), "PNG"))
        data[len(data) // 2] ^= 0xFF
        assert code_of(bytes(data)) is ErrorCode.CORRUPT

    def test_more_pixels_than_allowed_are_refused_by_the_header_alone_and_measured(self) -> None:
        with pytest.raises(DecodeError) as caught:
            decode(encode(gradient()), max_pixels=320 * 200 - 1)
        assert caught.value.code is ErrorCode.TOO_LARGE
        assert (caught.value.width, caught.value.height) == (320, 200)
        assert decode(encode(gradient()), max_pixels=320 * 200).width == 320

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (MemoryError(), ErrorCode.TOO_LARGE),
            (RuntimeError("odd"), ErrorCode.CORRUPT),
            (KeyError(1), ErrorCode.CORRUPT),
        ],
    )
    def test_whatever_the_reader_raises(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, code: ErrorCode
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(PngImageFile, "load", fail)
        assert code_of(encode(gradient(), "PNG")) is code

    def test_a_header_that_promises_a_bomb_is_too_large_without_a_warning(self, capfd: pytest.CaptureFixture) -> None:
        huge = bytearray(encode(gradient()))
        frame = huge.index(b"\xff\xc0")
        huge[frame + 5 : frame + 9] = (65_500).to_bytes(2) * 2
        for data in (png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b""))), bytes(huge)):
            assert code_of(data) is ErrorCode.TOO_LARGE
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("size", [(1, 65_536), (65_536, 1)])
    def test_a_side_longer_than_that_of_any_jpeg_is_too_large(self, size: tuple[int, int]) -> None:
        assert code_of(png(*size)) is ErrorCode.TOO_LARGE
        decode(png(*(min(side, 65_535) for side in size)), 64)

    def test_exif_that_unpacks_to_very_much_is_not_looked_at(self) -> None:
        turned = bytes.fromhex("4d4d002a00000008000101120003000000010006000000000000")
        assert decode(encode(gradient(), "PNG", exif=turned)).pixels.shape == (320, 200)
        exif = turned + bytes(decode_module.MAX_EXIF)
        profile = b"\nexif\n" + str(len(exif)).encode() + b"\n" + exif.hex().encode()
        data = encode(gradient(), "PNG")
        text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
        assert decode(data[:33] + text + data[33:]).pixels.shape == (200, 320)

    @pytest.mark.parametrize("between", [b"", b"\xff\xd0"])
    def test_exif_in_very_many_pieces_is_too_large(self, between: bytes) -> None:
        data, piece = encode(gradient()), between + b"\xff\xe1\x00\x09Exif\0\0?"
        decode(data[:2] + piece * decode_module.MAX_EXIFS + data[2:])
        assert code_of(data[:2] + piece * (decode_module.MAX_EXIFS + 1) + data[2:]) is ErrorCode.TOO_LARGE

    @pytest.mark.parametrize(("kind", "head"), [(b"iCCP", b"x\0\0"), (b"zTXt", b"\0\0"), (b"iTXt", b"x\0\1\0\0\0")])
    def test_texts_that_could_unpack_to_very_much_together_are_too_large(self, kind: bytes, head: bytes) -> None:
        pixels = chunk(b"IDAT", zlib.compress(bytes(110)))
        ordinary = chunk(kind, head + zlib.compress(os.urandom(600_000)))
        decode(png(10, 10, ordinary, pixels))
        bomb = chunk(kind, head + zlib.compress(bytes(decode_module.MAX_TEXT)))
        assert code_of(png(10, 10, *[bomb] * 17, pixels)) is ErrorCode.TOO_LARGE

    def test_of_an_animation_a_first_frame_that_does_not_fill_it_is_corrupt(self) -> None:
        animation = chunk(b"acTL", struct.pack(">II", 1, 0))

        def frame(height: int) -> bytes:
            return chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 10, height, 0, 0, 1, 1, 0, 0))

        pixels = chunk(b"IDAT", zlib.compress(bytes(110)))
        decode(png(10, 10, animation, frame(10), pixels))
        assert code_of(png(10, 10, animation, frame(5), pixels)) is ErrorCode.CORRUPT

    @pytest.mark.parametrize(
        "bomb",
        [
            chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000))),
            chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(20_000_000))),
            chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000))),
            b"".join(chunk(b"zTXt", b"%d\0\0" % i + zlib.compress(bytes(1_000_000))) for i in range(70)),
        ],
        ids=["zTXt", "iTXt", "iCCP", "many zTXt"],
    )
    def test_metadata_that_would_inflate_is_too_large(self, bomb: bytes) -> None:
        assert code_of(png(10, 10, bomb, chunk(b"IDAT", zlib.compress(bytes(110))))) is ErrorCode.TOO_LARGE

    @pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
    def test_long_metadata_is_no_damage(self, kind: bytes) -> None:
        metadata = chunk(kind, b"a\0\0" + zlib.compress(bytes(3_000_000)))
        assert decode(png(10, 10, metadata, chunk(b"IDAT", zlib.compress(bytes(110))))).pixels.shape == (10, 10)

    @pytest.mark.parametrize("size", [(0, 0), (0, 10), (10, 0)])
    def test_a_header_without_pixels_is_an_error(self, size: tuple[int, int]) -> None:
        jpeg = bytearray(encode(gradient()))
        frame = jpeg.index(b"\xff\xc0")
        jpeg[frame + 5 : frame + 9] = struct.pack(">HH", *size)
        assert code_of(bytes(jpeg)) is ErrorCode.CORRUPT
        assert code_of(png(*size)) in (ErrorCode.CORRUPT, ErrorCode.TRUNCATED)

    def test_a_png_without_its_last_chunk_is_truncated(self) -> None:
        assert code_of(png(10, 10, end=b"")) is ErrorCode.TRUNCATED

    def test_a_png_without_pixels_is_corrupt(self) -> None:
        assert code_of(png(10, 10, chunk(b"tEXt", b"a\0b"))) is ErrorCode.CORRUPT

    @pytest.mark.parametrize("rows", [0, 1, 9])
    def test_a_png_with_rows_missing_is_truncated_even_if_its_checksums_are_right(self, rows: int) -> None:
        assert code_of(png(10, 10, chunk(b"IDAT", zlib.compress(bytes(11 * rows))))) is ErrorCode.TRUNCATED

    def test_a_png_with_a_wrong_checksum_is_corrupt(self) -> None:
        pixels = zlib.compress(bytes(110))
        assert code_of(png(10, 10, chunk(b"IDAT", pixels, crc=1))) is ErrorCode.CORRUPT
        assert code_of(png(10, 10, chunk(b"IDAT", pixels[:-1] + b"x"))) is ErrorCode.CORRUPT

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_any_damage_to_a_real_looking_file_ends_in_a_picture_or_a_decode_error(self, data: st.DataObject) -> None:
        content = bytearray(encode(gradient(), data.draw(st.sampled_from(["JPEG", "PNG"]))))
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        cut = content[: data.draw(st.integers(0, len(content)))]
        try:
            picture = decode(bytes(cut), 64)
        except DecodeError as error:
            assert error.code in ErrorCode
        else:
            assert picture.pixels.shape == (64, 64)


class TestLargePictures:
    @pytest.fixture
    def alone(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., bool]:
        """Whether a picture is decoded while no other large one can be, where more than 1,000 pixels are many."""
        monkeypatch.setattr(decode_module, "LARGE_PIXELS", 1000)
        seen = []
        upright = decode_module._upright

        def look(image: Image.Image) -> Image.Image:
            seen.append(decode_module._large.locked())
            return upright(image)

        monkeypatch.setattr(decode_module, "_upright", look)

        def alone(data: bytes, size: int | None = None) -> bool:
            decode(data, size)
            return seen.pop()

        return alone

    def test_are_decoded_one_at_a_time_and_others_are_not(self, alone: Callable[..., bool]) -> None:
        for format in ("PNG", "JPEG"):
            assert alone(encode(Image.new("L", (40, 26)), format))
            assert not alone(encode(Image.new("L", (40, 25)), format))

    def test_are_those_that_are_large_in_memory(self, alone: Callable[..., bool]) -> None:
        large = gradient()
        assert not alone(encode(large), 20)
        assert alone(encode(large, progressive=True), 20)
        assert alone(encode(large, "PNG"), 20)

    def test_let_the_next_one_in_when_they_fail(self, alone: Callable[..., bool]) -> None:
        for format in ("PNG", "JPEG"):
            data = encode(gradient(), format)
            assert code_of(data[: len(data) // 2], max_pixels=10**6) is ErrorCode.TRUNCATED
            assert not decode_module._large.locked()
            assert alone(data)


class TestReading:
    def test_returns_the_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"abc")
        assert read(tmp_path / "x").data == b"abc"

    def test_tells_when_the_file_was_modified(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"abc")
        os.utime(tmp_path / "x", ns=(1, 1_700_000_000_123_456_700))
        assert read(tmp_path / "x").modified == (tmp_path / "x").stat().st_mtime_ns

    @pytest.mark.parametrize("name", ["a\0.png", "\ud800.png"])
    def test_finds_nothing_under_a_name_that_no_file_can_have(self, name: str) -> None:
        with pytest.raises(DecodeError, match="no file can have such a name") as refusal:
            read(name)
        assert refusal.value.code is ErrorCode.NOT_FOUND

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_leaves_no_file_open_whatever_happens(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x").write_bytes(b"abc")
        os.mkfifo(tmp_path / "pipe")
        regular = os.stat(tmp_path / "x")
        free = os.dup(0)
        os.close(free)
        read(tmp_path / "x")
        monkeypatch.setattr(os, "stat", lambda path: regular)
        for name in ("pipe", "", "missing"):
            with pytest.raises(DecodeError):
                read(tmp_path / name)
        assert os.dup(0) == free
        os.close(free)

    @pytest.mark.parametrize("change", [b"d", b""])
    def test_a_file_that_is_written_to_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
    ) -> None:
        path = tmp_path / "x"
        path.write_bytes(b"abc")
        os.utime(path, ns=(1, 1))
        fstat = os.fstat

        def fstat_then_write(descriptor: int) -> os.stat_result:
            status = fstat(descriptor)
            with path.open("ab") as file:
                file.write(change)
            os.utime(path, ns=(1, status.st_mtime_ns + 1))
            return status

        monkeypatch.setattr(os, "fstat", fstat_then_write)
        with pytest.raises(DecodeError, match="changed while it was read") as caught:
            read(path)
        assert caught.value.code is ErrorCode.IO_ERROR

    def test_a_file_that_is_cut_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "x"
        path.write_bytes(b"abc")
        before = os.stat(path)
        path.write_bytes(b"")
        monkeypatch.setattr(os, "fstat", lambda descriptor: before)
        with pytest.raises(DecodeError, match="changed while it was read"):
            read(path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_file_that_becomes_a_pipe_is_refused_instead_of_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "x").write_bytes(b"abc")
        regular = os.stat(tmp_path / "x")
        os.mkfifo(tmp_path / "pipe")
        monkeypatch.setattr(os, "stat", lambda path: regular)
        with pytest.raises(DecodeError, match="not a regular file"):
            read(tmp_path / "pipe")

    def test_a_file_for_which_there_is_no_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x").write_bytes(b"abc")

        def fail(*_: object, **__: object) -> None:
            raise MemoryError

        monkeypatch.setattr("builtins.open", fail)
        assert self.code_of(tmp_path / "x") is ErrorCode.TOO_LARGE

    def code_of(self, path: Path) -> ErrorCode:
        with pytest.raises(DecodeError) as caught:
            read(path)
        return caught.value.code

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert self.code_of(tmp_path / "x") is ErrorCode.NOT_FOUND

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").touch()
        assert self.code_of(tmp_path / "x") is ErrorCode.EMPTY_FILE

    def test_a_file_that_would_fill_the_memory(self, tmp_path: Path) -> None:
        with (tmp_path / "x").open("wb") as file:
            file.truncate(2**40)
        assert self.code_of(tmp_path / "x") is ErrorCode.TOO_LARGE

    def test_a_directory(self, tmp_path: Path) -> None:
        assert self.code_of(tmp_path) is ErrorCode.IO_ERROR

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_is_refused_instead_of_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "x.jpg")
        assert self.code_of(tmp_path / "x.jpg") is ErrorCode.IO_ERROR

    def test_a_file_without_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x").write_bytes(b"abc")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError

        monkeypatch.setattr("builtins.open", refuse)
        assert self.code_of(tmp_path / "x") is ErrorCode.PERMISSION_DENIED

    def test_a_disk_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x").write_bytes(b"abc")

        def fail(*_: object, **__: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("builtins.open", fail)
        assert self.code_of(tmp_path / "x") is ErrorCode.IO_ERROR


def test_what_stands_for_a_picture_in_git_lfs_says_so() -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    with pytest.raises(DecodeError, match="stands for a picture in Git LFS; get that with: git lfs pull") as told:
        decode(pointer, 8)
    assert told.value.code is ErrorCode.NOT_AN_IMAGE


def test_16_bits_of_low_contrast_use_the_whole_range_and_of_one_grey_are_black() -> None:
    few = Image.fromarray(np.array([[1000, 1050, 1100]], np.uint16))
    assert decode(encode(few, "PNG")).pixels.tolist() == [[0, 128, 255]]
    assert decode(encode(Image.fromarray(np.full((2, 2), 1000, np.uint16)), "PNG")).pixels.max() == 0
