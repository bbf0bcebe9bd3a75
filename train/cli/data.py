"""The labelled pictures that a command was given, and what is said of them on standard error."""

from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from pneumoscan.labels import OtherFiles
from train import dataset
from train.dataset import Sample
from train.errors import DatasetError


def training_data(data: Path) -> tuple[list[Sample], NDArray[np.uint8]]:
    """Samples of the training split (all, where the data set has no splits), identical pictures in one group, and
    their pixels. What is doubtful about them goes to standard error.
    """
    samples = [sample for sample in read_samples(data) if sample.split in ("", "train")]
    if not samples:
        raise DatasetError(f"{data}: no pictures in the split train")
    pixels = dataset.load_pixels(samples, dataset.SOURCE_SIZE)
    tell_doubts(samples, data)
    duplicates = dataset.find_duplicates(pixels)
    if conflicts := dataset.find_conflicts(samples, duplicates):
        first = ", ".join(str(sample.path) for sample in conflicts[0])
        warn(
            f"{len(conflicts):,} sets of identical pictures are labelled differently, the first: {first}; "
            "python -m train index tells all"
        )
    return dataset.merge_groups(samples, duplicates), pixels


def read_samples(data: Path) -> list[Sample]:
    """All samples of DATA; what lies there and is no picture goes to standard error."""
    others = OtherFiles()
    samples = dataset.read_samples(data, others)
    if str(others):
        warn(f"{data}: left out: {others}")
    return samples


def tell_doubts(samples: list[Sample], data: Path) -> None:
    """Tells what of DATA was perhaps meant otherwise than it was read."""
    if unused := dataset.unused_columns(data):
        used = ", ".join(dataset.COLUMNS)
        warn(f"{data}: columns that are not used: {', '.join(map(repr, unused))}; used are {used}")
    if unknown := dataset.without_patient(samples, data):
        warn(
            f"{len(unknown):,} of {len(samples):,} pictures have no known patient and count as patients of their own: "
            "then pictures of one patient may part, which flatters figures; a CSV names patients in its column group"
        )
    ill = [sample for sample in samples if sample.target]
    if unnamed := sum(sample.target == dataset.SOME_PNEUMONIA for sample in ill):
        warn(
            f"{unnamed:,} of {len(ill):,} pneumonias are neither bacterial nor viral by name or subtype: their "
            "labels teach only that they are pneumonias"
            + (", and the model will name no subtype" if unnamed == len(ill) else "")
        )


def warn(message: str) -> None:
    """Tells of something on standard error."""
    typer.echo(f"train: {message}", err=True)
