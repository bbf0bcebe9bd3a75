import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

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

    @pytest.mark.parametrize(
        ("orientation", "undo"),
        [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)],
    )
    @pytest.mark.parametrize("shape", [(320, 200), (200, 200)])
    def test_are_upright_when_exif_says_the_picture_was_turned(
        self, orientation: int, undo: Image.Transpose, shape: tuple[int, int]
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = gradient(*shape)
        picture = decode(encode(upright.transpose(undo), "JPEG", quality=95, exif=exif), 64)
        assert (picture.width, picture.height) == upright.size
        assert mean_difference(picture.pixels, decode(encode(upright, "PNG"), 64).pixels) < 2

    def test_are_as_stored_when_exif_cannot_be_understood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ValueError("nonsense")

        expected = decode(encode(gradient()), 64).pixels
        monkeypatch.setattr(ImageOps, "exif_transpose", fail)
        assert np.array_equal(decode(encode(gradient()), 64).pixels, expected)


class TestRefusals:
    def test_an_empty_file(self) -> None:
        assert code_of(b"") is ErrorCode.EMPTY_FILE

    @pytest.mark.parametrize("data", [b"hello", b"\xff", b"<svg></svg>", b"<html>", os.urandom(1000).lower()])
    def test_what_is_no_image(self, data: bytes) -> None:
        assert code_of(data) is ErrorCode.NOT_AN_IMAGE

    @pytest.mark.parametrize("format", ["GIF", "TIFF", "BMP", "WEBP", "JPEG2000"])
    def test_a_format_that_is_not_scanned_is_named(self, format: str) -> None:
        assert code_of(encode(gradient(), format)) is ErrorCode.UNSUPPORTED_FORMAT

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

        monkeypatch.setattr(JpegImageFile, "load", fail)
        assert code_of(encode(gradient())) is code

    def test_a_decompression_bomb_is_too_large_without_a_warning(self) -> None:
        bomb = bytearray(encode(Image.new("L", (10, 10)), "PNG"))
        bomb[16:24] = (60_000).to_bytes(4, "big") * 2
        import zlib

        bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
        assert code_of(bytes(bomb)) is ErrorCode.TOO_LARGE

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


class TestReading:
    def test_returns_the_bytes(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"abc")
        assert read(tmp_path / "x") == b"abc"

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

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr("builtins.open", refuse)
        assert self.code_of(tmp_path / "x") is ErrorCode.PERMISSION_DENIED

    def test_a_disk_that_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "x").write_bytes(b"abc")

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("builtins.open", fail)
        assert self.code_of(tmp_path / "x") is ErrorCode.IO_ERROR
