"""Which labels of the published data say bacterial or viral without telling which.

In the order in which its pictures are numbered, there are long runs whose kinds of pneumonia networks cannot tell at
all (AUC 0.5), while they can tell those of all others (AUC 0.94). It seems that kinds were not named in the same way
throughout. Those of the runs are nothing to learn from, nor to measure by; that they are pneumonias is not in doubt.
"""

import re
from pathlib import PurePath
from typing import NamedTuple

from pneumoscan.records import Subtype

SPELT = {"bacteria": Subtype.BACTERIAL, "virus": Subtype.VIRAL}
"""Kinds of pneumonia as names spell them."""
_NAME = re.compile(r"person\d+_(bacteria|virus)_(\d+)\.jpe?g", re.IGNORECASE)


class Run(NamedTuple):
    """Pictures of one kind by the numbers at the end of their names, from the first to the last."""

    kind: str
    first: int
    last: int


DOUBTFUL = (
    Run("bacteria", 3283, 4872),
    Run("virus", 150, 266),
    Run("virus", 556, 646),
    Run("virus", 799, 969),
    Run("virus", 1256, 1485),
    Run("virus", 1853, 2058),
    Run("virus", 2447, 2603),
)
"""The runs of Kermany's `train` folder, which `train.find_doubts` found by three fits that learned from all labels."""


def in_doubt(path: PurePath, subtype: Subtype | None) -> bool:
    """Whether the kind of a picture, if that is the one in its name, lies in a run."""
    kind, number = read_name(path)
    return SPELT.get(kind) == subtype and any(run.kind == kind and run.first <= number <= run.last for run in DOUBTFUL)


def read_name(path: PurePath) -> tuple[str, int]:
    """Kind and number in the name of a picture, such as virus and 7; empty and 0 where it has none."""
    found = _NAME.fullmatch(path.name)
    return (found[1].lower(), int(found[2])) if found else ("", 0)
