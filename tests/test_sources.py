import fnmatch
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumoscan import sources
from pneumoscan.sources import NOTHING_YET, PICTURES, Selection, find_files

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or names")


def tree(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, *paths: str | Path, **selection: object) -> list[str]:
    found = find_files(paths or [folder], Selection(**selection))  # type: ignore[arg-type]
    return [os.path.relpath(path, folder) for path in found]


def test_a_directory_is_walked_recursively_in_sorted_order(tmp_path: Path) -> None:
    tree(tmp_path, "b.jpg", "a/z.png", "a/c/x.jpeg", "d.jpeg", "a.jpg")
    assert names(tmp_path) == ["a/c/x.jpeg", "a/z.png", "a.jpg", "b.jpg", "d.jpeg"]


def test_only_pictures_are_picked_up_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "a.JPG", "b.Jpeg", "c.PNG", "d.txt", "e.gif", "jpg")
    assert names(tmp_path) == ["a.JPG", "b.Jpeg", "c.PNG"]


def test_a_named_file_is_an_input_whatever_its_suffix_and_even_if_missing(tmp_path: Path) -> None:
    tree(tmp_path, "scan", "a.jpg")
    assert names(tmp_path, tmp_path / "scan", tmp_path / "gone.jpg") == ["scan", "gone.jpg"]


def test_inputs_keep_the_order_in_which_they_were_named(tmp_path: Path) -> None:
    tree(tmp_path, "b/1.jpg", "a/2.jpg", "c.jpg")
    assert names(tmp_path, tmp_path / "c.jpg", tmp_path / "b", tmp_path / "a") == ["c.jpg", "b/1.jpg", "a/2.jpg"]


def test_relative_inputs_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "x/a.jpg")
    monkeypatch.chdir(tmp_path)
    assert list(find_files(["x"])) == [os.path.join("x", "a.jpg")]


def test_hidden_files_and_directories_are_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, ".a.jpg", "._b.jpg", ".trash/c.jpg", "d.jpg")
    assert names(tmp_path) == ["d.jpg"]


def test_links_to_directories_are_not_followed_so_that_loops_end(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a" / "x.jpg")
    assert names(tmp_path) == ["a/x.jpg", "link.jpg"]


def test_a_directory_that_cannot_be_listed_becomes_an_input_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/x.jpg", "b/y.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("a"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(tmp_path) == ["a", "b/y.jpg"]


def test_directories_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    tree(tmp_path, "d/" * 400 + "x.jpg")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        found = list(find_files([tmp_path]))
    finally:
        sys.setrecursionlimit(limit)
    assert [Path(path).name for path in found] == ["x.jpg"]


def test_files_are_streamed_directory_by_directory(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg", "b/2.jpg")
    found = find_files([tmp_path])
    assert next(found).endswith("1.jpg")
    tree(tmp_path, "b/3.jpg")
    assert [Path(path).name for path in found] == ["2.jpg", "3.jpg"]


@posix
def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.jpg"))).touch()
    assert [os.fsencode(path) for path in find_files([tmp_path])] == [os.fsencode(tmp_path) + b"/\xff\n.jpg"]


@posix
def test_newlines_and_terminal_escapes_in_names_survive(tmp_path: Path) -> None:
    tree(tmp_path, "\x1b[31m/a\nb.jpg")
    assert names(tmp_path) == ["\x1b[31m/a\nb.jpg"]


@posix
def test_paths_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    long = f"{tmp_path}/" + f"{'d' * 99}/" * ((4000 - len(f"{tmp_path}/x.jpg")) // 100)
    long += "x" * (4000 - len(f"{long}.jpg")) + ".jpg"
    os.makedirs(os.path.dirname(long))
    Path(long).touch()
    assert len(long) == 4000
    assert list(find_files([tmp_path])) == [long]


@posix
def test_no_directory_stays_open_on_the_way_down(tmp_path: Path) -> None:
    tree(tmp_path, "d/" * 50 + "x.jpg")
    opened = len(os.listdir("/dev/fd"))
    found = find_files([tmp_path])
    assert next(found).endswith("x.jpg")
    assert len(os.listdir("/dev/fd")) == opened


# What walks pick up


def test_include_replaces_the_names_that_are_picked_up(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.TIF", "c.dcm", "sub/d.tif")
    assert names(tmp_path, include=("*.tif", "C.*")) == ["b.TIF", "c.dcm", "sub/d.tif"]


def test_without_anything_to_include_nothing_is_found(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    assert names(tmp_path, include=()) == []


def test_exclude_wins_over_include(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "a_MASK.jpg")
    assert names(tmp_path, include=("a*",), exclude=("*_mask.*",)) == ["a.jpg"]


def test_excluded_directories_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "Thumbs/a.jpg", "b/thumbs/c.jpg", "b/d.jpg")
    scandir = mock.Mock(side_effect=os.scandir)
    monkeypatch.setattr(os, "scandir", scandir)
    assert names(tmp_path, exclude=("thumbs",)) == ["b/d.jpg"]
    assert [os.path.relpath(call.args[0], tmp_path) for call in scandir.mock_calls] == [".", "b"]


def test_a_slash_that_the_shell_adds_to_a_glob_counts_for_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "a/thumbs/b.jpg", "thumbs/c.jpg", "a/d.jpg")
    assert names(tmp_path, exclude=("thumbs/",)) == ["a/d.jpg"]
    assert names(tmp_path, exclude=("a/thumbs/",)) == ["a/d.jpg", "thumbs/c.jpg"]


def test_a_glob_with_a_slash_is_compared_with_the_path_below_the_named_directory(tmp_path: Path) -> None:
    tree(tmp_path, "x/a.jpg", "y/x/b.jpg", "y/x/z/c.jpg", "y/d.jpg")
    assert names(tmp_path, exclude=("x/*",)) == ["y/d.jpg", "y/x/b.jpg", "y/x/z/c.jpg"]
    assert names(tmp_path, exclude=("y/x",)) == ["x/a.jpg", "y/d.jpg"]
    assert names(tmp_path, include=("y/*.jpg",)) == ["y/d.jpg", "y/x/b.jpg", "y/x/z/c.jpg"]
    assert names(tmp_path, tmp_path / "y", exclude=("x/*",)) == ["y/d.jpg"]


def test_named_files_and_directories_are_scanned_whatever_the_globs_say(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "raw/b.jpg", "raw/c.jpg")
    selection = {"include": ("b.*",), "exclude": ("raw", "a.*")}
    assert names(tmp_path, tmp_path / "a.jpg", tmp_path / "raw", **selection) == ["a.jpg", "raw/b.jpg"]


def test_hidden_entries_are_passed_over_even_if_included(tmp_path: Path) -> None:
    tree(tmp_path, ".a.jpg", ".b/c.jpg", "d.jpg")
    assert names(tmp_path, include=("*",)) == ["d.jpg"]


def test_a_named_hidden_directory_is_walked(tmp_path: Path) -> None:
    tree(tmp_path, ".b/c.jpg")
    assert names(tmp_path, tmp_path / ".b") == [".b/c.jpg"]


def test_without_recursion_only_the_named_directorys_own_files_are_found(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b/c.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert names(tmp_path, recursive=False, follow_links=True) == ["a.jpg"]


# Links, and files that are no files


def test_a_named_link_to_a_directory_is_walked(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.jpg")
    (tmp_path / "link").symlink_to("a")
    assert names(tmp_path, tmp_path / "link") == ["link/x.jpg"]


def test_a_link_to_a_directory_is_no_picture_even_if_it_is_named_like_one(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.jpg", "dir.jpg/y.jpg")
    (tmp_path / "link.jpg").symlink_to("a")
    assert names(tmp_path) == ["a/x.jpg", "dir.jpg/y.jpg"]


def test_followed_links_to_directories_are_walked_under_their_own_names(tmp_path: Path) -> None:
    tree(tmp_path, "root/a/x.jpg", "outside/y.jpg")
    (tmp_path / "root" / "b").symlink_to("a")
    (tmp_path / "root" / "c").symlink_to(tmp_path / "outside")
    found = names(tmp_path, tmp_path / "root", follow_links=True)
    assert found == ["root/a/x.jpg", "root/b/x.jpg", "root/c/y.jpg"]


def test_followed_links_that_lead_back_up_are_not_entered_again(tmp_path: Path) -> None:
    tree(tmp_path, "root/a/x.jpg", "outside/y.jpg", "other/z.jpg")
    (tmp_path / "root" / "a" / "self").symlink_to(".")
    (tmp_path / "root" / "a" / "up").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "b").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "back").symlink_to(tmp_path)
    found = names(tmp_path, tmp_path / "root", follow_links=True)
    assert found == ["root/a/x.jpg", "root/b/back/other/z.jpg", "root/b/y.jpg"]


@pytest.mark.parametrize("follow_links", [False, True])
def test_broken_links_and_links_to_themselves_are_inputs_if_their_names_match(
    tmp_path: Path, follow_links: bool
) -> None:
    for name in ("broken.jpg", "broken.txt"):
        (tmp_path / name).symlink_to("gone")
    for name in ("circle.jpg", "circle.txt"):
        (tmp_path / name).symlink_to(name)
    assert names(tmp_path, follow_links=follow_links) == ["broken.jpg", "circle.jpg"]


@posix
def test_pipes_and_sockets_are_inputs_and_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.jpg")
        assert names(tmp_path) == ["pipe.jpg", "socket.jpg"]


# Changes during the walk


def test_files_that_vanish_remain_inputs(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    found = find_files([tmp_path])
    next(found)
    (tmp_path / "b.jpg").unlink()
    assert [Path(path).name for path in found] == ["b.jpg"]


@pytest.mark.parametrize("becomes_a_file", [False, True])
def test_directories_that_vanish_or_become_files_are_inputs_themselves(tmp_path: Path, becomes_a_file: bool) -> None:
    tree(tmp_path, "a.jpg", "b/x.jpg", "c.jpg")
    found = find_files([tmp_path])
    next(found)
    shutil.rmtree(tmp_path / "b")
    if becomes_a_file:
        tree(tmp_path, "b")
    assert [Path(path).name for path in found] == ["b", "c.jpg"]


# Large directories


def crowd(folder: Path) -> None:
    tree(folder, *(f"{i * 7919 % 100:02}.jpg" for i in range(100)), "5/a.jpg", "50.d/b.jpg", "50.d/c.jpg", "zz/d.jpg")
    if os.name != "nt":
        Path(os.fsdecode(os.fsencode(folder) + b"/5\xff\n.jpg")).touch()


def test_large_directories_come_in_the_same_order_as_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(tmp_path)
    expected = names(tmp_path)
    assert len(expected) == 104 + (os.name != "nt")
    for limit in (0, 1, 50, len(os.listdir(tmp_path)) - 1, len(os.listdir(tmp_path))):
        monkeypatch.setattr(sources, "IN_MEMORY", limit)
        assert names(tmp_path) == expected


def no_database(*_: object, **__: object) -> sqlite3.Connection:
    raise sqlite3.OperationalError("unable to open database file")


def full_database(*_: object, **__: object) -> sqlite3.Connection:
    database = connect("")
    database.execute("PRAGMA page_size = 512")
    database.execute("PRAGMA max_page_count = 3")
    return database


class FailingDatabase(sqlite3.Connection):
    """Cannot be read to its end."""

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        cursor = super().execute(*arguments)  # type: ignore[arg-type]
        return self.part(cursor) if str(arguments[0]).startswith("SELECT") else cursor  # type: ignore[return-value]

    def part(self, cursor: sqlite3.Cursor) -> Iterator[tuple[bytes, int]]:
        for _ in range(30):
            yield next(cursor)
        raise sqlite3.OperationalError("disk I/O error")


def failing_database(*_: object, **__: object) -> sqlite3.Connection:
    return connect("", factory=FailingDatabase)


connect = sqlite3.connect


@pytest.mark.parametrize("broken", [no_database, full_database, failing_database])
def test_without_room_for_a_temporary_database_the_order_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., sqlite3.Connection]
) -> None:
    crowd(tmp_path)
    expected = names(tmp_path)
    database = mock.Mock(side_effect=broken)
    monkeypatch.setattr(sqlite3, "connect", database)
    monkeypatch.setattr(sources, "IN_MEMORY", 10)
    assert names(tmp_path) == expected
    assert database.called


@posix
def test_a_listing_that_is_begun_anew_leaves_none_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd(tmp_path)
    monkeypatch.setattr(sqlite3, "connect", full_database)
    monkeypatch.setattr(sources, "IN_MEMORY", 10)
    opened = len(os.listdir("/dev/fd"))
    found = find_files([tmp_path])
    next(found)
    assert len(os.listdir("/dev/fd")) == opened


def test_a_large_directory_that_cannot_be_listed_to_its_end_becomes_an_input_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(tmp_path)
    scandir = os.scandir

    class Listing:
        def __init__(self, path: str) -> None:
            self.found = scandir(path)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            for _ in range(50):
                yield next(self.found)
            raise OSError

        def __exit__(self, *_: object) -> None:
            self.found.close()

    monkeypatch.setattr(os, "scandir", Listing)
    for limit in (10, 1000):
        monkeypatch.setattr(sources, "IN_MEMORY", limit)
        assert names(tmp_path) == ["."]


def test_memory_does_not_grow_with_the_entries_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def __init__(self, number: int) -> None:
            self.name = f"{number:0100}.jpg"

        def is_dir(self) -> bool:
            return False

        is_symlink = is_dir

    class Listing:
        def __init__(self, path: str) -> None:
            pass

        def __enter__(self) -> Iterator[Entry]:
            return (Entry(i * 7919 % 30_000) for i in range(30_000))

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Listing)
    monkeypatch.setattr(sources, "IN_MEMORY", 100)
    tracemalloc.start()
    try:
        count = sum(1 for _ in find_files([tmp_path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 30_000
    assert peak < 1_000_000  # the names alone are 3 million bytes


def test_a_walk_that_is_given_up_can_be_closed_by_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(tmp_path)
    monkeypatch.setattr(sources, "IN_MEMORY", 10)
    found = find_files([tmp_path])
    next(found)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(found.close).result()  # type: ignore[attr-defined]
    assert list(found) == []


# Shards


def test_every_file_is_in_exactly_one_shard(tmp_path: Path) -> None:
    crowd(tmp_path)
    paths = (tmp_path, tmp_path / "zz" / "d.jpg", tmp_path / "gone.jpg", "elsewhere.jpg")
    shards = [names(tmp_path, *paths, shard=(k, 3)) for k in (1, 2, 3)]
    assert Counter(chain(*shards)) == Counter(names(tmp_path, *paths))
    assert all(shards)
    assert names(tmp_path, *paths, shard=(1, 1)) == names(tmp_path, *paths)


def test_a_files_shard_depends_only_on_its_path_below_the_named_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(tmp_path / "here")
    crowd(tmp_path / "mount" / "there")
    tree(tmp_path / "mount" / "there", "new.jpg", "a/new.jpg")
    here = names(tmp_path / "here", shard=(2, 5))
    there = names(tmp_path / "mount" / "there", shard=(2, 5))
    assert here
    assert [path for path in there if not path.endswith("new.jpg")] == here
    monkeypatch.chdir(tmp_path)
    assert names(Path("here"), "here", shard=(2, 5)) == here


def test_shards_are_the_same_in_every_version(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.jpg", "a/2.jpg", "b.jpg", "c.jpg", "d.png")
    shards = [names(tmp_path, shard=(k, 3)) for k in (1, 2, 3)]
    assert shards == [["a/1.jpg"], ["b.jpg", "d.png"], ["a/2.jpg", "c.jpg"]]


def test_shards_of_similar_names_are_even() -> None:
    for pattern in ("img_{0:06}.jpg", "IM-{0:04}/IM-{0:04}-0001.jpeg", "person{0}_bacteria_{0}.jpeg"):
        paths = [pattern.format(i) for i in range(2000)]
        for parts in (2, 3, 8, 10):
            sizes = [sum(1 for _ in find_files(paths, Selection(shard=(k + 1, parts)))) for k in range(parts)]
            assert sum(sizes) == len(paths)
            assert max(sizes) < 1.2 * len(paths) / parts


def test_a_directory_that_cannot_be_listed_is_in_every_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", mock.Mock(side_effect=PermissionError))
    assert [names(tmp_path, shard=(k, 3)) for k in (1, 2, 3)] == [["."]] * 3


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (-1, 3), (1, 0)])
def test_shards_that_do_not_exist_are_refused(shard: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"no shard {shard[0]} of {shard[1]}"):
        Selection(shard=shard)


# Against a reference

FOLDERS = st.sampled_from(["a", "B", "a.jpg", "x y", ".git", "[1]"])
FILES = st.sampled_from(["a.jpg", "A.JPG", "b.png", "c.txt", ".h.jpg", "é.jpeg", "a", "b.jpg~", "[x].png", "a!.jpg"])
PATHS = st.builds(lambda folders, file: "/".join([*folders, file]), st.lists(FOLDERS, max_size=3), FILES)
GLOBS = st.one_of(
    st.sampled_from(
        ["*", "*.jpg", "a*", "a", "?.png", "[ab].*", "[!a]*", "a/*", "*/a", "*/b*", "b/a.jpg/*", "[[]*", "É*"]
    ),
    st.text("aAbB*?[]!/.jpg", max_size=4),
)


def reference(root: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> list[str]:
    """Every file's path, by another way: everything below, then what no glob is against."""

    def matches(path: str, globs: tuple[str, ...]) -> bool:
        name = path.rpartition("/")[2]
        globs = tuple(glob.lower().rstrip("/") or glob for glob in globs)  # as shells complete names of folders
        return any(fnmatch.fnmatchcase((path if "/" in glob else name).lower(), glob) for glob in globs)

    def is_wanted(path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:i]) for i in range(1, len(parts) + 1)]
        hidden = any(part.startswith(".") for part in parts)
        return not hidden and matches(path, include) and not any(matches(path, exclude) for path in above)

    found = [os.path.relpath(os.path.join(folder, file), root) for folder, _, files in os.walk(root) for file in files]
    return sorted(filter(is_wanted, found), key=lambda path: os.fsencode(path).split(b"/"))


@posix
@settings(max_examples=150, deadline=None)
@given(
    paths=st.lists(PATHS, max_size=12),
    include=st.just(PICTURES) | st.lists(GLOBS, max_size=3).map(tuple),
    exclude=st.lists(GLOBS, max_size=2).map(tuple),
    limit=st.sampled_from([0, 2, 10_000]),
    parts=st.integers(1, 4),
)
def test_walks_find_what_a_simple_reference_finds(
    paths: list[str], include: tuple[str, ...], exclude: tuple[str, ...], limit: int, parts: int
) -> None:
    with tempfile.TemporaryDirectory() as root, mock.patch.object(sources, "IN_MEMORY", limit):
        for path in paths:
            file = Path(root, path)
            if not any(parent.is_file() for parent in file.parents) and not file.is_dir():
                tree(Path(root), path)
        expected = reference(root, include, exclude)
        assert names(Path(root), include=include, exclude=exclude) == expected
        selection = Selection(include=include, exclude=exclude)
        there = (
            os.path.relpath(os.path.join(folder, file), root) for folder, _, files in os.walk(root) for file in files
        )
        assert sorted(filter(selection.takes, there)) == sorted(expected)
        shards = [names(Path(root), include=include, exclude=exclude, shard=(k + 1, parts)) for k in range(parts)]
        assert sorted(chain(*shards)) == sorted(expected)
        assert all(shard == [path for path in expected if path in shard] for shard in shards)


def test_that_nothing_has_come_is_passed_on_whatever_the_shard(tmp_path: Path) -> None:
    for shard in (None, (1, 2), (2, 2)):
        assert list(find_files([NOTHING_YET], Selection(shard=shard))) == [NOTHING_YET]


@pytest.mark.parametrize(("recursive", "told"), [(True, ["a.jpg", "link"]), (False, [])])
def test_links_are_told_of_only_where_following_them_would_take_more(
    tmp_path: Path, recursive: bool, told: list[str]
) -> None:
    tree(tmp_path, "x/a.jpg")
    (tmp_path / "x" / "link").symlink_to(tmp_path)
    passed_over: list[str] = []
    selection = Selection(recursive=recursive, include=("*.png",))
    list(find_files([tmp_path / "x"], selection, passed_over=lambda path, is_link: passed_over.append(path)))
    assert [os.path.basename(path) for path in sorted(passed_over)] == (told or ["a.jpg"])


@pytest.mark.parametrize(("path", "plain"), [("./a//b", "a/b"), ("a/.", "a/"), ("a//", "a/"), ("a/./b", "a/b")])
def test_a_plain_path_says_the_same_in_fewer_words(path: str, plain: str) -> None:
    assert sources.plain(path.replace("/", os.sep)) == plain.replace("/", os.sep)


@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_named_file_falls_to_the_same_shard_however_it_is_spelt(part: int) -> None:
    for number in range(20):
        spellings = [f"{number}.jpg", f"./{number}.jpg", f".//{number}.jpg"]
        assert len(list(find_files(spellings, Selection(shard=(part, 3))))) in (0, len(spellings))
