"""What pictures really show, from folders and names or from a CSV, and which record is of which. Looks at no pixels."""

import csv
import os
import re
import textwrap
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import TextIOWrapper
from pathlib import PurePath
from typing import Any, NamedTuple

from pneumoscan import png
from pneumoscan.records import Label, Record, Status, Subtype
from pneumoscan.sources import Selection, find_files

_PATIENT = re.compile(r"person\d+|(?:(?:NORMAL2-)?IM|BACTERIA|VIRUS|NORMAL)-\d+(?=-\d)", re.IGNORECASE)
"""The patient in file names of the two published copies of Kermany's data; the picture's number follows."""
_KIND = re.compile("(bacteria)|virus", re.IGNORECASE)
_WORDS = {
    "normal": (Label.NORMAL, None),
    "pneumonia": (Label.PNEUMONIA, None),
    **dict.fromkeys(("bacterial", "bacteria"), (Label.PNEUMONIA, Subtype.BACTERIAL)),
    **dict.fromkeys(("viral", "virus"), (Label.PNEUMONIA, Subtype.VIRAL)),
}

TOLD = 3
"""Wrong lines of a CSV, or suffixes of other files, that are reported one by one."""


class LabelError(ValueError):
    """Labels that cannot be read or understood; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture whose diagnosis is known.

    Attributes:
        path: where it lies.
        label: what it shows.
        subtype: of a pneumonia, where that is known.
        group: patient, as far as that is known, else the path. In a folder `Person1` is `person1`, in the spelling that
            came first.
    """

    path: str
    label: Label
    subtype: Subtype | None
    group: str


class OtherFiles:
    """What a labelled folder holds besides its pictures, as a phrase; empty where there is nothing.

    Attributes:
        drawings: files that this program has drawn.
        repeated: pictures that links led to once more.
    """

    def __init__(self) -> None:
        self._suffixes: Counter[str] = Counter()
        self.drawings = self.repeated = 0

    def add(self, path: str, _: bool = False) -> None:
        """Counts a file that is no picture by its name."""
        self._suffixes[PurePath(path).suffix or "no suffix"] += 1

    def __str__(self) -> str:
        parts = []
        if count := self._suffixes.total():
            most = ", ".join(f"{number:,} of {suffix}" for suffix, number in self._suffixes.most_common(TOLD))
            parts.append(f"{count:,} file{'' if count == 1 else 's'} not named as pictures ({most})")
        if self.drawings:
            parts.append(f"{self.drawings:,} drawn by this program")
        if self.repeated:
            parts.append(f"{self.repeated:,} to which a link leads once more")
        return ", ".join(parts)


def read_labels(source: str | os.PathLike[str], others: OtherFiles | None = None) -> tuple[list[Labelled], list[str]]:
    """Reads a folder or a CSV.

    In a folder, where links to folders are followed, but no picture counts twice, a picture's label is the nearest
    folder above it, the named one included, that is called NORMAL or PNEUMONIA, whatever the case; `bacteria` or
    `virus` in its name is the subtype, and `person<N>` or the like the patient, whatever the case. A CSV has the
    columns `path` and `label` (normal, pneumonia, bacterial, viral), and perhaps `subtype` and `group`; its relative
    paths start at its own folder.

    Args:
        source: the folder or CSV.
        others: takes what else is in a folder.

    Returns:
        What has a label, and the paths of what has none, both in the order of the walk or the rows.

    Raises:
        LabelError: neither folder nor readable CSV, or a row that cannot be understood.
    """
    source = os.fspath(source)
    if os.path.isdir(source):
        return _part(_read_folder(source, others or OtherFiles()))
    try:
        return _part(_read_csv(source))
    except OSError as error:
        raise LabelError(f"cannot read {source}: {error.strerror}") from error
    except csv.Error as error:
        raise LabelError(f"{source} is no CSV: {error}") from error


def _part(found: Iterable[tuple[str, Labelled | None]]) -> tuple[list[Labelled], list[str]]:
    labelled: list[Labelled] = []
    unlabelled: list[str] = []
    for path, each in found:
        if each is None:
            unlabelled.append(path)
        else:
            labelled.append(each)
    return labelled, unlabelled


def _read_folder(source: str, others: OtherFiles) -> list[tuple[str, Labelled | None]]:
    """Each picture once, by its own path if a link led to it before."""
    spelt: dict[str, str] = {}
    real, top = cache(os.path.realpath), os.path.realpath(source)
    found: list[tuple[str, Labelled | None]] = []
    at: dict[tuple[str, Label | None], int] = {}  # under two labels a picture is a contradiction, and stays
    for path in find_files([source], Selection(follow_links=True), passed_over=others.add):
        if path.lower().endswith(".png") and png.basis_of(path) is not None:
            others.drawings += 1
            continue
        labelled = _from_place(path, source, spelt)
        folder, name = os.path.split(path)
        place = os.path.realpath(path) if os.path.islink(path) else os.path.join(real(folder), name)
        known = at.setdefault((place, None if labelled is None else labelled.label), len(found))
        if known == len(found):
            found.append((path, labelled))
            continue
        others.repeated += 1
        if place == os.path.join(top, os.path.relpath(path, source)):  # no link led here
            found[known] = path, labelled
    return found


def _from_place(path: str, source: str, spelt: dict[str, str]) -> Labelled | None:
    # The last part counts too: it is a directory where that could not be listed, and is then an error of its class.
    below = PurePath(os.path.basename(os.path.abspath(source)), os.path.relpath(path, source)).parts
    label = next((Label(part.upper()) for part in reversed(below) if part.upper() in list(Label)), None)
    if label is None:
        return None
    name = os.path.basename(path)
    patient = _PATIENT.match(name)
    kinds = {Subtype.BACTERIAL if kind[1] else Subtype.VIRAL for kind in _KIND.finditer(name)}
    subtype = kinds.pop() if label is Label.PNEUMONIA and len(kinds) == 1 else None
    return Labelled(path, label, subtype, spelt.setdefault(patient[0].lower(), patient[0]) if patient else path)


def _read_csv(source: str) -> list[tuple[str, Labelled | None]]:
    found: list[tuple[str, Labelled | None]] = []
    wrong: list[str] = []
    first: dict[str, int] = {}
    with open(source, "rb") as data, TextIOWrapper(data, "utf-8-sig", "surrogateescape", newline="") as file:
        if data.peek(2)[:2] in (BOM_UTF16_LE, BOM_UTF16_BE):
            raise LabelError(f"{source} is in UTF-16: save it as UTF-8")
        rows = csv.DictReader(file, restval="", strict=True, skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        _check_header(rows.fieldnames, source)
        for row in rows:
            path = os.path.join(os.path.dirname(source), row["path"])
            try:
                found.append((path, _from_row(row, path)))
                if (line := first.setdefault(os.path.abspath(path), rows.line_num)) != rows.line_num:
                    raise LabelError(f"the path is there again; first in line {line}")
            except LabelError as error:
                wrong.append(f"{source}, line {rows.line_num}: {error}")
    if wrong:
        more = [f"{len(wrong):,} lines are wrong"] if len(wrong) > TOLD else []
        raise LabelError("; ".join(wrong[:TOLD] + more))
    return found


def _check_header(columns: Sequence[str], source: str) -> None:
    if "model_sha256" in columns:  # they have a path and a label too, with which all would seem right
        raise LabelError(f"{source} holds results of a scan, not labels: those tell what pictures really show")
    if not {"path", "label"} <= set(columns):
        named = ", ".join(map(repr, columns))
        has = textwrap.shorten(f"the columns {named}", 300, placeholder=" …") if columns else "no columns"
        advice = "; separate them with commas" if len(columns) == 1 and re.search("[;\t]", columns[0]) else ""
        raise LabelError(
            f"{source} needs the columns path and label, and may have subtype and group; it has {has}{advice}"
        )
    for name in ("path", "label", "subtype", "group"):
        if columns.count(name) > 1:
            raise LabelError(f"{source} has several columns {name}")


def _from_row(row: Mapping[str | None, Any], path: str) -> Labelled | None:
    """What a row says; None if it has no label."""
    if any(row.get(None, ())):
        raise LabelError("there are more fields than columns; a path with a comma needs quotes")
    if not row["path"]:
        raise LabelError("the path is empty")
    word, kind = row["label"].strip().lower(), row.get("subtype", "").strip().lower()
    if not word:
        return None
    if word not in _WORDS:
        raise LabelError(f"label {row['label']!r} is none of {', '.join(_WORDS)}")
    label, subtype = _WORDS[word]
    if kind not in ("", word):
        named = _WORDS.get(kind, (None, None))[1]
        if named is None:
            raise LabelError(f"subtype {row['subtype']!r} is none of bacterial, viral")
        if label is Label.NORMAL or subtype not in (None, named):
            raise LabelError(f"label {row['label']!r} contradicts subtype {row['subtype']!r}")
        subtype = named
    return Labelled(path, label, subtype, row.get("group", "").strip() or path)


class Pair(NamedTuple):
    """A labelled picture and what was said of it."""

    labelled: Labelled
    record: Record

    @property
    def is_wrong(self) -> bool:
        """Whether the verdict of a scored picture is not what it shows."""
        return self.record.label is not None and self.record.label != self.labelled.label


@dataclass(frozen=True, slots=True)
class Pairing:
    """What became of every label and every record.

    Attributes:
        scored, rejected, failed: pairs by the record's status; only the scored ones have figures.
        without_record: labelled pictures that no record is of.
        without_label: paths of records and pictures that no label is of.
        repeated: records that a later one of the same path has replaced.
    """

    scored: list[Pair]
    rejected: list[Pair]
    failed: list[Pair]
    without_record: list[Labelled]
    without_label: list[str]
    repeated: int

    @property
    def labelled(self) -> list[Labelled]:
        """Everything with a label."""
        return [each.labelled for each in self.scored] + self.unscored

    @property
    def unscored(self) -> list[Labelled]:
        """Everything with a label and without a score."""
        return [each.labelled for each in (*self.rejected, *self.failed)] + self.without_record


def pair(labels: Iterable[Labelled], records: Iterable[Record], unlabelled: Iterable[str] = ()) -> Pairing:
    """Puts labels and records of the same path together; relative paths start at the current directory.

    Args:
        labels: each path once.
        records: of one path the last counts, as in a scan that was resumed.
        unlabelled: paths without a label, to be told with those of records.
    """
    of_path: dict[str, Record] = {}
    repeated = 0
    for record in records:
        path = os.path.abspath(record.path)
        repeated += path in of_path
        of_path[path] = record
    by_status: dict[Status, list[Pair]] = {status: [] for status in Status}
    without_record = []
    for labelled in labels:
        found = of_path.pop(os.path.abspath(labelled.path), None)
        if found is None:
            without_record.append(labelled)
        else:
            by_status[Status(found.status)].append(Pair(labelled, found))
    left = {os.path.abspath(path): path for path in unlabelled} | {key: each.path for key, each in of_path.items()}
    scored, rejected, failed = (by_status[status] for status in (Status.OK, Status.REJECTED, Status.ERROR))
    return Pairing(scored, rejected, failed, without_record, list(left.values()), repeated)
