"""The card: what a model file says of itself. Knows nothing of ONNX."""

import base64
import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pneumoscan import decode

METADATA_KEY = "pneumoscan"
"""Key in the ONNX file's `metadata_props` under which the card lies as JSON."""

CLASSES = ("normal", "bacterial", "viral")
"""Names of the classes in the order of the network's outputs."""

Golden = list[tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""Pictures, each uint8 [1, S, S], with the probabilities that they must get, float32 [3]."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says of itself.

    Attributes:
        name, version: of the model.
        input_size: side of the square input in pixels.
        resampling: filter that brings pictures to that size; `pneumoscan.decode.RESAMPLING`.
        classes: names of the outputs; `CLASSES`.
        threshold: probability of pneumonia, 0 to 1, at and above which the label is PNEUMONIA.
        threshold_method: how it was chosen, a sentence.
        review_band: lowest and highest probability between which a person must look; see `review_band_at`.
        subtype_threshold: share of a pneumonia's probability, 0.5 to 1, that a subtype needs to be claimed; at 1 none
            ever is.
        outlier_threshold: outlier score above which a picture is rejected; None where the model has no such score.
        unfamiliar_threshold: outlier score above which a person must look, at most `outlier_threshold`; None for never.
        figures: validation figures by name, each a value with the ends of its 95 % interval.
        data_sha256: digest of the training data.
        licence: of the model, with the data's attribution.
        golden: pictures (base64 PNG) with the probabilities that they must get, for a self-test.
    """

    name: str
    version: str
    input_size: int
    resampling: str
    classes: tuple[str, ...]
    threshold: float
    threshold_method: str
    review_band: tuple[float, float]
    licence: str
    data_sha256: str
    outlier_threshold: float | None = None
    unfamiliar_threshold: float | None = None
    subtype_threshold: float = 0.5
    figures: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    golden: tuple[dict[str, Any], ...] = ()

    def review_band_at(self, threshold: float) -> tuple[float, float]:
        """The review band, widened up to another threshold than the card's if that lies beyond it.

        Outside its band the model is sure of one class; where another threshold says the other, a person must look.
        """
        low, high = self.review_band
        return min(low, threshold), max(high, threshold)

    def to_json(self) -> str:
        """The card as the model file carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads a card.

        Raises:
            ValueError: a field is missing, or says what this program cannot do.
        """
        try:
            values = json.loads(text)
            card = cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})
            low, high = card.review_band
            in_range = 0 <= low <= high <= 1 and 0 <= card.threshold <= 1
            subtype_in_range = 0.5 <= card.subtype_threshold <= 1
            outlier, unfamiliar = (
                math.inf if threshold is None else threshold + 0.0
                for threshold in (card.outlier_threshold, card.unfamiliar_threshold)
            )
            classes = tuple(card.classes)
            f"{card.name}{card.version}".encode()
            limits = (card.threshold, low, high, card.subtype_threshold)
            if any(isinstance(each, bool) for each in (*limits, card.outlier_threshold, card.unfamiliar_threshold)):
                raise TypeError("a threshold is not a number")
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"the model's metadata cannot be read: {error}") from error
        if classes != CLASSES:
            raise ValueError(f"the model's classes are {card.classes}, expected {list(CLASSES)}")
        if card.resampling != decode.RESAMPLING:
            raise ValueError(f"the model wants {card.resampling!r} resampling, this version does {decode.RESAMPLING!r}")
        texts = (card.name, card.version, card.threshold_method, card.licence, card.data_sha256)
        if not (all(isinstance(text, str) for text in texts) and isinstance(card.input_size, int)):
            raise ValueError(
                "the model's name, version, threshold method, licence and data digest must be text, and its input size "
                "a number"
            )
        if math.isnan(outlier) or math.isnan(unfamiliar):
            raise ValueError("the model's outlier thresholds must be numbers")
        if not in_range:
            raise ValueError("the model's threshold and review band must lie between 0 and 1")
        if not subtype_in_range:
            raise ValueError("the model's threshold for subtypes must lie between 0.5 and 1")
        if card.unfamiliar_threshold is not None and not unfamiliar <= outlier:
            raise ValueError("the model's unfamiliar threshold must not be above its outlier threshold")
        return card

    def golden_pictures(self) -> Golden:
        """The golden pictures, decoded as those of a scan, with the probabilities that they must get.

        Raises:
            Exception: a card may hold anything there, which is no reason not to scan.
        """
        return [
            (
                decode.decode(base64.b64decode(each["png"]), self.input_size).pixels[None],
                np.asarray(each["probabilities"], np.float32).reshape(len(CLASSES)),
            )
            for each in self.golden
        ]
