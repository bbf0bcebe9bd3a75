import os
import sys
from pathlib import Path

import pytest

from pneumoscan.sources import find_files


def tree(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, *paths: str | Path) -> list[str]:
    return [os.path.relpath(path, folder) for path in find_files(paths or [folder])]


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


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.jpg"))).touch()
    assert [os.fsencode(path) for path in find_files([tmp_path])] == [os.fsencode(tmp_path) + b"/\xff\n.jpg"]
