"""Which pictures there are to train on: classes, patient groups, splits, duplicates, leaks, folds, and their pixels.

What a picture shows and whose it is, `pneumoscan.labels` tells. Knows nothing of networks.
"""

import csv
import hashlib
import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from pneumoscan import decode
from pneumoscan.card import CLASSES
from pneumoscan.labels import TOLD, LabelError, Labelled, OtherFiles, read_labels
from pneumoscan.records import Label, Subtype
from train.doubts import in_doubt
from train.errors import DatasetError

SOURCE_SIZE = 224
"""Side at which pictures are kept for training, so that crops of them still have detail."""
SPLITS = ("train", "val", "test")
COLUMNS = ("path", "label", "subtype", "group", "split")
"""Columns of a CSV that are used."""
SOME_PNEUMONIA = len(CLASSES)
"""Label beside the indices into `CLASSES`: a pneumonia of which nobody knows whether bacteria or viruses cause it."""
LABELS = (*CLASSES, "pneumonia of unknown kind")
"""Names of all labels."""
_KINDS = {None: SOME_PNEUMONIA, Subtype.BACTERIAL: 1, Subtype.VIRAL: 2}


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: where it lies.
        target: index into `CLASSES`, or `SOME_PNEUMONIA`, by its label.
        group: patient, as far as that is known; pictures of one group never part.
        split: `train`, `val` or `test` where the data set says so, else empty.
        doubtful: it is a pneumonia, but which kind its label does not tell (see `train.doubts`).
    """

    path: Path
    target: int
    group: str
    split: str = ""
    doubtful: bool = False


def read_samples(source: Path, others: OtherFiles | None = None) -> list[Sample]:
    """Reads a `chest_xray` folder or a CSV as `pneumoscan.labels.read_labels` does, and which split each picture is of.

    Every picture needs a label. In a folder, the split is the nearest folder above a
    picture, below the named one, that is called train, val or test, of all pictures or of none; in a CSV it is the
    column `split`, if there is one.
    A picture whose patient is not known is a patient of its own.

    Args:
        source: the folder or CSV.
        others: as of `read_labels`.

    Raises:
        DatasetError: nothing usable there, or a row or name that cannot be understood.
    """
    try:
        labelled, unlabelled = read_labels(source, others)
    except LabelError as error:
        raise DatasetError(str(error)) from error
    if unlabelled:
        raise DatasetError(
            f"{unlabelled[0]}: has no label, neither by a folder NORMAL or PNEUMONIA above it nor in a CSV"
        )
    if not labelled:
        raise DatasetError(f"{source}: no {'JPEG or PNG pictures found' if source.is_dir() else 'rows'}")
    splits = _find_splits(labelled, source) if source.is_dir() else _read_splits(source)
    return [_to_sample(each, split, source) for each, split in zip(labelled, splits, strict=True)]


def _to_sample(each: Labelled, split: str, source: Path) -> Sample:
    group = _own_group(each.path, source) if each.group == each.path else each.group
    path = Path(each.path)
    target = 0 if each.label is Label.NORMAL else _KINDS[each.subtype]
    return Sample(path, target, group, split, doubtful=in_doubt(path, each.subtype))


def labels_of(samples: Iterable[Sample]) -> NDArray[np.intp]:
    """What is known of each of N pictures, [N]: the index into `CLASSES`, or `SOME_PNEUMONIA`."""
    return np.array([SOME_PNEUMONIA if sample.doubtful else sample.target for sample in samples], np.intp)


def tells_kind(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of N labels, as of `labels_of`, is a pneumonia of known kind."""
    told: NDArray[np.bool_] = (labels > 0) & (labels != SOME_PNEUMONIA)
    return told


def classes_told(labels: NDArray[np.integer]) -> dict[str, NDArray[np.bool_]]:
    """The classes that N labels tell apart, by name, with which of them are of each, bool [N].

    They are `CLASSES`, or normal and pneumonia where no label tells a kind.
    """
    if tells_kind(labels).any():
        return {name: labels == target for target, name in enumerate(CLASSES)}
    return {CLASSES[0]: labels == 0, "pneumonia": labels > 0}


def _find_splits(labelled: Sequence[Labelled], source: Path) -> list[str]:
    """The split of each picture in a folder: all have one, or none."""
    splits = []
    for each in labelled:
        folders = Path(each.path).relative_to(source).parts[:-1]
        splits.append(next((part.lower() for part in reversed(folders) if part.lower() in SPLITS), ""))
    if "" in splits and any(splits):
        raise DatasetError(
            f"{labelled[splits.index('')].path} lies in no folder {', '.join(SPLITS)}, as others do: rename its "
            "folder, or leave the splits out"
        )
    return splits


def _read_splits(source: Path) -> list[str]:
    """The split in each row of a CSV that `read_labels` has read."""
    with source.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.DictReader(file, restval="", skipinitialspace=True)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if rows.fieldnames.count("split") > 1:
            raise DatasetError(f"{source} has several columns split")
        splits = []
        for row in rows:
            splits.append(row.get("split", "").strip().lower())
            if splits[-1] not in ("", *SPLITS):
                raise DatasetError(
                    f"{source}, line {rows.line_num}: split {row['split']!r} is none of {', '.join(SPLITS)}"
                )
        return splits


def unused_columns(source: Path) -> list[str]:
    """Names in the header of a CSV that mean nothing here, which may be misspelt; none of a folder."""
    if source.is_dir():
        return []
    with source.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        names = [name.strip() for name in csv.DictReader(file, skipinitialspace=True).fieldnames or ()]
    return [name for name in names if name and name not in COLUMNS]


def without_patient(samples: Iterable[Sample], source: Path) -> list[Sample]:
    """Of what `read_samples` read from `source`, the pictures that are patients of their own."""
    return [each for each in samples if each.group == _own_group(str(each.path), source)]


def _own_group(path: str, source: Path) -> str:
    """The group of a picture whose patient is not known."""
    return os.path.relpath(path, source) if source.is_dir() else path


def load_pixels(samples: Sequence[Sample], size: int) -> NDArray[np.uint8]:
    """Decodes every picture as scanning does.

    Returns:
        uint8 [N, size, size], grey.

    Raises:
        DatasetError: pictures that cannot be decoded, the first of them named.
    """
    pixels = np.empty((len(samples), size, size), np.uint8)

    def load(index: int) -> str:
        path = samples[index].path
        try:
            pixels[index] = decode.decode(decode.read(path).data, size).pixels
        except decode.DecodeError as error:
            return f"{path}: {error}"
        return ""

    with ThreadPoolExecutor() as pool:
        wrong = [each for each in pool.map(load, range(len(samples))) if each]
    if wrong:
        more = [f"{len(wrong):,} pictures cannot be read"] if len(wrong) > TOLD else []
        raise DatasetError("; ".join(wrong[:TOLD] + more))
    return pixels


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures uint8 [N, H, W] stretched to [N, size, size] by the same filter as `pneumoscan.decode`."""
    if pixels.shape[1:] == (size, size):
        return pixels
    shape = (size, size)
    return np.stack([np.asarray(Image.fromarray(one).resize(shape, Image.Resampling.BILINEAR)) for one in pixels])


def find_duplicates(pixels: Iterable[NDArray[np.uint8]]) -> list[list[int]]:
    """Positions of pictures whose pixels are identical, as lists of two and more."""
    seen: dict[bytes, list[int]] = defaultdict(list)
    for position, picture in enumerate(pixels):
        seen[hashlib.sha256(picture.tobytes()).digest()].append(position)
    return [positions for positions in seen.values() if len(positions) > 1]


def find_conflicts(samples: Sequence[Sample], duplicates: Iterable[Sequence[int]]) -> list[list[Sample]]:
    """The identical pictures that are labelled differently, as lists of two and more."""
    same = [[samples[position] for position in positions] for positions in duplicates]
    return [each for each in same if _contradict({sample.target for sample in each})]


def _contradict(targets: set[int]) -> bool:
    """Whether these cannot be said of one picture. Either kind may be said of what another calls a pneumonia."""
    return len(targets) > 1 and (0 in targets or len(targets - {SOME_PNEUMONIA}) > 1)


def merge_groups(samples: Sequence[Sample], duplicates: Iterable[Sequence[int]]) -> list[Sample]:
    """Puts the groups that share an identical picture into one, so that no fold can hold a copy of another's."""
    parent = {sample.group: sample.group for sample in samples}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    for first, *others in duplicates:
        for other in others:
            parent[root(samples[other].group)] = root(samples[first].group)
    return [replace(sample, group=root(sample.group)) for sample in samples]


def find_leaks(samples: Iterable[Sample]) -> dict[str, set[str]]:
    """Groups that appear in more than one split, with those splits. Merge duplicates first to see these too."""
    splits: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        splits[sample.group].add(sample.split)
    return {group: where for group, where in splits.items() if len(where) > 1}


def assign_folds(samples: Sequence[Sample], count: int, seed: int) -> NDArray[np.int64]:
    """Fold of each sample, int64 [N] from 0 to `count` - 1: whole groups, classes in equal shares.

    Raises:
        DatasetError: a fold would have no picture of some class (see `classes_told`), to be measured on or for the
            others to learn from.
    """
    classes = classes_told(np.array([sample.target for sample in samples]))
    groups = np.array([sample.group for sample in samples])
    for name, members in classes.items():
        patients = len(np.unique(groups[members]))
        if patients < count:
            fewer = "; fewer folds need fewer (--folds of fit)" if patients >= 2 else ""
            unnamed = "; or name the kind of no pneumonia" if name in CLASSES[1:] else ""
            raise DatasetError(
                f"too few patients have {name} pictures: {patients}; {count} folds need {count} of them or more"
                f"{fewer}{unnamed}"
            )
    folds = deal_groups(samples, count, seed)
    for name, members in classes.items():
        if len(np.unique(folds[members])) < count:
            raise DatasetError(
                f"too few patients have {name} pictures: not each of {count} folds could get one; "
                "use fewer (--folds of fit)"
            )
    return folds


def lack_a_class(folds: NDArray[np.integer], truth: NDArray[np.bool_]) -> bool:
    """Whether outside some fold all pictures are of one class, so that nothing can be fitted to the others.

    Args:
        folds: [N], in which each picture is held out.
        truth: bool [N], whether it shows pneumonia.
    """
    return any(len(np.unique(truth[folds != fold])) < 2 for fold in np.unique(folds))


def deal_groups(samples: Sequence[Sample], count: int, seed: int) -> NDArray[np.int64]:
    """As `assign_folds`, but a fold may lack a class."""
    targets = [sample.target for sample in samples]
    groups = [sample.group for sample in samples]
    folds = np.empty(len(samples), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # of unknown kind there may be few
        for fold, (_, held_out) in enumerate(splitter.split(targets, targets, groups)):
            folds[held_out] = fold
    return folds


def digest(samples: Sequence[Sample], pixels: NDArray[np.uint8], folds: NDArray[np.int64] | None = None) -> str:
    """SHA-256 (hexadecimal) over targets, pixels, and the fold of each if they are given, whatever the order or place
    of the files.
    """
    of_folds = [b""] * len(samples) if folds is None else [int(fold).to_bytes(4, "big") for fold in folds]
    each = sorted(
        hashlib.sha256(bytes([sample.target]) + picture.tobytes()).digest() + of_fold
        for sample, picture, of_fold in zip(samples, pixels, of_folds, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()
