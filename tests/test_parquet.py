import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from pneumoscan import parquet
from pneumoscan.formats import COLUMNS, ENCODINGS, Format, FormatError, from_dict, to_csv
from pneumoscan.parquet import ParquetSink, read_rows
from pneumoscan.records import Record
from pneumoscan.schema import problems
from pneumoscan.sinks import open_sink
from tests.test_schema import FAILED, ILL, RECORDS

NOT_UTF8 = os.fsdecode(b"\xff\x1b.jpg")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such names or limits")


def write(target: Path, *records: Record) -> Path:
    sink = ParquetSink(target)
    for record in records:
        sink.write(record)
    sink.commit()
    return target


def read(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return list(read_rows(file))


@pytest.fixture
def groups_of_two() -> Iterator[None]:
    with mock.patch.object(parquet, "GROUP_ROWS", 2):
        yield


class TestAFile:
    def test_gives_back_what_was_written_in_order(self, tmp_path: Path) -> None:
        assert read(write(tmp_path / "out", *RECORDS)) == [asdict(record) for record in RECORDS]

    def test_is_valid_without_records(self, tmp_path: Path) -> None:
        assert read(write(tmp_path / "out")) == []
        assert pq.read_table(tmp_path / "out").column_names == [*COLUMNS, "path_bytes"]

    def test_has_the_types_of_the_record(self, tmp_path: Path) -> None:
        schema = pq.read_schema(write(tmp_path / "out", ILL))
        types = {name: schema.field(name).type for name in ("status", "probability", "review", "width", "modified")}
        assert list(types.values()) == [pa.string(), pa.float64(), pa.bool_(), pa.int64(), pa.string()]
        assert [schema.field(name).nullable for name in ("path", "label", "threshold")] == [False, True, False]

    def test_says_what_it_is_and_what_its_columns_mean(self, tmp_path: Path) -> None:
        schema = pq.read_schema(write(tmp_path / "out", ILL))
        assert b"not a medical device" in schema.metadata[b"description"]
        assert schema.metadata[b"schema_version"] == b"1"
        assert b"probability" in schema.field("threshold").metadata[b"description"]

    @pytest.mark.usefixtures("groups_of_two")
    def test_holds_the_records_in_groups(self, tmp_path: Path) -> None:
        write(tmp_path / "out", *[replace(ILL, path=f"{i}.jpg") for i in range(5)])
        assert [pq.ParquetFile(tmp_path / "out").metadata.row_group(i).num_rows for i in range(3)] == [2, 2, 1]
        assert [values["path"] for values in read(tmp_path / "out")] == [f"{i}.jpg" for i in range(5)]

    @pytest.mark.parametrize("name", ["a\nb", 'a"b,c', "\x1b[31m", "ü😀", "", "\0"])
    def test_keeps_any_name_that_is_utf8_as_it_is(self, tmp_path: Path, name: str) -> None:
        table = pq.read_table(write(tmp_path / "out", replace(FAILED, path=name)))
        assert (table["path"].to_pylist(), table["path_bytes"].to_pylist()) == ([name], [None])

    @posix
    def test_shows_other_names_and_keeps_their_bytes(self, tmp_path: Path) -> None:
        table = pq.read_table(write(tmp_path / "out", ILL, replace(FAILED, path=NOT_UTF8)))
        assert table["path"].to_pylist() == ["a.jpg", r"\udcff\x1b.jpg"]
        assert table["path_bytes"].to_pylist() == [None, b"\xff\x1b.jpg"]
        assert [values["path"] for values in read(tmp_path / "out")] == ["a.jpg", NOT_UTF8]

    def test_shows_other_text_that_is_not_utf8(self, tmp_path: Path) -> None:
        write(tmp_path / "out", replace(FAILED, message="no file \udcff"), ILL)
        assert [values["message"] for values in read(tmp_path / "out")] == [r"no file \udcff", "unfamiliar"]


class TestItsPlace:
    def test_gets_the_file_only_when_it_is_complete(self, tmp_path: Path) -> None:
        out = tmp_path / "out"
        out.write_text("older")
        sink = open_sink(out, Format.PARQUET)
        sink.write(ILL)
        assert out.read_text() == "older"
        sink.commit()
        assert len(read(out)) == 1
        assert list(tmp_path.iterdir()) == [out]

    def test_keeps_the_older_file_when_the_new_one_is_discarded(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("older")
        sink = ParquetSink(tmp_path / "out")
        sink.write(ILL)
        sink.discard()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]

    def test_gives_the_new_file_the_permissions_of_the_older_one(self, tmp_path: Path) -> None:
        (tmp_path / "out").touch()
        (tmp_path / "out").chmod(0o640)
        write(tmp_path / "out", ILL)
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640

    def test_may_hold_what_a_killed_run_left_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / ".out.partial").write_bytes(b"torn" * 10_000)
        write(tmp_path / "out", ILL)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert len(read(tmp_path / "out")) == 1

    def test_is_not_replaced_where_it_may_not_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "out").write_bytes(b"older")
        monkeypatch.setattr(os, "access", lambda *_: False)  # as for others than root
        with pytest.raises(PermissionError):
            ParquetSink(tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_must_be_in_a_directory_that_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            ParquetSink(tmp_path / "no" / "out")


class TestAWriteThatFails:
    @pytest.mark.usefixtures("groups_of_two")
    def test_fails_again_on_commit_and_leaves_the_older_file(self, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("older")
        sink = ParquetSink(tmp_path / "out")
        sink.write(ILL)
        failing = mock.patch.object(pq.ParquetWriter, "write_table", side_effect=pa.ArrowInvalid("odd"))
        with failing, pytest.raises(OSError, match="odd") as failure:
            sink.write(ILL)
        assert failure.value.strerror
        with pytest.raises(OSError, match="odd"):
            sink.commit()
        sink.discard()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]

    @posix
    @pytest.mark.parametrize("limit", [100, 5_000, 20_000])
    def test_on_a_full_disk_leaves_the_older_file_and_nothing_else(self, tmp_path: Path, limit: int) -> None:
        program = """if True:
            import os, resource, sys
            from dataclasses import replace
            from pathlib import Path
            from pneumoscan import parquet
            from tests.test_schema import ILL
            parquet.GROUP_ROWS = 50
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
            sink = parquet.ParquetSink(Path(sys.argv[1]))
            try:
                for _ in range(500):
                    sink.write(replace(ILL, path=os.urandom(50).hex()))
            except OSError:
                pass
            try:
                sink.commit()
            except OSError as error:
                sink.discard()
                print(error.strerror)
            """
        (tmp_path / "out").write_text("older")
        command = [sys.executable, "-c", program, tmp_path / "out", str(limit)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (result.returncode, result.stdout, result.stderr) == (0, "File too large\n", "")
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


class TestReading:
    @pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1\0\0\0\0PAR1", b"x" * 1000])
    def test_tells_what_is_no_parquet(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "out").write_bytes(data)
        with pytest.raises(FormatError, match="not readable as Parquet"):
            read(tmp_path / "out")

    def test_tells_a_file_with_other_columns(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"path": ["a.jpg"]}), tmp_path / "out")
        with pytest.raises(FormatError, match="columns"):
            read(tmp_path / "out")

    def test_notices_a_single_changed_bit(self, tmp_path: Path) -> None:
        data = bytearray(write(tmp_path / "out", *RECORDS).read_bytes())
        data[data.index(b"a.jpg")] ^= 1
        (tmp_path / "out").write_bytes(data)
        with pytest.raises(FormatError, match="not readable as Parquet"):
            read(tmp_path / "out")


class TestOtherPrograms:
    def test_such_as_pandas_read_it(self, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.read_parquet(write(tmp_path / "out.parquet", *RECORDS))
        assert list(frame["path"]) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
        assert list(frame["probability"][:2]) == [0.75, 0.75]
        assert list(frame["label"].isna()) == [False, False, True, True]
        assert frame["review"].dtype == bool

    @pytest.mark.parametrize("index", [True, False])
    def test_such_as_pandas_may_have_saved_it(self, tmp_path: Path, index: bool) -> None:
        pandas = pytest.importorskip("pandas")
        others = replace(ILL, path=NOT_UTF8), replace(ILL, path="z.jpg", width=None)
        for records in (RECORDS, [*RECORDS, *others], others[:1], RECORDS[3:]):
            frame = pandas.read_parquet(write(tmp_path / "out.parquet", FAILED, *records))
            frame[1:].to_parquet(tmp_path / "part.parquet", index=index)
            assert [from_dict(values) for values in read(tmp_path / "part.parquet")] == [*records]

    def test_such_as_pandas_may_have_saved_what_it_read_from_csv(self, tmp_path: Path) -> None:
        pandas = pytest.importorskip("pandas")
        (tmp_path / "out.csv").write_bytes(ENCODINGS[Format.CSV].begin + b"".join(map(to_csv, RECORDS)))
        pandas.read_csv(tmp_path / "out.csv").to_parquet(tmp_path / "out.parquet")
        found = read(tmp_path / "out.parquet")
        assert [problems(values) for values in found] == [[]] * len(RECORDS)
        assert [from_dict(values) for values in found] == RECORDS

    @pytest.mark.parametrize(
        ("column", "values"),
        [("probability", "high"), ("review", None), ("review", 1), ("width", 1.5), ("width", True), ("path", 7)],
    )
    def test_that_keep_something_else_in_a_column_leave_no_valid_records(
        self, tmp_path: Path, column: str, values: object
    ) -> None:
        pandas = pytest.importorskip("pandas")
        frame = pandas.read_parquet(write(tmp_path / "out.parquet", *RECORDS))
        frame.assign(**{column: values}).to_parquet(tmp_path / "changed.parquet")
        found = read(tmp_path / "changed.parquet")
        assert len(found) == len(RECORDS)
        assert all(any(told.startswith(column) for told in problems(each)) for each in found)

    def test_that_leave_out_a_column_are_told(self, tmp_path: Path) -> None:
        table = pq.read_table(write(tmp_path / "out.parquet", *RECORDS))
        pq.write_table(table.drop_columns("review"), tmp_path / "changed.parquet")
        with pytest.raises(FormatError, match="the columns are not those of this program"):
            read(tmp_path / "changed.parquet")

    def test_such_as_duckdb_read_it(self, tmp_path: Path) -> None:
        duckdb = pytest.importorskip("duckdb")
        write(tmp_path / "out.parquet", *RECORDS)
        query = "SELECT status, count(*), max(probability), max(width) FROM read_parquet(?) GROUP BY 1 ORDER BY 1"
        with duckdb.connect() as database:
            found = database.execute(query, [str(tmp_path / "out.parquet")]).fetchall()
        assert found == [("error", 1, None, None), ("ok", 2, 0.75, 10), ("rejected", 1, None, 10)]


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pneumoscan.parquet")
    with pytest.raises(ModuleNotFoundError) as failure:
        open_sink(tmp_path / "out.parquet", Format.PARQUET)
    assert str(failure.value) == "Parquet needs pyarrow: pip install 'pneumoscan[parquet]'"
    assert list(tmp_path.iterdir()) == []
