"""A path table is a dictionary, whatever the paths hold."""

import os
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan.path_table import PathTable

PATHS = st.one_of(st.text(st.characters()), st.binary().map(os.fsdecode))
STEPS = st.lists(st.tuples(st.sampled_from(["setdefault", "set", "get"]), PATHS))


def test_it_stays_in_memory_where_there_is_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with closing(PathTable()) as table:
        for number in range(20_000):
            table[f"{number:0100}"] = number
        assert [file for (_, _, file) in table._database.execute("PRAGMA database_list")] == [""]
        assert not [each for each in open_files() if "etilqs" in each]
        assert table.get(f"{7:0100}") == 7


def open_files() -> list[str]:
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("needs Linux")
    return [os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if os.path.lexists(f"{folder}/{name}")]


@given(STEPS)
def test_it_answers_as_a_dictionary_does(steps: list[tuple[str, str]]) -> None:
    known: dict[str, int] = {}
    with closing(PathTable()) as table:
        for number, (step, path) in enumerate(steps):
            if step == "setdefault":
                assert table.setdefault(path, number) == known.setdefault(path, number)
            elif step == "set":
                table[path] = known[path] = number
            assert table.get(path) == known.get(path)
