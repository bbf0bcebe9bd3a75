"""Which pictures there are: labels, subtypes, patient groups, duplicates, leaks, folds, and their pixels.

Owns the reading of a labelled folder or CSV. Knows nothing of networks.
"""

import csv
import hashlib
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
from pneumoscan.labels import FILE_NAMES
from train.errors import DatasetError

CLASSES = ("normal", "bacterial", "viral")
"""Class names in the order of the network's outputs."""

SOURCE_SIZE = 224
"""Side at which pictures are kept for training, so that crops of them still have detail."""
SPLITS = ("train", "val", "test")
_SUFFIXES = {".jpeg", ".jpg", ".png"}
_CLASS_WORDS = {
    "normal": 0,
    "bacteria": 1,
    "bacterial": 1,
    "virus": 2,
    "viral": 2,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: where it lies.
        target: index into `CLASSES`.
        group: patient, as far as the name tells; pictures of one group never part.
        split: `train`, `val` or `test` where the data set says so, else empty.
    """

    path: Path
    target: int
    group: str
    split: str = ""


def read_samples(source: Path) -> list[Sample]:
    """Reads a `chest_xray` folder or a CSV with columns path, label, and optionally group, subtype, split.

    In a folder each picture lies below a folder named NORMAL or PNEUMONIA, and its name tells subtype and patient.
    In a CSV, `label` is one of normal, bacterial, viral (or PNEUMONIA with `subtype`), relative paths start at the
    CSV's folder, and a picture without `group` is a patient of its own.

    Raises:
        DatasetError: nothing usable there, or a row or name that cannot be understood.
    """
    if source.is_dir():
        samples = [
            _from_name(path)
            for path in sorted(source.rglob("*"))
            if path.suffix.lower() in _SUFFIXES and not _is_clutter(path.relative_to(source))
        ]
    elif source.is_file():
        samples = _from_csv(source)
    else:
        raise DatasetError(f"{source}: no such folder or CSV file")
    if not samples:
        raise DatasetError(f"{source}: no JPEG or PNG pictures found")
    return samples


def _is_clutter(path: Path) -> bool:
    """Whether a file is hidden or was put there by macOS, as in the published archive."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _from_name(path: Path) -> Sample:
    folders = [part.upper() for part in path.parts[:-1]]
    label = next((part for part in reversed(folders) if part in ("NORMAL", "PNEUMONIA")), None)
    if label is None:
        raise DatasetError(f"{path}: expected below a folder named NORMAL or PNEUMONIA")
    match = next((found for name in FILE_NAMES if (found := name.match(path.name))), None)
    kind = match["kind"].lower() if match else ""
    if label == "PNEUMONIA" and kind not in ("bacteria", "virus"):
        raise DatasetError(f"{path}: the name tells neither bacteria nor virus; name it in a CSV instead")
    return Sample(
        path=path,
        target=0 if label == "NORMAL" else _CLASS_WORDS[kind],
        group=match["group"] if match else path.stem,
        split=next((part.lower() for part in reversed(folders) if part.lower() in SPLITS), ""),
    )


def _from_csv(source: Path) -> list[Sample]:
    with source.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"path", "label"} <= set(rows.fieldnames or ()):
            raise DatasetError(f"{source}: needs the columns path and label, and may have group, subtype and split")
        samples = []
        for row in rows:
            word = (row["label"] or "").strip().lower()
            if word == "pneumonia":
                word = (row.get("subtype") or "").strip().lower()
            if word not in _CLASS_WORDS:
                raise DatasetError(f"{source}, line {rows.line_num}: label {row['label']!r} is not one of {CLASSES}")
            path = source.parent / row["path"]
            group, split = (row.get("group") or str(path)).strip(), (row.get("split") or "").strip().lower()
            samples.append(Sample(path, _CLASS_WORDS[word], group, split))
        return samples


def load_pixels(samples: Sequence[Sample], size: int) -> NDArray[np.uint8]:
    """Decodes every picture as scanning does.

    Returns:
        uint8 [N, size, size], grey.

    Raises:
        DatasetError: a picture that cannot be decoded, named.
    """
    pixels = np.empty((len(samples), size, size), np.uint8)

    def load(index: int) -> None:
        path = samples[index].path
        try:
            pixels[index] = decode.decode(decode.read(path).data, size).pixels
        except decode.DecodeError as error:
            raise DatasetError(f"{path}: {error}") from error

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(load, range(len(samples))):
            pass
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
    """Fold of each sample, int64 [N] from 0 to `count` - 1: whole groups, classes in equal shares."""
    targets = [sample.target for sample in samples]
    groups = [sample.group for sample in samples]
    folds = np.empty(len(samples), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    for fold, (_, held_out) in enumerate(splitter.split(targets, targets, groups)):
        folds[held_out] = fold
    return folds


def digest(samples: Sequence[Sample], pixels: NDArray[np.uint8]) -> str:
    """SHA-256 (hexadecimal) over targets and pixels, whatever the order or place of the files."""
    each = sorted(
        hashlib.sha256(bytes([sample.target]) + picture.tobytes()).digest()
        for sample, picture in zip(samples, pixels, strict=True)
    )
    return hashlib.sha256(b"".join(each)).hexdigest()
