import io
import os
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan import lists
from pneumoscan.lists import LIST_CHUNK, LONGEST_NAME, read_list
from pneumoscan.sources import NOTHING_YET


@pytest.mark.parametrize(
    ("data", "separator", "expected"),
    [
        (b"a.jpg\nb c.png\n", b"\n", ["a.jpg", "b c.png"]),
        (b"a.jpg\nb.png", b"\n", ["a.jpg", "b.png"]),
        (b"\n\na.jpg\n\r\n\n", b"\n", ["a.jpg"]),
        (b"a.jpg\r\nb\rc.jpg\r\r\nd.jpg\r", b"\n", ["a.jpg", "b\rc.jpg\r", "d.jpg"]),
        (b"a\nb.jpg\0\0c.jpg\r\0d.jpg", b"\0", ["a\nb.jpg", "c.jpg\r", "d.jpg"]),
        (b" a.jpg \n#b.jpg\n", b"\n", [" a.jpg ", "#b.jpg"]),
        (b"\xef\xbb\xbfa.jpg\nb.jpg\n", b"\n", ["a.jpg", "b.jpg"]),
        (b"\xef\xbb\xbfa.jpg", b"\n", ["a.jpg"]),
        (b"\xef\xbb\xbf\na.jpg\n\xef\xbb\xbfb.jpg", b"\n", ["a.jpg", "\ufeffb.jpg"]),
        (b"\xef\xbb\xbfa.jpg\0", b"\0", ["\ufeffa.jpg"]),
        (b"", b"\n", []),
        (b"\0", b"\0", []),
    ],
)
def test_lists_are_split_at_their_separator(data: bytes, separator: bytes, expected: list[str]) -> None:
    assert list(read_list(io.BytesIO(data), separator)) == expected


@given(
    names=st.lists(st.binary(max_size=9).filter(lambda name: not {0, 254, 255} & {*name}), max_size=9),
    chunk=st.integers(1, 12),
)
def test_where_a_list_is_cut_into_chunks_makes_no_difference(names: list[bytes], chunk: int) -> None:
    with mock.patch.object(lists, "LIST_CHUNK", chunk):
        assert list(read_list(io.BytesIO(b"\0".join([*names, b""])), b"\0")) == [
            os.fsdecode(name) for name in names if name
        ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_in_lists_need_not_be_utf8() -> None:
    (name,) = read_list(io.BytesIO(b"\xff\x1b[2J.jpg\n"))
    assert os.fsencode(name) == b"\xff\x1b[2J.jpg"


@pytest.mark.parametrize("buffering", [-1, 0])
def test_a_name_comes_out_of_an_open_pipe_as_soon_as_it_is_complete(buffering: int) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering) as stream, ThreadPoolExecutor(1) as pool:
        try:
            found = (name for name in read_list(stream) if name != NOTHING_YET)
            os.write(writer, b"a.jpg\nb.j")
            assert pool.submit(next, found).result(timeout=60) == "a.jpg"
            os.write(writer, b"pg\n")
            assert pool.submit(next, found).result(timeout=60) == "b.jpg"
        finally:
            os.close(writer)
        assert list(found) == []


def test_while_no_name_comes_a_list_says_so_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    waits: list[float] = []
    real = lists.select

    def noting(read: list[object], write: list[object], failed: list[object], wait: float) -> object:
        waits.append(wait)
        return real(read, write, failed, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(lists, "select", noting)
    with os.fdopen(reader, "rb") as stream:
        found = read_list(stream)
        os.write(writer, b"a.jpg\n\n")
        assert [next(found) for _ in range(9)] == ["a.jpg"] + [NOTHING_YET] * 8
        assert waits[1:] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0]
        os.write(writer, b"b.jpg\n")
        assert [next(found), next(found)] == ["b.jpg", NOTHING_YET]
        assert waits[-1] == 0.01
        os.close(writer)
        assert list(found) == []


def test_a_nul_in_a_line_suggests_null() -> None:
    found = read_list(io.BytesIO(b"a.jpg\nb.jpg\0c.jpg\0"))
    assert next(found) == "a.jpg"
    with pytest.raises(ValueError, match="--null"):
        next(found)


@pytest.mark.parametrize(("separator", "hint"), [(b"\n", "Then use --null"), (b"\0", "Then leave out --null")])
def test_a_name_without_an_end_is_given_up_before_it_fills_memory(separator: bytes, hint: str) -> None:
    endless = mock.Mock(spec=["read"])
    endless.read.side_effect = lambda size: b"x" * size
    with pytest.raises(ValueError, match=f"64 KiB.*{hint}"):
        list(read_list(endless, separator))
    assert sum(call.args[0] for call in endless.read.mock_calls) == LONGEST_NAME + LIST_CHUNK


def test_a_short_list_whose_names_newlines_end_is_not_taken_for_one_name() -> None:
    with pytest.raises(ValueError, match="Then leave out --null"):
        list(read_list(io.BytesIO(b"a.jpg\nb.jpg\n"), b"\0"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [b"\n", b"\0"])
def test_a_list_in_utf16_is_not_taken_for_names_of_a_character(encoding: str, separator: bytes) -> None:
    with pytest.raises(ValueError, match="in UTF-16: save it as UTF-8"):
        list(read_list(io.BytesIO("\ufeff/x/a.jpg\r\n".encode(encoding)), separator))


def test_a_name_may_hold_newlines_where_nul_ends_it_or_nothing_does() -> None:
    assert list(read_list(io.BytesIO(b"a\n\0b\n"), b"\0")) == ["a\n", "b\n"]
    assert list(read_list(io.BytesIO(b"a\nb"), b"\0")) == ["a\nb"]


@pytest.mark.parametrize("ends", [b"", b"\0", b"\0b\0"])
def test_a_list_whose_names_newlines_end_is_not_taken_for_one_long_name(ends: bytes) -> None:
    with pytest.raises(ValueError, match="Then leave out --null"):
        list(read_list(io.BytesIO(b"folder/picture.jpeg\n" * 5000 + ends), b"\0"))


def test_a_list_that_cannot_be_read_is_an_error() -> None:
    broken = mock.Mock(spec=["read1", "read"])
    broken.read1.side_effect = [b"a.jpg\nb", OSError("gone")]
    found = read_list(broken)
    assert next(found) == "a.jpg"
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_a_last_name_may_end_in_a_newline_where_nuls_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LIST_CHUNK", 6)
    assert list(lists.read_list(io.BytesIO(b"a.png\0b\n"), b"\0")) == ["a.png", "b\n"]
