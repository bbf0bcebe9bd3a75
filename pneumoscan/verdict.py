"""From what the network says of a picture to its record: rejected or judged, label, subtype, review. Runs nothing."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscan.card import Card
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype

DECIMALS = 6
"""Digits after the point in probabilities and scores."""
UNFAMILIAR = "unfamiliar"
"""Message of a picture that is judged, but so unlike the training pictures that a person must look."""


class Score(NamedTuple):
    """What the network says of one picture: probabilities float32 [3] by `card.CLASSES`, the outlier score, and the
    heatmap where it was asked for.
    """

    probabilities: NDArray[np.float32]
    outlier: float | None
    heatmap: NDArray[np.float32] | None


def verdict(new: Callable[..., Record], score: Score, card: Card, threshold: float) -> Record:
    """The record of a picture that was scored.

    Args:
        new: makes a record out of the fields that are added here; it knows those of file and model.
        score: of the picture.
        card: of the model.
        threshold: probability at and above which the label is PNEUMONIA, 0 to 1.
    """
    outlier = None if score.outlier is None else round(score.outlier, DECIMALS)
    if outlier is not None and card.outlier_threshold is not None and outlier > card.outlier_threshold:
        return new(
            status=Status.REJECTED,
            error=ErrorCode.NOT_A_CHEST_XRAY,
            message="does not look like a chest X-ray that the model may judge",
            outlier_score=outlier,
        )
    # Rounded before they are compared, so that label, subtype and review can be retraced from the record.
    exact: list[float] = score.probabilities.tolist()
    probability = round(exact[1] + exact[2], DECIMALS)
    normal, bacterial, viral = (round(p, DECIMALS) for p in exact)
    ill = probability >= threshold
    low, high = card.review_band_at(threshold)
    unfamiliar = outlier is not None and card.unfamiliar_threshold is not None and outlier > card.unfamiliar_threshold
    return new(
        status=Status.OK,
        label=Label.PNEUMONIA if ill else Label.NORMAL,
        probability=probability,
        p_normal=normal,
        p_bacterial=bacterial,
        p_viral=viral,
        subtype=_subtype(bacterial, viral, card.subtype_threshold) if ill else None,
        review=unfamiliar or low <= probability <= high,
        outlier_score=outlier,
        message=UNFAMILIAR if unfamiliar else None,
    )


def _subtype(bacterial: float, viral: float, threshold: float) -> Subtype | None:
    """The likelier kind of a pneumonia, or None where its share of the two probabilities is below `threshold`, or that
    is 1: of a model that cannot tell.
    """
    if threshold == 1 or max(bacterial, viral) < threshold * (bacterial + viral):
        return None
    return Subtype.BACTERIAL if bacterial >= viral else Subtype.VIRAL
