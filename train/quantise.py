"""A model file with 8-bit convolutions, made of one in float32: smaller, and faster where processors have such sums.

Only the network's convolutions, and what lies between them, are in 8 bits. Scaling, classifier, calibration, heatmap
and outlier score stay as they are, but see maps that were rounded. Rounding makes a distance larger for any picture, so
that the parts of the outlier score get a new median and 99th percentile (see `train.gate.Gate`).
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from pneumoscan.card import METADATA_KEY, Card
from pneumoscan.model import Model
from pneumoscan.runtime import onnxruntime
from train import dataset, stress
from train.alter import ALTERATIONS, mild
from train.cost import needed
from train.errors import ExportError

CALIBRATION = 256
"""Pictures by which the range of each map is found, plain and as many stressed."""
CHECKED = 512
"""Other pictures on which both models are compared, plain and as many stressed."""
SEED = 3
BATCH = 16
BETWEEN = ("Add", "Clip", "Conv", "Relu")
"""What is done in 8 bits. Clip and Relu cost nothing then: they become the range of their map. Depthwise convolutions
are among them: one in float32 between maps in 8 bits has its weights rounded by ONNX Runtime, and not by channel."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the quantised model is from the other one, over pictures that did not calibrate it.

    Attributes:
        largest, mean: of the difference between the probabilities of pneumonia.
        same_label: share of the pictures with the same label at the card's threshold.
        same_review: share that is in the review band, and unfamiliar, with both or with neither.
        same_refusal: share that both refuse, or neither.
        refused: share of the same pictures, altered in all ways (see `train.alter`), that each model refuses.
    """

    largest: float
    mean: float
    same_label: float
    same_review: float
    same_refusal: float
    refused: tuple[float, float]


def sample(pixels: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures to calibrate on and others to compare on, drawn the same way each time.

    Args:
        pixels: uint8 [N, S, S], of the training data.
        size: side at which the model scans.

    Returns:
        Two sets uint8 [M, size, size]: each picture plain, and stressed.
    """
    drawn = np.random.default_rng(SEED).permutation(len(pixels))[: CALIBRATION + CHECKED]
    parts = np.split(drawn, [min(CALIBRATION, len(drawn) // 2)])
    first, second = (
        np.concatenate([dataset.resize(pixels[places], size), stress.stress(pixels[places], size, SEED, places)])
        for places in parts
    )
    return first, second


def quantise(source: Model, images: NDArray[np.uint8], path: Path, *, reduce_range: bool = True) -> Card:
    """Writes the model with 8-bit convolutions: static, weights by output channel, in the form QDQ.

    Weights are signed, maps unsigned. Processors with VNNI (and those of ARM with dot products) add such products in
    32 bits. Older ones with AVX2 or AVX-512 add pairs of them in 16 bits, which overflows in silence, so that the same
    file scores otherwise there; weights of 7 bits cannot overflow, and are the same numbers everywhere.

    Args:
        source: a model in float32.
        images: uint8 [N, S, S] at its input size, to calibrate on.
        path: the `.onnx` file.
        reduce_range: weights have 7 bits.

    Returns:
        The card that went into the file: that of the source, with what the golden pictures score now. Its figures are
        still those of the source.

    Raises:
        ExportError: the source has nothing to quantise.
    """
    names = _convolutional(onnx.load(source.path))
    if not names:
        raise ExportError(f"{source.path} has no convolutions in float32")
    partial = path.with_name(f".{path.name}.partial")
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder) / "prepared.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(source.path, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            quantised,
            _Batches(images),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=reduce_range,
            nodes_to_quantize=names,
        )
        result = onnx.load(quantised)
    _rescale_gate(result, images)
    card = source.card
    card = replace(
        card,
        name=f"{card.name}-int8",
        threshold_method=f"{card.threshold_method}, by {card.name} in float32, of which the figures are too",
    )
    _save(result, card, partial)
    card = replace(card, golden=_golden(Model(partial, "cpu")))
    _save(result, card, partial)
    partial.replace(path)
    return card


def compare(source: Model, quantised: Model, images: NDArray[np.uint8]) -> Difference:
    """Scores pictures, uint8 [N, S, S], with both models."""
    both, card = (source, quantised), source.card
    one, other = [_scores(model, images) for model in both]
    difference = np.abs(one.probabilities - other.probabilities)
    low, high = card.review_band
    limits = [np.inf if limit is None else limit for limit in (card.unfamiliar_threshold, card.outlier_threshold)]

    altered = np.concatenate(
        [alter(images[k :: len(ALTERATIONS)], SEED) for k, alter in enumerate(ALTERATIONS.values())]
    )
    refused = [float((_scores(model, altered).outliers > limits[1]).mean()) for model in both]

    def share_alike(judge: Callable[[_Scores], NDArray[np.bool_]]) -> float:
        return float((judge(one) == judge(other)).mean())

    return Difference(
        largest=float(difference.max()),
        mean=float(difference.mean()),
        same_label=share_alike(lambda scores: scores.probabilities >= card.threshold),
        same_review=share_alike(
            lambda scores: (
                ((scores.probabilities >= low) & (scores.probabilities <= high)) | (scores.outliers > limits[0])
            )
        ),
        same_refusal=share_alike(lambda scores: scores.outliers > limits[1]),
        refused=(refused[0], refused[1]),
    )


class _Scores(NamedTuple):
    """Of N pictures: probabilities of pneumonia and outlier scores, float32 [N]."""

    probabilities: NDArray[np.float32]
    outliers: NDArray[np.float32]


def _scores(model: Model, images: NDArray[np.uint8]) -> _Scores:
    found = [model.predict(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    outliers = [
        np.zeros(len(each.probabilities)) if each.outlier_scores is None else each.outlier_scores for each in found
    ]
    return _Scores(np.concatenate([each.probabilities[:, 1:].sum(1) for each in found]), np.concatenate(outliers))


class _Batches(quantization.CalibrationDataReader):
    """Hands out pictures, a batch at a time."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._starts = iter(range(0, len(images), BATCH))
        self._images = images

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, or None after the last."""
        start = next(self._starts, None)
        return None if start is None else {"images": self._images[start : start + BATCH]}


def _convolutional(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that make maps [N, C, H, W] on the way to the probabilities."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    stored = {each.name for each in graph.initializer}
    maps = {each.name for each in graph.value_info if len(each.type.tensor_type.shape.dim) == 4}
    on_the_way = [node for node in needed(graph, ["probabilities"]) if node.output[0] in maps]
    if not any(node.op_type == "Conv" and node.input[1] in stored for node in on_the_way):
        return []  # it has none, or they are in 8 bits already
    return [node.name for node in on_the_way if node.op_type in BETWEEN]


def _rescale_gate(model: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
    """Sets the gate's medians and spreads, where there is a gate, so that these pictures score as they should.

    Args:
        model: quantised.
        images: uint8 [N, S, S], chest X-rays that the gate may know, plain and stressed; they are also mildly changed.
    """
    stored = {each.name: each for each in model.graph.initializer}
    scaling = next((node for node in model.graph.node if "gate.medians" in node.input), None)
    if scaling is None:
        return
    revealing = onnx.ModelProto()
    revealing.CopyFrom(model)
    revealing.graph.output.append(
        onnx.helper.make_tensor_value_info(scaling.input[0], onnx.TensorProto.FLOAT, ["N", 2])
    )
    session = onnxruntime.InferenceSession(revealing.SerializeToString(), providers=["CPUExecutionProvider"])
    views = np.concatenate([images, mild(images[: len(images) // 2], SEED)])
    batches = (views[start : start + BATCH] for start in range(0, len(views), BATCH))
    parts = np.concatenate([session.run([scaling.input[0]], {"images": batch})[0] for batch in batches])
    median, high = np.quantile(parts, (0.5, 0.99), axis=0).astype(np.float32)
    for name, value in {"gate.medians": median, "gate.spreads": high - median}.items():
        stored[name].CopyFrom(onnx.numpy_helper.from_array(value, name))


def _golden(model: Model) -> tuple[dict[str, Any], ...]:
    """The card's golden pictures with what they score now."""
    return tuple(
        each | {"probabilities": [round(float(p), 6) for p in model.predict(picture).probabilities[0]]}
        for each, (picture, _) in zip(model.card.golden, model.card.golden_pictures(), strict=True)
    )


def _save(model: onnx.ModelProto, card: Card, path: Path) -> None:
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
