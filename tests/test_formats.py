import io
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan import formats
from pneumoscan.formats import ENCODINGS, Format, FormatError, TornTailError, from_dict, read_rows, to_csv, to_json
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype
from tests.records import ILL, failed

READABLE = [Format.CSV, Format.JSONL]
# A name as the system may give it: any bytes but NUL, those that are not UTF-8 as surrogates.
names = st.binary(min_size=1).map(lambda name: name.replace(b"\0", b"0").decode("utf-8", "surrogateescape"))


def written(format: Format, *records: Record) -> bytes:
    encoding = ENCODINGS[format]
    return encoding.begin + b"".join(map(encoding.record, records))


def rows(data: bytes, format: Format) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(io.BytesIO(data), format)]


@pytest.mark.parametrize("format", READABLE)
class TestReading:
    @given(name=names, message=st.text(min_size=1))
    def test_gives_back_what_was_written(self, format: Format, name: str, message: str) -> None:
        records = [replace(ILL, path=name), failed(name), ILL]
        assert rows(written(format, *records), format) == [asdict(record) for record in records]

    @given(name=names)
    def test_tells_where_each_record_lies(self, format: Format, name: str) -> None:
        data = written(format, replace(ILL, path=name), failed(name), ILL)
        found = list(read_rows(io.BytesIO(data), format))
        begin = len(ENCODINGS[format].begin)
        assert [data[row.start : row.end] for row in found] == [
            ENCODINGS[format].record(record) for record in (replace(ILL, path=name), failed(name), ILL)
        ]
        assert (found[0].start, found[-1].end) == (begin, len(data))
        assert [data[: row.start].count(b"\n") + 1 for row in found] == [row.line for row in found]

    def test_finds_a_torn_tail_at_every_place(self, format: Format) -> None:
        first, second = replace(ILL, path='a"\n,b'), failed("c\r\nd")
        data = written(format, first, second)
        begin = len(ENCODINGS[format].begin)
        whole = [begin, begin + len(ENCODINGS[format].record(first)), len(data)]
        for end in range(1, len(data)):
            if end in whole:
                assert len(rows(data[:end], format)) == whole.index(end)
                continue
            found = []
            with pytest.raises(TornTailError) as torn:
                for row in read_rows(io.BytesIO(data[:end]), format):
                    found.append(row)  # noqa: PERF402
            assert torn.value.start == max([0, *(place for place in whole if place < end)])
            assert len(found) == sum(place < end for place in whole[1:])

    @pytest.mark.parametrize("text", [b"hello", b"hello\n", b"{}", b"[\n]\n", b"a,b\n1,2\n", b"\0\0\0", b'{"path"}\n'])
    def test_refuses_what_is_not_the_work_of_this_program(self, format: Format, text: bytes) -> None:
        with pytest.raises(FormatError) as refused:
            rows(text, format)
        assert not isinstance(refused.value, TornTailError)

    def test_names_the_line_that_is_wrong(self, format: Format) -> None:
        data = written(format, ILL, ILL)
        with pytest.raises(FormatError) as refused:
            rows(data + b'hello "you\n' + written(format, ILL), format)
        assert refused.value.line == data.count(b"\n") + 1

    @given(data=st.binary())
    def test_of_any_bytes_ends_in_records_or_a_format_error(self, format: Format, data: bytes) -> None:
        for begin in (b"", written(format, ILL)):
            with suppress(FormatError):
                assert all(isinstance(values, dict) for values in rows(begin + data, format))


def test_zeros_at_the_end_as_after_a_loss_of_power_are_a_torn_tail() -> None:
    whole = written(Format.JSONL, ILL)
    with pytest.raises(TornTailError) as torn:
        rows(whole + b"\0\0\0", Format.JSONL)
    assert torn.value.start == len(whole)


def test_a_broken_row_before_others_is_no_torn_tail_which_would_be_cut_off() -> None:
    with pytest.raises(FormatError) as refused:
        rows(written(Format.CSV, ILL) + b'"a"b\n' + ENCODINGS[Format.CSV].record(ILL), Format.CSV)
    assert not isinstance(refused.value, TornTailError)


def test_csv_writes_booleans_as_json_does_and_nothing_for_none() -> None:
    assert to_csv(failed("a.jpg")).startswith(b"a.jpg,error,,,,,,,false,,,,,,empty_file,the file is empty,")


@pytest.mark.parametrize("format", READABLE)
def test_a_record_that_was_read_is_the_one_that_was_written_and_has_its_types(format: Format) -> None:
    records = [from_dict(values) for values in rows(written(format, ILL, failed("a.jpg")), format)]
    assert records == [ILL, failed("a.jpg")]
    assert records[0].label is Label.PNEUMONIA and records[0].subtype is Subtype.BACTERIAL
    assert (records[0].status, records[1].status) == (Status.OK, Status.ERROR)
    assert records[1].error is ErrorCode.EMPTY_FILE


def test_numbers_that_were_read_have_the_types_of_a_record() -> None:
    record = from_dict(asdict(ILL) | {"width": 10.0, "probability": 1, "schema": 1.0})
    assert [type(each) for each in (record.width, record.probability, record.schema)] == [int, float, int]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_is_never_written_with_what_json_does_not_have(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(replace(ILL, outlier_score=number))


def test_csv_with_the_columns_in_the_middle_says_that_files_were_joined() -> None:
    data = written(Format.CSV, ILL)
    with pytest.raises(FormatError, match="line 3: the line with the columns is there again: where files are joined"):
        rows(data + data, Format.CSV)


@pytest.mark.parametrize("format", READABLE)
def test_a_line_longer_than_any_record_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch, format: Format) -> None:
    whole = written(format, ILL)
    monkeypatch.setattr(formats, "LONGEST", len(whole))
    for data in (whole + b"x" * 10 * len(whole), b"x" * 10 * len(whole)):
        file = io.BytesIO(data)
        with pytest.raises(FormatError) as refused:
            list(read_rows(file, format))
        assert not isinstance(refused.value, TornTailError)
        assert file.tell() <= 2 * len(whole) + 1
    assert len(rows(whole, format)) == 1


def test_suffixes_tell_formats() -> None:
    assert formats.SUFFIXES == {
        ".csv": Format.CSV,
        ".json": Format.JSON,
        ".jsonl": Format.JSONL,
        ".ndjson": Format.JSONL,
        ".parquet": Format.PARQUET,
    }


@pytest.mark.parametrize("word", ["TRUE", "True", "1", "yes"])
def test_a_flag_that_another_program_has_spelt_its_own_way_does_not_pass_for_false(word: str) -> None:
    begin, line = ENCODINGS[Format.CSV].begin, to_csv(ILL)
    (row,) = read_rows(io.BytesIO(begin + line.replace(b",true,", f",{word},".encode())), Format.CSV)
    assert row.values["review"] == word  # which is no valid record
