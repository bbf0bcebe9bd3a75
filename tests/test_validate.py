import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pneumoscan import formats, reading
from pneumoscan.cli import app
from pneumoscan.cli.validate import LONGEST, SHOWN, check
from pneumoscan.formats import ENCODINGS, Format
from pneumoscan.reading import PIECE, rows
from pneumoscan.records import Record
from pneumoscan.sinks import open_sink
from tests.test_schema import FAILED, ILL, RECORDS, plain

Run = Callable[..., subprocess.CompletedProcess[str]]
TEXT = [Format.CSV, Format.JSON, Format.JSONL]
ALL = [*TEXT, Format.PARQUET]
MANY = [replace(ILL, path=f"{number}.jpg") for number in range(2 * SHOWN)]


def encoded(format: Format, *records: Record) -> bytes:
    encoding = ENCODINGS[format]
    return encoding.begin + encoding.between.join(map(encoding.record, records)) + encoding.end


def jsonl(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def said(data: bytes, format: Format) -> list[str]:
    """The lines that are told of a file named x; whether it is valid is told in the last one."""
    report, is_valid = check(io.BufferedReader(io.BytesIO(data)), "x", format, quiet=False)
    assert is_valid == report.splitlines()[-1].startswith("x: valid, ")
    return report.splitlines()


def written(target: Path, format: Format, *records: Record) -> Path:
    if format is Format.PARQUET:
        pytest.importorskip("pyarrow")
    sink = open_sink(target, format)
    for record in records:
        sink.write(record)
    sink.commit()
    return target


def validate(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["validate", *map(str, arguments)])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("format", ALL)
class TestEveryFormat:
    def test_of_this_program_is_valid(self, tmp_path: Path, format: Format) -> None:
        out = written(tmp_path / f"out.{format}", format, *RECORDS)
        assert validate(out) == (0, f"{out}: valid, 4 records\n")

    def test_is_valid_without_records(self, tmp_path: Path, format: Format) -> None:
        out = written(tmp_path / f"out.{format}", format)
        assert validate(out) == (0, f"{out}: valid, 0 records\n")

    @pytest.mark.parametrize("name", ["a\nb", 'a"b,c', "ü😀", os.fsdecode(b"\xff.jpg")])
    def test_is_valid_with_any_name(self, tmp_path: Path, format: Format, name: str) -> None:
        out = written(tmp_path / f"out.{format}", format, replace(ILL, path=name), FAILED)
        assert validate(out) == (0, f"{out}: valid, 2 records\n")

    def test_tells_where_a_record_contradicts_itself(self, tmp_path: Path, format: Format) -> None:
        out = written(tmp_path / f"out.{format}", format, FAILED, replace(ILL, threshold=0.8))
        place = 3 if format is Format.CSV else 2
        problem = f"{out}:{place}: label must be NORMAL when probability is below the threshold"
        assert validate(out) == (1, f"{problem}\n{out}: 1 problem in 2 records\n")

    def test_tells_a_path_that_is_there_twice(self, tmp_path: Path, format: Format) -> None:
        out = written(tmp_path / f"out.{format}", format, ILL, FAILED, ILL)
        code, stdout = validate(out)
        place, unit = (4, "line 2") if format is Format.CSV else (3, "line 1" if format is Format.JSONL else "record 1")
        assert stdout.splitlines()[0] == f"{out}:{place}: the path is there again; first in {unit}"
        assert code == 1

    def test_is_read_from_standard_input_too(self, tmp_path: Path, format: Format, run: Run) -> None:
        data = written(tmp_path / "out", format, *RECORDS).read_bytes()
        result = run("validate", "-", "-f", format, input=data, encoding=None, errors=None)
        assert (result.returncode, result.stdout) == (0, b"-: valid, 4 records\n")

    def test_is_told_by_the_option_where_the_name_does_not(self, tmp_path: Path, format: Format) -> None:
        out = written(tmp_path / "out", format, ILL)
        assert validate(out, "--format", format) == (0, f"{out}: valid, 1 record\n")


class TestWhatIsTold:
    def test_stops_at_a_number_that_people_read_and_counts_the_rest(self) -> None:
        lines = said(jsonl(*(plain(record, schema=2) for record in MANY)), Format.JSONL)
        assert len(lines) == SHOWN + 2
        assert lines[-2:] == [f"x: {SHOWN} more problems", f"x: {2 * SHOWN} problems in {2 * SHOWN} records"]

    def test_has_commas_in_large_numbers(self) -> None:
        data = jsonl(*(plain(ILL, path=str(number)) for number in range(1234)))
        assert said(data, Format.JSONL) == ["x: valid, 1,234 records"]

    def test_is_inert_whatever_the_names(self, tmp_path: Path) -> None:
        out = tmp_path / "\x1b[31m.jsonl"
        out.write_bytes(jsonl(plain(ILL) | {"\x1b[32m\nx": 1}))
        code, stdout = validate(out)
        assert code == 1
        assert "\x1b" not in stdout
        assert len(stdout.splitlines()) == 2
        assert r"\x1b[31m.jsonl:1: '\x1b[32m\nx' is no field" in stdout

    def test_is_short_however_long_a_value_is(self) -> None:
        row = encoded(Format.CSV, ILL).replace(b",10,20,", b"," + b"x" * 100_000 + b",20,")
        assert max(map(len, said(row, Format.CSV))) < LONGEST + 50

    def test_is_nothing_when_quiet(self, tmp_path: Path) -> None:
        good = written(tmp_path / "good.csv", Format.CSV, ILL)
        bad = written(tmp_path / "bad.csv", Format.CSV, ILL, ILL)
        assert validate("-q", good) == (0, "")
        assert validate("--quiet", good, bad) == (1, "")

    def test_covers_every_file(self, tmp_path: Path) -> None:
        bad = written(tmp_path / "bad.csv", Format.CSV, ILL, ILL)
        good = written(tmp_path / "good.json", Format.JSON, ILL)
        code, stdout = validate(bad, good)
        assert code == 1
        assert stdout.splitlines()[1:] == [f"{bad}: 1 problem in 2 records", f"{good}: valid, 1 record"]


class TestJsonLines:
    @pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000])
    def test_go_on_after_a_line_that_is_no_record(self, line: bytes) -> None:
        data = jsonl(plain(ILL)) + line + b"\n" + jsonl(plain(FAILED), plain(ILL))
        assert said(data, Format.JSONL) == [
            "x:2: not a record of this program",
            "x:4: the path is there again; first in line 1",
            "x: 2 problems in 3 records",
        ]

    def test_may_not_hold_what_json_has_no_number_for(self) -> None:
        lines = said(jsonl(plain(ILL, outlier_score=float("nan"))), Format.JSONL)
        assert lines[0].startswith("x:1: outlier_score must be a finite number")

    def test_that_end_in_the_middle_can_be_repaired_by_a_run_that_resumes(self) -> None:
        first = jsonl(plain(ILL))
        assert said(first + b'{"path": "b', Format.JSONL) == [
            "x:2: the last record is torn; predict --resume repairs it",
            "x: 1 problem in 1 record",
        ]


class TestCsv:
    def test_that_is_empty_lacks_its_first_line(self) -> None:
        assert said(b"", Format.CSV)[0].startswith("x: the file is empty")

    def test_with_other_columns_is_told_at_its_first_line(self) -> None:
        assert said(b"path,label\na.jpg,NORMAL\n", Format.CSV) == [
            "x:1: the columns are not those of this program; what follows was not checked",
            "x: 1 problem in 0 records",
        ]

    @pytest.mark.parametrize("saved", [lambda data: b"\xef\xbb\xbf" + data, lambda data: data.replace(b"\n", b"\r\n")])
    def test_that_another_program_has_saved_is_told_as_such(self, saved: Callable[[bytes], bytes]) -> None:
        lines = said(saved(encoded(Format.CSV, ILL)), Format.CSV)
        assert lines[0].startswith("x:1: another program has saved it")

    def test_names_the_column_of_a_number_that_is_none(self) -> None:
        data = encoded(Format.CSV, replace(ILL, width=2102)).replace(b",2102,", b",2102.0,")
        assert said(data, Format.CSV)[0].startswith("x:2: width cannot be '2102.0'")

    def test_tells_lines_of_the_file_though_names_may_have_several(self) -> None:
        data = encoded(Format.CSV, replace(ILL, path="a\nb\nc"), FAILED, FAILED)
        assert said(data, Format.CSV)[0] == "x:6: the path is there again; first in line 5"

    def test_that_ends_in_the_middle_can_be_repaired_by_a_run_that_resumes(self) -> None:
        assert "--resume" in said(encoded(Format.CSV, ILL)[:-1], Format.CSV)[0]


class TestJson:
    @pytest.mark.parametrize("indent", [None, 0, 2])
    def test_is_valid_however_it_is_laid_out(self, indent: int | None) -> None:
        data = json.dumps([plain(record) for record in MANY], indent=indent).encode()
        assert len(data) > PIECE
        assert said(data, Format.JSON) == [f"x: valid, {len(MANY)} records"]

    def test_may_hold_records_longer_than_the_pieces_in_which_it_is_read(self) -> None:
        long = [replace(FAILED, path=f"{number}", message="ü" * 3 * PIECE) for number in range(3)]
        data = json.dumps([plain(record) for record in long], ensure_ascii=False).encode()
        assert said(data, Format.JSON) == ["x: valid, 3 records"]

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "not a JSON array"),
            (b"{}", "not a JSON array"),
            (b"[", "not JSON, or cut off"),
            (b"[]x", "something follows"),
            (b"[,]", "not JSON, or cut off"),
            (b"[" * 100_000, "not a record"),
            (b'["' + b"\xff" + b'"]', "not UTF-8"),
            (b'["\xc3', "not UTF-8"),
            (b"[" + b"9" * 5000 + b"]", "not JSON, or cut off"),
            (b"[nope" + b" " * 10**6, "not JSON, or cut off"),
        ],
    )
    def test_that_is_broken_is_told_without_a_place(self, data: bytes, message: str) -> None:
        assert said(data, Format.JSON)[0].startswith(f"x: {message}")

    def test_that_is_broken_is_not_read_to_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "LONGEST", 2 * PIECE)
        file = io.BytesIO(b'["' + b"x" * 20 * PIECE)
        ((place, told),) = reading.rows(file, Format.JSON)
        assert (place, told[:21]) == (None, "not JSON, or cut off:")
        assert file.tell() <= 4 * PIECE

    def test_a_line_without_end_is_told_as_one_after_which_nothing_was_checked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(formats, "LONGEST", 1000)
        whole = ENCODINGS[Format.JSONL].record(ILL)
        lines = said(whole + b"x" * 2500 + b"\n" + whole, Format.JSONL)
        assert lines[0] == "x:2: not a record of this program; what follows was not checked"
        assert len(lines) == 2

    @pytest.mark.parametrize("rest", [b"", b",", b",]", b" {}]", b"]]", b'],"'])
    def test_that_breaks_after_a_record_is_told_at_the_next(self, rest: bytes) -> None:
        lines = said(b"[" + json.dumps(plain(ILL)).encode() + rest, Format.JSON)
        assert [lines[0].split(": ")[0], lines[1]] == ["x:2", "x: 1 problem in 1 record"]

    def test_goes_on_after_an_element_that_is_no_record(self) -> None:
        data = json.dumps([7, plain(ILL), "x", plain(FAILED)]).encode()
        lines = said(data, Format.JSON)
        assert [line.split(": ")[0] for line in lines] == ["x:1", "x:3", "x"]
        assert lines[-1] == "x: 2 problems in 2 records"

    @pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
    def test_may_not_hold_what_json_has_no_number_for(self, token: str) -> None:
        data = json.dumps([plain(ILL)]).replace("-0.5", token).encode()
        assert said(data, Format.JSON)[0].startswith("x:1: outlier_score must be a finite number")


class TestWrongUsage:
    def test_is_a_file_that_is_not_there(self, tmp_path: Path, run: Run) -> None:
        good = written(tmp_path / "good.csv", Format.CSV, ILL)
        result = run("validate", tmp_path / "no.csv", good)
        assert (result.returncode, result.stdout) == (2, f"{good}: valid, 1 record\n")
        assert "no.csv: No such file or directory" in result.stderr

    def test_is_a_directory(self, tmp_path: Path, run: Run) -> None:
        (tmp_path / "out.json").mkdir()
        result = run("validate", tmp_path / "out.json")
        assert (result.returncode, result.stdout) == (2, "")
        assert "cannot read" in result.stderr

    @pytest.mark.parametrize("arguments", [["out.txt"], ["-"], ["-f", "table", "out.txt"], []])
    def test_is_a_format_that_cannot_be_told(self, arguments: list[str]) -> None:
        assert validate(*arguments) == (2, "")

    @pytest.mark.skipif(os.name == "nt", reason="needs a shell")
    def test_is_standard_input_that_is_closed(self) -> None:
        command = f"{sys.executable} -m pneumoscan validate -f csv - <&-"
        result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=60)
        assert (result.returncode, result.stdout) == (2, "")
        assert "closed" in result.stderr

    def test_is_parquet_where_nothing_can_read_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "out.parquet").touch()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        monkeypatch.delitem(sys.modules, "pneumoscan.parquet", raising=False)
        monkeypatch.delattr("pneumoscan.parquet", raising=False)
        result = CliRunner().invoke(app, ["validate", str(tmp_path / "out.parquet")])
        assert (result.exit_code, result.stdout) == (2, "")
        assert "pip install 'pneumoscan[parquet]'" in result.stderr


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    out = written(tmp_path / "out.jsonl", Format.JSONL, ILL, ILL)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pneumoscan", "validate", out, out]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


@given(st.binary(max_size=300), st.sampled_from(ALL))
def test_any_bytes_can_be_checked(data: bytes, format: Format) -> None:
    assert said(data, format)[-1].startswith("x: ")


@given(st.sampled_from(TEXT), st.data())
def test_a_file_with_other_bytes_in_it_can_be_checked(format: Format, data: st.DataObject) -> None:
    whole = encoded(format, *RECORDS)
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    assert said(whole[:begin] + data.draw(st.binary(max_size=20)) + whole[end:], format)[-1].startswith("x: ")


@given(st.sampled_from(TEXT), st.data())
def test_a_file_that_is_cut_off_is_valid_only_where_that_cannot_be_seen(format: Format, data: st.DataObject) -> None:
    whole = encoded(format, *RECORDS)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    looks_whole = {
        Format.CSV: cut.endswith(b"\n"),
        Format.JSON: cut == whole[:-1],  # without the last end of line
        Format.JSONL: cut.endswith(b"\n") or not cut,
    }
    assert (len(said(cut, format)) == 1) == looks_whole[format]


def test_parquet_that_is_cut_off_is_not_valid(tmp_path: Path) -> None:
    whole = written(tmp_path / "out", Format.PARQUET, *RECORDS).read_bytes()
    for length in range(0, len(whole), 97):
        assert said(whole[:length], Format.PARQUET)[-1] == "x: 1 problem in 0 records"


def test_a_torn_record_after_a_wrong_line_is_told_by_its_own_line() -> None:
    line = ENCODINGS[Format.JSONL].record(ILL)
    file = io.BufferedReader(io.BytesIO(line + b"wrong\n" + line + line[:50]))
    assert [place for place, _ in rows(file, Format.JSONL)] == [1, 2, 3, 4]
