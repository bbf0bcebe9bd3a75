"""How far a command is, for people who watch it."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], unit: str, *, quiet: bool, total: int | None = None) -> Iterator[T]:
    """Passes on the items, with a bar on standard error if that is a terminal, and not to be quiet.

    Args:
        items: anything.
        unit: what they are, in the plural.
        quiet: whether there is to be no bar in any case.
        total: how many they are, where that is known.
    """
    if quiet or not sys.stderr.isatty():
        return iter(items)

    from tqdm import tqdm  # which takes its time, and nobody would see it

    return iter(tqdm(items, total=total, unit=f" {unit}", leave=False))
