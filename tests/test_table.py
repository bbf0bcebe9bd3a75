import io
from dataclasses import replace

import pytest

from pneumoscan.records import ErrorCode, Record, Status
from pneumoscan.table import TABLE_ROWS, TableSink
from tests.records import ILL, failed


def table(*records: Record) -> str:
    stream = io.StringIO()
    sink = TableSink(stream)
    for record in records:
        sink.write(record)
    sink.commit()
    return stream.getvalue()


def test_it_shows_verdict_probability_subtype_and_what_went_wrong() -> None:
    first, second = table(ILL, failed("b.jpg")).splitlines()[1:]
    assert first.split() == ["a.jpg", "PNEUMONIA", "75.0%", "bacterial", "review"]
    assert second.split() == ["b.jpg", "error", "empty_file:", "the", "file", "is", "empty"]


def test_it_calls_no_probability_certain() -> None:
    shown = table(replace(ILL, probability=0.99996), replace(ILL, probability=0.0004), replace(ILL, probability=0.9994))
    assert [line.split()[2] for line in shown.splitlines()[1:]] == [">99.9%", "<0.1%", "99.9%"]


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_it_shows_verdicts_and_notes_whole_on_a_narrow_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rejected = replace(failed("xrays/cat.jpeg", "none"), status=Status.REJECTED, error=ErrorCode.NOT_A_CHEST_XRAY)
    shown = table(replace(ILL, path="xrays/a-rather-long-name.jpeg"), rejected)
    assert ("PNEUMONIA" in shown, "…" in shown) == (True, False)


def test_it_says_of_what_is_unfamiliar_that_it_is_for_review() -> None:
    (shown,) = table(replace(ILL, message="unfamiliar")).splitlines()[1:]
    assert shown.endswith("review: unfamiliar")


def test_it_shows_hostile_names_inert() -> None:
    shown = table(failed("\x1b[31m[red]\n\udcff", message="[link]\x07"))
    assert r"\x1b[31m[red]\n\udcff" in shown.replace("\n", "")
    assert r"[link]\x07" in shown
    assert "\x1b" not in shown


def test_it_stops_at_a_length_that_people_read_and_counts_the_rest() -> None:
    shown = table(*[ILL] * (TABLE_ROWS + 5))
    assert shown.count("a.jpg") == TABLE_ROWS
    assert "5 more" in shown


def test_it_spells_out_what_the_stream_has_no_character_for() -> None:
    stream = io.TextIOWrapper(content := io.BytesIO(), "ascii")
    sink = TableSink(stream)
    sink.write(replace(ILL, path="Röntgen.jpg"))
    sink.commit()
    assert b"R\\xf6ntgen.jpg" in content.getvalue()
