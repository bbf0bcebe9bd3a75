"""The ONNX file of a finished fit: calibrated, self-describing, and proven to score as the trained network does."""

import base64
import math
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from pneumoscan import models
from pneumoscan.card import CLASSES, METADATA_KEY, Card
from pneumoscan.decode import RESAMPLING
from pneumoscan.metrics import Interval
from pneumoscan.model import Model
from train.calibrate import SENSITIVITY, Calibration
from train.errors import ExportError
from train.gate import Gate, Limits
from train.gate import score as outlier_scores
from train.graph import Read, to_onnx
from train.network import Network
from train.quantise import quantised
from train.settings import WEIGHTS_LICENCE

OUTPUTS = ("probabilities", "heatmap", "outlier_score")
TOLERANCE = 1e-4
"""Largest difference allowed between the file and the network, in any probability or heatmap cell (in float32; heatmaps
are not read in 8 bits), or as a share of any outlier score above 1."""
BATCHES = (1, 7, 32)
LICENCE = "{weights}. Network: {origin}, Apache-2.0. Training data: {source}"


class Scorer(nn.Module):
    """The network as it is scanned with: uint8 in, calibrated probabilities, heatmap and outlier score out."""

    def __init__(self, network: Network, calibration: Calibration, gate: Gate) -> None:
        super().__init__()
        self.network = network
        self.gate = gate
        self.temperature = calibration.temperature
        self.register_buffer("offsets", torch.tensor(calibration.offsets))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores a batch.

        Args:
            images: uint8 [N, H, W], grey.

        Returns:
            Probabilities float32 [N, 3], the probability of pneumonia of each cell, float32 [N, h, w], and outlier
            scores float32 [N].
        """
        seen = self.network.read(images)
        probabilities = (seen.logits / self.temperature + self.offsets).softmax(1)
        heatmap = 1 - (seen.cells / self.temperature + self.offsets[:, None, None]).softmax(1)[:, 0]
        return probabilities, heatmap, self.gate(seen.texture)


def export(
    network: Network,
    read: Read,
    calibration: Calibration,
    gate: Gate,
    limits: Limits,
    figures: dict[str, Interval],
    images: NDArray[np.uint8],
    path: Path,
    *,
    range_images: NDArray[np.uint8] | None = None,
    name: str,
    version: str,
    data_sha256: str,
    origin: str,
    source: str,
    licence: str = WEIGHTS_LICENCE,
) -> Card:
    """Writes the model file.

    Args:
        network: trained, on the CPU.
        read: the same as it is to be scanned with (see `train.fitted.Fitted.reader`).
        calibration, gate, limits: of what `read` says; baked into graph and card.
        figures: validation figures for the card.
        images: uint8 [32 or more, S, S], real pictures at scanning size to compare on.
        path: the `.onnx` file.
        range_images: for convolutions in 8 bits, as in `read`, the pictures uint8 [N, S, S] to find ranges of maps by.
        name, version: of the model.
        data_sha256: digest of the training data.
        origin: of the network, a phrase (see `train.network.describe`).
        source: of the training data, with its licence; sentences.
        licence: of the weights; its name.

    Returns:
        The card that went into the file.

    Raises:
        ExportError: the file and the network differ by more than `TOLERANCE`.
    """
    scorer = Scorer(network, calibration, gate).eval()
    size = images.shape[1]
    card = Card(
        name=name,
        version=version,
        input_size=size,
        resampling=RESAMPLING,
        classes=CLASSES,
        threshold=shortened(calibration.threshold, math.floor),
        threshold_method=f"highest with sensitivity {SENSITIVITY} on plain and stressed out-of-fold pictures together",
        review_band=(
            shortened(calibration.review_band[0], math.floor),
            shortened(calibration.review_band[1], math.ceil),
        ),
        subtype_threshold=round(calibration.subtype_threshold, 2),
        licence=LICENCE.format(weights=licence, origin=origin, source=source),
        data_sha256=data_sha256,
        outlier_threshold=_up(limits.rejected),
        unfamiliar_threshold=_up(limits.unfamiliar),
        figures={
            key: (round(figure.value, 6), round(figure.low, 6), round(figure.high, 6))
            for key, figure in figures.items()
        },
        golden=(),
    )
    model = to_onnx(scorer, size, list(OUTPUTS))
    partial = path.with_name(f".{path.name}.partial")
    try:
        card = _write(model, card, _in_pytorch(scorer), images, partial)
        if range_images is not None:
            model = quantised(model, "probabilities", range_images)
            card = _write(model, card, _as_read(read, calibration, gate), images, partial)
        models.put(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return card


def shortened(probability: float, whole: Callable[[float], int]) -> float:
    """A probability to four digits of what it lacks to 0 or 1, whichever is nearer.

    To a number of decimals, thresholds of classes that are far apart would become 0 or 1, and verdicts others.

    Args:
        probability: 0 to 1.
        whole: `math.floor`, so that what reaches it still does, or `math.ceil`.
    """
    nearest = min(probability, 1 - probability)
    if nearest <= 0:
        return probability
    unit = 10.0 ** min(3 - math.floor(math.log10(nearest)), 300)
    return whole(probability * unit) / unit


def _up(score: float) -> float:
    """An outlier score to four decimals, so that no more lie beyond."""
    return math.ceil(score * 1e4) / 1e4


Score = Callable[[NDArray[np.uint8]], dict[str, NDArray[np.floating]]]
"""From pictures uint8 [N, S, S] to outputs of the file, by name."""


def _in_pytorch(scorer: Scorer) -> Score:
    def score(images: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
        with torch.inference_mode():
            outputs = scorer(torch.from_numpy(images))
        return {name: each.numpy() for name, each in zip(OUTPUTS, outputs, strict=True)}

    return score


def _as_read(read: Read, calibration: Calibration, gate: Gate) -> Score:
    """What calibration and gate make of a network that is read; it has no heatmap."""

    def score(images: NDArray[np.uint8]) -> dict[str, NDArray[np.floating]]:
        seen = read(images)
        return {
            "probabilities": calibration.probabilities(seen.logits),
            "outlier_score": outlier_scores(gate, seen.texture),
        }

    return score


def _write(model: onnx.ModelProto, card: Card, score: Score, images: NDArray[np.uint8], path: Path) -> Card:
    """Writes the file, holds it against what is to be scored, and returns the card with its golden pictures."""
    golden = _golden_pictures(card.input_size)
    card = replace(
        card,
        golden=tuple(
            {"png": _png(picture), "probabilities": [round(float(p), 6) for p in probabilities]}
            for picture, probabilities in zip(golden, score(golden)["probabilities"], strict=True)
        ),
    )
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    _compare(score, path, images)
    return card


def _compare(score: Score, path: Path, images: NDArray[np.uint8]) -> None:
    """Holds the file, as scanning loads it, against what it must score, on real pictures in several batch sizes."""
    model = Model(path, "cpu")
    for count in BATCHES:
        batch = images[:count]
        predicted = model.predict(batch, heatmaps=True)
        found = dict(zip(OUTPUTS, (predicted.probabilities, predicted.heatmaps, predicted.outlier_scores), strict=True))
        for name, expected in score(batch).items():
            difference = (np.abs(np.asarray(found[name]) - expected) / np.maximum(np.abs(expected), 1)).max()
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"{name} of the file and of the network differ by {difference:.2g} on a batch of {count}"
                )
    difference = model.self_test()
    if difference is None or not difference <= TOLERANCE:
        raise ExportError("the file fails its own self-test")


def _golden_pictures(size: int) -> NDArray[np.uint8]:
    """Pictures drawn by formula, uint8 [3, size, size]: two dark ovals on grey, a ramp, and a grid."""
    y, x = np.mgrid[0:size, 0:size] / size
    ovals = sum(np.exp(-(((x - centre) / 0.14) ** 2 + ((y - 0.5) / 0.3) ** 2) * 2) for centre in (0.3, 0.7))
    pictures = [190 - 150 * ovals, 255 * (x + y) / 2, 128 + 100 * np.sin(40 * x) * np.sin(40 * y)]
    return np.stack(pictures).clip(0, 255).astype(np.uint8)


def _png(picture: NDArray[np.uint8]) -> str:
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
