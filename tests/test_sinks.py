import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan import atomic
from pneumoscan.formats import COLUMNS, ENCODINGS, Format, printable
from pneumoscan.ledger import Ledger
from pneumoscan.records import Record
from pneumoscan.sinks import StreamSink, growing_place, open_sink
from tests.records import ILL, failed, read


def write(target: Path, format: Format, *records: Record) -> None:
    sink = open_sink(target, format)
    for record in records:
        sink.write(record)
    sink.commit()


def go_on(target: Path, format: Format, *records: Record, commit: bool = True) -> None:
    place = growing_place(target, format)
    with closing(Ledger(place if place.exists() else target, format)) as ledger:
        sink = open_sink(target, format, ledger)
        for record in records:
            sink.write(record)
        if commit:
            sink.commit()
        else:
            sink.discard()


FILES = [Format.CSV, Format.JSON, Format.JSONL]
RESUMABLE = [Format.CSV, Format.JSONL]


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
        "name", ["a\nb", 'a"b,c', "\x1b[31mred", "[bold]", "ü😀", os.fsdecode(b"\xff\xfe.jpg"), "\r", "x" * 4000]
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

    @pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
    def test_replaces_an_older_file_and_keeps_its_owner(self, tmp_path: Path, format: Format) -> None:
        out = tmp_path / "out"
        write(out, format, ILL)
        os.chown(out, 12345, 23456)
        write(out, format, ILL, failed("b.jpg"))
        assert (out.stat().st_uid, out.stat().st_gid) == (12345, 23456)

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
        sink = open_sink(out, format)
        sink.write(ILL)
        assert out.read_text() == "older"
        sink.commit()
        assert len(read(out, format)) == 1

    def test_leave_the_older_one_when_discarded(self, tmp_path: Path, format: Format) -> None:
        out = tmp_path / "out"
        out.write_text("older")
        sink = open_sink(out, format)
        sink.write(ILL)
        sink.discard()
        assert out.read_text() == "older"


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
        open_sink(tmp_path / "out", format).discard()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]

    def test_that_are_new_are_gone_if_nothing_came(self, tmp_path: Path, format: Format) -> None:
        open_sink(tmp_path / "out", format).discard()
        assert list(tmp_path.iterdir()) == []


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files may grow to so many bytes, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fails(*attempts: Callable[[], object]) -> None:
    """Each of them finds the disk full."""
    for attempt in attempts:
        with pytest.raises(OSError, match="too large"):
            attempt()


@pytest.mark.parametrize("format", FILES)
@pytest.mark.parametrize("room", range(1000, 1400, 7))
def test_a_full_disk_leaves_whole_records(tmp_path: Path, format: Format, room: int) -> None:
    """Room ends somewhere in the third record, or in what ends the file after the second."""
    sink = open_sink(tmp_path / "out", format)
    written = 0
    with room_for(room):
        with pytest.raises(OSError, match="too large"):
            while True:
                sink.write(ILL)
                written += 1
        with suppress(OSError):
            sink.commit()
    found = read(tmp_path / "out", format)
    assert 0 < written - len(found) + 1 <= 2
    assert all(record == asdict(ILL) for record in found)


def test_a_disk_that_has_no_room_for_the_end_of_a_json_takes_its_last_record_and_that_is_an_error(
    tmp_path: Path,
) -> None:
    write(tmp_path / "whole", Format.JSON, ILL, ILL)
    sink = open_sink(tmp_path / "out", Format.JSON)
    with room_for((tmp_path / "whole").stat().st_size - 1):
        sink.write(ILL)
        sink.write(ILL)
        fails(sink.commit)
    assert read(tmp_path / "out", Format.JSON) == [asdict(ILL)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


@pytest.mark.parametrize("format", [Format.CSV, Format.JSON, Format.PARQUET])
def test_a_file_that_grows_beside_one_that_others_may_not_read_is_never_readable_by_them(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").touch(0o600)
    monkeypatch.setattr("pneumoscan.sinks.copy_mode", lambda *_: None)
    monkeypatch.setattr("pneumoscan.parquet.copy_mode", lambda *_: None)
    sink = open_sink(tmp_path / "out", format)
    assert growing_place(tmp_path / "out", format).stat().st_mode & 0o777 == 0o600
    sink.discard()


@pytest.mark.parametrize("format", [Format.CSV, Format.JSONL, Format.JSON, Format.PARQUET])
def test_letting_go_of_a_file_on_a_disk_that_can_only_be_read_by_now_is_no_error(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    sink = open_sink(tmp_path / "out", format)
    monkeypatch.setattr(Path, "unlink", fail)
    sink.discard()


def test_a_disk_too_full_for_the_first_record_gives_no_json_rather_than_half_of_one(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out", Format.JSON)
    with room_for(4):  # for what begins and not for what ends the file
        fails(lambda: sink.write(ILL), sink.commit)
    sink.discard()
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
@pytest.mark.parametrize("format", [Format.CSV, Format.JSON, Format.PARQUET])
def test_a_link_that_others_have_put_where_a_file_grows_is_not_followed(tmp_path: Path, format: Format) -> None:
    (tmp_path / "theirs").write_text("secret")
    growing_place(tmp_path / "out", format).symlink_to("theirs")
    write(tmp_path / "out", format, ILL)
    assert (tmp_path / "theirs").read_text() == "secret"
    assert not (tmp_path / "out").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "theirs"]


@pytest.mark.parametrize("format", RESUMABLE)
def test_a_file_that_is_gone_on_with_and_not_written_to_leaves_nothing_beside_it(
    tmp_path: Path, format: Format
) -> None:
    write(tmp_path / "out", format, ILL)
    go_on(tmp_path / "out", format, commit=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", RESUMABLE)
def test_a_file_that_has_nothing_new_is_not_touched(tmp_path: Path, format: Format) -> None:
    write(tmp_path / "out", format, ILL)
    os.utime(tmp_path / "out", ns=(1, 1))
    before = (tmp_path / "out").stat()
    go_on(tmp_path / "out", format)
    go_on(tmp_path / "out", format, ILL)
    after = (tmp_path / "out").stat()
    assert (after.st_mtime_ns, after.st_ino) == (1, before.st_ino)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", RESUMABLE)
def test_a_file_that_is_repaired_to_the_length_that_it_had_is_repaired(tmp_path: Path, format: Format) -> None:
    write(tmp_path / "out", format, failed("a.jpg"), failed("b.jpg", "a long reason"))
    whole = (tmp_path / "out").read_bytes()
    shorter = failed("b.jpg", "a reason")
    (tmp_path / "out").write_bytes(whole[:-5])
    go_on(tmp_path / "out", format, shorter)
    assert len((tmp_path / "out").read_bytes()) == len(whole) - 5
    assert [row["message"] for row in read(tmp_path / "out", format)] == ["the file is empty", "a reason"]


@pytest.mark.parametrize("format", [*FILES, Format.PARQUET])
def test_a_file_that_is_mounted_by_itself_is_refused_where_it_would_be_replaced(
    tmp_path: Path, format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    if format is Format.PARQUET:
        pytest.importorskip("pyarrow")
    out = tmp_path / "an output"
    write(out, format, ILL)
    before = out.read_bytes()
    mounts = f"36 35 8:1 / / rw - ext4 /dev/a rw\n37 36 8:1 /x {tmp_path}/an\\040output rw - ext4 /dev/a rw\n"
    (tmp_path / "mountinfo").write_text(mounts)
    monkeypatch.setattr(atomic, "MOUNTS", tmp_path / "mountinfo")
    write(tmp_path / "another", format, ILL)
    if format is Format.JSONL:
        write(out, format, ILL)
    else:
        with pytest.raises(OSError, match="mount its folder"):
            write(out, format, ILL)
    if format in RESUMABLE:
        with pytest.raises(OSError, match="mount its folder"):
            go_on(out, format, ILL)
    assert out.read_bytes() == before


def test_a_disk_too_full_to_go_on_with_a_csv_keeps_it_and_gets_its_room_back(tmp_path: Path) -> None:
    write(tmp_path / "out", Format.CSV, ILL)
    before = (tmp_path / "out").read_bytes()
    with room_for(40):
        fails(lambda: go_on(tmp_path / "out", Format.CSV))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == before


@pytest.mark.parametrize("format", [Format.CSV, Format.JSON])
def test_a_disk_too_full_for_the_first_byte_leaves_the_older_file(tmp_path: Path, format: Format) -> None:
    write(tmp_path / "out", format, ILL)
    sink = open_sink(tmp_path / "out", format)
    with room_for(1):
        fails(lambda: sink.write(ILL), sink.commit)
    sink.discard()
    assert read(tmp_path / "out", format) == [asdict(ILL)]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", FILES)
class TestAFileThatOthersMeddleWith:
    def meddled(self, tmp_path: Path, format: Format, meddle: Callable[[Path], object]) -> None:
        sink = open_sink(tmp_path / "out", format)
        sink.write(ILL)
        meddle(growing_place(tmp_path / "out", format))
        for attempt in (lambda: sink.write(failed("b")), sink.commit):
            with pytest.raises(OSError, match=r"another program|No such file"):
                attempt()
        sink.discard()

    def test_is_written_no_more_when_it_was_removed(self, tmp_path: Path, format: Format) -> None:
        self.meddled(tmp_path, format, Path.unlink)
        assert list(tmp_path.iterdir()) == []

    def test_is_written_no_more_when_it_was_moved_and_keeps_what_it_has(self, tmp_path: Path, format: Format) -> None:
        kept = []

        def move(place: Path) -> None:
            kept.append(place.read_bytes())
            place.rename(tmp_path / "moved")
            place.write_text("another")

        self.meddled(tmp_path, format, move)
        assert (tmp_path / "moved").read_bytes() == kept[0]
        assert growing_place(tmp_path / "out", format).read_text() == "another"

    def test_is_written_no_more_when_it_was_emptied(self, tmp_path: Path, format: Format) -> None:
        self.meddled(tmp_path, format, lambda place: place.write_bytes(b""))
        assert growing_place(tmp_path / "out", format).read_bytes() == b""


@pytest.mark.parametrize("format", RESUMABLE)
class TestGoingOn:
    def test_appends_to_what_is_there(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, ILL)
        go_on(tmp_path / "out", format, failed("b"))
        assert read(tmp_path / "out", format) == [asdict(ILL), asdict(failed("b"))]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_begins_a_file_that_is_not_there(self, tmp_path: Path, format: Format) -> None:
        go_on(tmp_path / "out", format, ILL)
        assert read(tmp_path / "out", format) == [asdict(ILL)]

    def test_repairs_a_tail_torn_anywhere(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "whole", format, ILL, failed("b\nc"))
        whole = (tmp_path / "whole").read_bytes()
        for end in range(len(whole)):
            (tmp_path / "out").write_bytes(whole[:end])
            with closing(Ledger(tmp_path / "out", format)) as ledger:
                kept = list(ledger.in_order())
            lost = [record for record in (ILL, failed("b\nc")) if ENCODINGS[format].record(record) not in kept]
            go_on(tmp_path / "out", format, *lost)
            assert (tmp_path / "out").read_bytes() == whole

    def test_puts_a_newer_record_in_the_place_of_the_older_one(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, failed("a"), failed("b"), failed("c"))
        newer = replace(ILL, path="b")
        go_on(tmp_path / "out", format, newer, failed("d"))
        assert [record["path"] for record in read(tmp_path / "out", format)] == ["a", "b", "c", "d"]
        assert read(tmp_path / "out", format)[1] == asdict(newer)

    def test_does_not_repeat_a_record_that_is_the_same(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, failed("a"), failed("b"))
        before = (tmp_path / "out").read_bytes()
        go_on(tmp_path / "out", format, failed("a"))
        assert (tmp_path / "out").read_bytes() == before

    def test_puts_in_order_what_a_kill_left_in_disorder(self, tmp_path: Path, format: Format) -> None:
        write(tmp_path / "out", format, failed("a"), failed("b"))
        go_on(tmp_path / "out", format, replace(ILL, path="a"), commit=False)
        go_on(tmp_path / "out", format, failed("c"))
        assert [record["status"] for record in read(tmp_path / "out", format)] == ["ok", "error", "error"]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("mode", [0o600, 0o640])
@pytest.mark.parametrize("format", RESUMABLE)
def test_what_is_private_is_so_while_it_is_put_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format, mode: int
) -> None:
    write(tmp_path / "out", format, failed("a"))
    (tmp_path / "out").chmod(mode)
    modes = []
    in_order = Ledger.in_order

    def watched(ledger: Ledger) -> Iterator[bytes]:
        for line in in_order(ledger):
            modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())
            yield line

    monkeypatch.setattr(Ledger, "in_order", watched)
    go_on(tmp_path / "out", format, replace(ILL, path="a"))
    assert len(modes) >= 2
    assert set(modes) == {mode}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("format", RESUMABLE)
@pytest.mark.parametrize("again", [ILL, failed(ILL.path)])
def test_no_file_is_open_when_another_takes_its_place_which_windows_would_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format, again: Record
) -> None:
    replace_file = Path.replace
    replaced = []

    def watched(path: Path, target: Path) -> Path:
        numbers = [entry.name for entry in os.scandir("/proc/self/fd")]
        names = [os.readlink(f"/proc/self/fd/{number}") for number in numbers if os.path.exists(f"/dev/fd/{number}")]
        replaced.append([name for name in names if name.startswith(os.fspath(tmp_path))])
        return replace_file(path, target)

    write(tmp_path / "out", format, ILL)
    monkeypatch.setattr(Path, "replace", watched)
    go_on(tmp_path / "out", format, again, replace(ILL, path="b"))
    assert not any(replaced)


def test_csv_stays_whole_in_its_place_while_a_run_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "out", Format.CSV, ILL)
    go_on(tmp_path / "out", Format.CSV, failed("b"), commit=False)
    assert read(tmp_path / "out", Format.CSV) == [asdict(ILL)]


def test_json_lines_can_be_followed_while_they_are_written(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out", Format.JSONL)
    sink.write(ILL)
    assert len(read(tmp_path / "out", Format.JSONL)) == 1
    sink.commit()


def test_a_directory_that_is_missing_is_an_error_when_opening(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_sink(tmp_path / "no" / "out.csv", Format.CSV)


@given(st.text(st.characters(exclude_categories=[])))
def test_printable_text_is_inert_and_tells_different_names_apart(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
@pytest.mark.parametrize("format", [*FILES, Format.PARQUET])
def test_a_file_that_is_complete_outlives_a_power_cut_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Format
) -> None:
    synced, fsync = [], os.fsync

    def noting(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    write(tmp_path / "out", format, ILL)
    assert synced == [(tmp_path / "out").stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_what_is_private_is_so_while_it_is_copied_to_go_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    write(tmp_path / "out", Format.CSV, failed("a"))
    (tmp_path / "out").chmod(mode)
    modes, copyfileobj = [], shutil.copyfileobj

    def watched(source: BinaryIO, target: BinaryIO) -> None:
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())
        copyfileobj(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", watched)
    go_on(tmp_path / "out", Format.CSV, ILL)
    assert modes == [mode, mode]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs names of open descriptors")
def test_a_descriptor_that_was_inherited_stays_open_for_others(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        write(Path(f"/dev/fd/{file.fileno()}"), Format.JSONL, ILL)
        file.write(b"more\n")
    assert (tmp_path / "out").read_bytes() == ENCODINGS[Format.JSONL].record(ILL) + b"more\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_json_for_whose_end_there_is_no_room_is_whole_whatever_the_system_calls_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Full(FileIO):
        def write(self, data: Any, /) -> int:
            if self.tell() + memoryview(data).nbytes > room:
                raise OSError(number, os.strerror(number))
            return super().write(data) or 0

    encoding = ENCODINGS[Format.JSON]
    room = len(encoding.begin + encoding.record(ILL) + encoding.between + encoding.record(ILL))
    monkeypatch.setattr("pneumoscan.sinks.open", lambda file, *_, **__: Full(file, "r+"), raising=False)
    sink = open_sink(tmp_path / "out", Format.JSON)
    sink.write(ILL), sink.write(ILL)
    with pytest.raises(OSError) as told:
        sink.commit()
    assert told.value.errno == number
    assert len(read(tmp_path / "out", Format.JSON)) == 1


def test_a_reader_who_stopped_is_not_waited_for_even_by_a_record_longer_than_a_piece(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    long = replace(ILL, path="x" * 200_000)  # more than a pipe holds
    ended = threading.Event()

    def send() -> None:
        with suppress(TimeoutError):
            StreamSink(writer, Format.JSONL, lambda: 0).write(long)
        ended.set()

    threading.Thread(target=send, daemon=True).start()
    is_given_up = ended.wait(10)
    os.close(reader)  # frees who still waits
    assert is_given_up


def test_a_reader_of_a_pipe_that_was_full_a_moment_ago_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that writes to the same pipe has made it one that does not wait, and was quicker."""
    reader, writer = os.pipe()
    real, refusals = os.write, [BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))]

    def busy(number: int, data: bytes) -> int:
        if number == writer and refusals:
            raise refusals.pop()
        return real(number, data)

    monkeypatch.setattr("pneumoscan.sinks.os.write", busy)
    sink = StreamSink(writer, Format.JSONL, lambda: None)
    sink.write(ILL)
    sink.commit()
    with open(reader, "rb") as file:
        assert file.read() == ENCODINGS[Format.JSONL].record(ILL)
