import csv
import io
import json
import os
import stat
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype
from pneumoscan.sinks import COLUMNS, TABLE_ROWS, CsvWriter, Format, Sink, TableWriter, printable

ILL = Record(
    path="a.jpg",
    status=Status.OK,
    label=Label.PNEUMONIA,
    probability=0.75,
    p_normal=0.25,
    p_bacterial=0.5,
    p_viral=0.25,
    subtype=Subtype.BACTERIAL,
    review=True,
    width=10,
    height=20,
    model="tiny-1",
    model_sha256="ab",
    threshold=0.5,
    device="cpu",
)


def failed(path: str, message: str = "the file is empty") -> Record:
    return Record(
        path=path,
        status=Status.ERROR,
        error=ErrorCode.EMPTY_FILE,
        message=message,
        model="tiny-1",
        model_sha256="ab",
        threshold=0.5,
    )


def write(target: Path, format: Format, *records: Record) -> None:
    sink = Sink(target, format)
    for record in records:
        sink.write(record)
    sink.commit()


def read(path: Path, format: Format) -> list[dict[str, Any]]:
    """Reads an output back as JSON's types would have it."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if format is Format.JSON:
        return json.loads(text)
    if format is Format.JSONL:
        return [json.loads(line) for line in text.split("\n")[:-1]]
    words = {"": None, "true": True, "false": False}
    numbers = {"probability", "p_normal", "p_bacterial", "p_viral", "width", "height", "threshold", "schema"}
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [
        {
            key: words[value] if value in words else json.loads(value) if key in numbers else value
            for key, value in row.items()
        }
        for row in rows
    ]


FILES = [Format.CSV, Format.JSON, Format.JSONL]


@pytest.mark.parametrize("format", FILES)
class TestEveryFileFormat:
    def test_gives_back_what_was_written_in_order(self, tmp_path: Path, format: Format) -> None:
        records = [ILL, failed("b.jpg"), ILL]
        write(tmp_path / "out", format, *records)
        assert read(tmp_path / "out", format) == [asdict(record) for record in records]

    def test_has_the_fields_in_the_order_of_the_schema(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, ILL)
        assert tuple(read(tmp_path / "out", format)[0]) == COLUMNS

    def test_is_valid_without_records(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format)
        assert read(tmp_path / "out", format) == []

    @pytest.mark.parametrize(
        "name", ["a\nb", 'a"b,c', "\x1b[31mred", "[bold]", "ü😀", os.fsdecode(b"\xff\xfe.jpg"), "\r"]
    )
    def test_keeps_any_name(self, tmp_path: Path, format: Format, name: str) -> None:
        write(tmp_path / "out", format, failed(name))
        assert read(tmp_path / "out", format)[0]["path"] == name

    def test_replaces_an_older_file_and_keeps_its_permissions(self, tmp_path: Path, format: Format) -> None:
        out = tmp_path / "out"
        out.write_text("older and much longer than what comes now" * 100)
        out.chmod(0o640)
        write(out, format, ILL)
        assert len(read(out, format)) == 1
        assert stat.S_IMODE(out.stat().st_mode) == 0o640

    def test_leaves_nothing_else_behind(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, ILL)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_a_new_file_is_as_readable_as_any_other(self, tmp_path: Path, format: Format) -> None:
        (tmp_path / "other").touch()
        write(tmp_path / "out", format, ILL)
        assert (tmp_path / "out").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("format", [Format.CSV, Format.JSON])
class TestWholeFiles:
    def test_appear_only_when_complete(self, tmp_path: Path, format: Format) -> None:
        out = tmp_path / "out"
        out.write_text("older")
        sink = Sink(out, format)
        sink.write(ILL)
        assert out.read_text() == "older"
        sink.commit()
        assert len(read(out, format)) == 1

    def test_leave_the_older_one_when_discarded(self, tmp_path: Path, format: Format) -> None:
        out = tmp_path / "out"
        out.write_text("older")
        sink = Sink(out, format)
        sink.write(ILL)
        sink.discard()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


@pytest.mark.parametrize("format", FILES)
class TestTargets:
    def test_that_are_links_stay_links(self, tmp_path: Path, format: Format) -> None:
        (tmp_path / "real").write_text("older")
        (tmp_path / "link").symlink_to(tmp_path / "real")
        write(tmp_path / "link", format, ILL)
        assert (tmp_path / "link").is_symlink()
        assert len(read(tmp_path / "real", format)) == 1

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_that_are_pipes_stay_pipes_and_get_the_records(self, tmp_path: Path, format: Format) -> None:
        os.mkfifo(tmp_path / "pipe")
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
        reader.start()
        write(tmp_path / "pipe", format, ILL)
        reader.join(10)
        assert (tmp_path / "pipe").is_fifo()
        assert b"a.jpg" in received[0]

    def test_keep_their_content_until_there_is_something_to_write(self, tmp_path: Path, format: Format) -> None:
        (tmp_path / "out").write_text("older")
        Sink(tmp_path / "out", format).discard()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_json_lines_can_be_followed_while_they_are_written(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "out", Format.JSONL)
    sink.write(ILL)
    assert len(read(tmp_path / "out", Format.JSONL)) == 1
    sink.commit()


def test_a_directory_that_is_missing_is_an_error_when_opening(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Sink(tmp_path / "no" / "out.csv", Format.CSV)


def test_csv_writes_booleans_as_json_does_and_nothing_for_none() -> None:
    stream = io.StringIO()
    CsvWriter(stream).write(failed("a.jpg"))
    row = next(csv.DictReader(io.StringIO(stream.getvalue())))
    assert (row["review"], row["label"]) == ("false", "")


class TestTable:
    def text(self, *records: Record) -> str:
        stream = io.StringIO()
        table = TableWriter(stream)
        for record in records:
            table.write(record)
        table.finish()
        return stream.getvalue()

    def test_shows_verdict_probability_subtype_and_what_went_wrong(self) -> None:
        first, second = self.text(ILL, failed("b.jpg")).splitlines()[1:]
        assert first.split() == ["a.jpg", "PNEUMONIA", "75.0%", "bacterial", "review"]
        assert second.split() == ["b.jpg", "error", "empty_file:", "the", "file", "is", "empty"]

    def test_shows_hostile_names_inert(self) -> None:
        shown = self.text(failed("\x1b[31m[red]\n\udcff", message="[link]\x07"))
        assert r"\x1b[31m[red]\n\udcff" in shown.replace("\n", "")
        assert r"[link]\x07" in shown
        assert "\x1b" not in shown

    def test_stops_at_a_length_that_people_read_and_counts_the_rest(self) -> None:
        shown = self.text(*[ILL] * (TABLE_ROWS + 5))
        assert shown.count("a.jpg") == TABLE_ROWS
        assert "5 more" in shown


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_text_is_inert_and_tells_different_names_apart(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text
