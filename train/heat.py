"""Where a model's heat lies: the share of it in the middle of pictures, which frames and markers do not reach."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pneumoscan import heatmap, metrics
from pneumoscan.labels import LabelError, read_labels
from pneumoscan.metrics import Interval
from pneumoscan.model import ModelError
from pneumoscan.records import Label, Status
from pneumoscan.scan import Scanner
from train.errors import AuditError

CENTRE = 0.8
"""Share of each side that is the middle; heat that is the same everywhere has the square of it there."""


@dataclass(frozen=True, slots=True)
class Heat:
    """Of the pictures that a model calls PNEUMONIA, the mean share of heat in the middle.

    Attributes:
        pictures: how many.
        heat: of the cells' probabilities.
        evidence: of the cells' log odds as far as they speak for pneumonia, which is what pictures show
            (see `pneumoscan.heatmap`); pictures without any are left out.
        failed: of those that could not be scored, the path and why.
    """

    pictures: int
    heat: Interval
    evidence: Interval
    failed: list[str]


def measure(model: str | Path, data: Path) -> Heat:
    """Scans labelled pictures and measures; intervals are bootstrapped over patients.

    Args:
        model: with heatmaps; name of a shipped one, or an ONNX file.
        data: a folder or CSV as of `pneumoscan.labels.read_labels`, which tells patients.

    Raises:
        AuditError: model or data cannot be used, or nothing is called PNEUMONIA.
    """
    try:
        scanner = Scanner(model, device="cpu")
        known, _ = read_labels(data)
    except (ModelError, LabelError) as error:
        raise AuditError(str(error)) from error
    if not scanner.model.has_heatmap:
        raise AuditError(f"{model} has no heatmaps")
    groups, shares, failed = [], [], []
    seen = scanner.scan_pictures([each.path for each in known], walk=False)
    for labelled, (record, _, heat) in zip(
        known, tqdm(seen, total=len(known), unit="picture", disable=None), strict=True
    ):
        if record.status is Status.ERROR:
            failed.append(f"{record.path}: {record.message}")
        if record.label is Label.PNEUMONIA and heat is not None:
            groups.append(labelled.group)
            shares.append((central_share(heat), central_share(heatmap.evidence(heat))))
    if not shares:
        broken = f"; {len(failed):,} could not be scored, the first: {failed[0]}" if failed else ""
        raise AuditError(f"{model} calls no picture of {data} PNEUMONIA{broken}")
    in_heat, in_evidence = (
        metrics.bootstrap(lambda at, column=column: float(np.nanmean(column[at])), groups)  # type: ignore[misc]
        for column in np.array(shares).T
    )
    return Heat(len(shares), in_heat, in_evidence, failed)


def central_share(heat: NDArray[np.float32]) -> float:
    """The share, 0 to 1, of heat [h, w], none of it negative, in the middle of the picture; of cells across its edge by
    area. Not a number where there is no heat.
    """
    down, right = (_inside(count) for count in heat.shape)
    total = float(heat.sum(dtype=np.float64))
    return float(down @ heat @ right) / total if total else float("nan")


def _inside(cells: int) -> NDArray[np.float64]:
    """Of each of so many cells side by side, the share that lies in the middle."""
    ends = np.linspace(0, 1, cells + 1).clip((1 - CENTRE) / 2, (1 + CENTRE) / 2)
    return np.diff(ends) * cells
