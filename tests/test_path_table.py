"""A path table is a dictionary, whatever the paths hold."""

import os
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from pneumoscan.path_table import PathTable

PATHS = st.one_of(st.text(st.characters()), st.binary().map(os.fsdecode))
STEPS = st.lists(st.tuples(st.sampled_from(["setdefault", "set", "get"]), PATHS))


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
