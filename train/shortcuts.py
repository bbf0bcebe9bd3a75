"""How far the class can be told without looking for disease: baselines that need no network.

A property of the data, not of a model: what these reach, a network can reach in the same way. Only texture is that of
the lungs too, where disease changes it as well as the machine does.
"""

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumoscan import decode, metrics
from pneumoscan.metrics import Interval
from train import dataset, stress
from train.dataset import Sample
from train.errors import DatasetError
from train.texture import describe_texture

SIDE = 28
"""Side of the small version whose pixels are looked at: a frame of 7 % is two of them wide."""
CORNER = 4
"""Side of each corner in these pixels."""
FOLDS = 4
FEWEST = 100
"""With fewer pictures, or one class alone, nothing is said."""


class Shortcut(NamedTuple):
    """What one baseline reaches.

    Attributes:
        auc: out of fold; None where too few pictures, or those of one class, have what it looks at.
        pictures: how many have it.
    """

    auc: Interval | None
    pictures: int


def shortcuts(samples: list[Sample], pixels: NDArray[np.uint8], sizes: NDArray[np.floating]) -> dict[str, Shortcut]:
    """Logistic regressions, each on one thing that should not tell pneumonia, over patient-wise folds.

    Args:
        samples: N pictures' labels and groups.
        pixels: uint8 [N, H, W].
        sizes: float [N, 2], original width and height in pixels; not a number where unknown.

    Returns:
        By what was looked at: `size` (width, height, their ratio), `frame` and `corners` (pixels of a small version),
        `texture` (see `train.texture`).
    """
    small = dataset.resize(pixels, SIDE) / 255
    corners = np.zeros((SIDE, SIDE), bool)
    for rows in (slice(CORNER), slice(-CORNER, None)):
        for columns in (slice(CORNER), slice(-CORNER, None)):
            corners[rows, columns] = True
    return {
        "size": _measure(samples, np.column_stack([sizes, sizes[:, 0] / sizes[:, 1]])),
        "frame": _measure(samples, small[:, stress.ring(SIDE)]),
        "corners": _measure(samples, small[:, corners]),
        "texture": _measure(samples, describe_texture(pixels)),
    }


def _measure(samples: list[Sample], features: NDArray[np.floating]) -> Shortcut:
    known = np.flatnonzero(np.isfinite(features).all(1))
    if len(known) < FEWEST:
        return Shortcut(None, len(known))
    here = [samples[position] for position in known]
    truth = np.array([sample.target > 0 for sample in here])
    folds = dataset.deal_groups(here, FOLDS, seed=0)
    if dataset.lack_a_class(folds, truth):
        return Shortcut(None, len(known))
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        features[known],
        truth,
        cv=PredefinedSplit(folds),
        method="predict_proba",
    )[:, 1]
    groups = [sample.group for sample in here]
    return Shortcut(metrics.bootstrap(lambda at: metrics.roc_auc(truth[at], scores[at]), groups), len(known))


def read_sizes(samples: list[Sample], table: Path | None) -> NDArray[np.floating]:
    """Original sizes, float [N, 2], width and height in pixels; not a number where unknown.

    Args:
        samples: N pictures.
        table: a CSV with the columns name (of the file), original_width and original_height, which may be empty;
            None for the sizes of the files, which say nothing when all are the same.

    Raises:
        DatasetError: the table cannot be read so.
    """
    if table is not None:
        named = _read_table(table)
        names = Counter(sample.path.name for sample in samples)
        if repeated := [name for name, count in names.items() if count > 1 and name in named]:
            raise DatasetError(f"{table} goes by the names of files, but several are called {repeated[0]}")
        return np.array([named.get(name, (np.nan, np.nan)) for name in (sample.path.name for sample in samples)])
    sizes = np.empty((len(samples), 2))
    for position, sample in enumerate(samples):
        picture = decode.decode(sample.path.read_bytes(), SIDE)  # which knows how it is to be turned
        sizes[position] = picture.width, picture.height
    return sizes if len(np.unique(sizes, axis=0)) > 1 else np.full_like(sizes, np.nan)


def _read_table(table: Path) -> dict[str, tuple[float, float]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            return {
                row["name"]: (float(row["original_width"] or "nan"), float(row["original_height"] or "nan"))
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{table} cannot be read as a table of name, original_width and original_height: {error!r}"
        ) from error
