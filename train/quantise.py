"""A model file with 8-bit convolutions, made of one in float32: smaller, and faster where processors have such sums.

Only the network's convolutions, and what lies between them, are in 8 bits. Scaling, classifier, calibration, heatmap
and outlier score stay as they are, but see maps that were rounded. Rounding makes a distance larger for any picture, so
that the parts of the outlier score are scaled anew (see `train.gate.Gate`); and temperature and offsets bring the
probabilities back to how they were distributed (see `train.align`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from pneumoscan.card import METADATA_KEY, Card
from pneumoscan.metrics import Interval
from pneumoscan.model import Model
from train import dataset, stress
from train.align import align_rounded
from train.alter import ALTERATIONS, mild
from train.calibrate import Calibration
from train.errors import ExportError
from train.graph import runner
from train.rounding import BATCH, rounded

CALIBRATION = 256
"""Pictures by which the range of each map is found, plain and as many stressed."""
CHECKED = 512
"""Other pictures on which both models are compared, plain and as many stressed."""
SEED = 3


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
    first, second = (views(pixels, places, size) for places in parts)
    return first, second


def views(pixels: NDArray[np.uint8], places: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
    """The pictures at these places, plain and then stressed, uint8 [2 M, size, size]."""
    return np.concatenate([dataset.resize(pixels[places], size), stress.stress(pixels[places], size, SEED, places)])


def quantise(
    source: Model,
    images: NDArray[np.uint8],
    path: Path,
    *,
    reduce_range: bool = True,
    figures: Mapping[str, Interval] | None = None,
) -> Card:
    """Writes the model with 8-bit convolutions (see `train.rounding`).

    Args:
        source: a model in float32.
        images: uint8 [N, S, S] at its input size, to calibrate on.
        path: the `.onnx` file.
        reduce_range: weights have 7 bits.
        figures: what was measured of networks in 8 bits (see `train.change`), for the card.

    Returns:
        The card that went into the file: that of the source, with what the golden pictures score now, and no figures
        but the given ones. Those of the source do not hold for it.

    Raises:
        ExportError: the source has nothing to quantise.
    """
    result = rounded(onnx.load(source.path), "probabilities", images, reduce_range=reduce_range)
    if result is None:
        raise ExportError(f"{source.path} has no convolutions in float32")
    before = onnx.load(source.path)
    _rescale_gate(result, before, images)
    _realign(result, before, images)
    card = source.card
    card = replace(
        card,
        name=f"{card.name}-int8",
        threshold_method=f"{card.threshold_method}, by {card.name} in float32",
        figures={
            name: (round(each.value, 4), round(each.low, 4), round(each.high, 4))
            for name, each in (figures or {}).items()
        },
    )
    partial = path.with_name(f".{path.name}.partial")
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


def _rescale_gate(model: onnx.ModelProto, source: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
    """Sets the gate's medians and spreads, where there is a gate, so that these pictures score as they did.

    Args:
        model: quantised.
        source: in float32.
        images: uint8 [N, S, S], chest X-rays, plain and stressed; they are also mildly changed.
    """
    scaling = next((node for node in model.graph.node if "gate.medians" in node.input), None)
    if scaling is None:
        return
    views = np.concatenate([images, mild(images[: len(images) // 2], SEED)])
    quantiles = []
    for each in (source, model):
        revealing = onnx.ModelProto()
        revealing.CopyFrom(each)
        revealing.graph.output.append(
            onnx.helper.make_tensor_value_info(scaling.input[0], onnx.TensorProto.FLOAT, ["N", 2])
        )
        quantiles.append(np.quantile(runner(revealing, [scaling.input[0]])(views)[0], (0.5, 0.99), axis=0))
    stored = {each.name: each for each in model.graph.initializer}
    median, spread = (onnx.numpy_helper.to_array(stored[f"gate.{name}"]) for name in ("medians", "spreads"))
    goal = (quantiles[0] - median) / spread
    spread = (quantiles[1][1] - quantiles[1][0]) / (goal[1] - goal[0])
    for name, value in {"gate.medians": quantiles[1][0] - spread * goal[0], "gate.spreads": spread}.items():
        stored[name].CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float32), name))


def _realign(model: onnx.ModelProto, source: onnx.ModelProto, images: NDArray[np.uint8]) -> None:
    """Divides and shifts what goes into each softmax, so that probabilities are distributed as those of the source.

    Args:
        model: quantised. Without a softmax nothing is done.
        source: in float32.
        images: uint8 [N, S, S], such as both will scan.
    """
    before, after = (
        np.log(np.maximum(runner(each, ["probabilities"])(images)[0], np.finfo(np.float32).tiny))
        for each in (source, model)
    )
    found = align_rounded(Calibration(1.0, (0.0, 0.0, 0.0), 0.5, (0.5, 0.5)), before, after)
    graph = onnx.shape_inference.infer_shapes(model).graph
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in (*graph.value_info, *graph.output)}
    for place, node in reversed(list(enumerate(model.graph.node))):
        if node.op_type != "Softmax":
            continue
        given, name = node.input[0], f"{node.output[0]}.aligned"
        offsets = np.array(found.offsets, np.float32).reshape(-1, *[1] * (ranks[node.output[0]] - 2))
        for key, value in {"temperature": np.array(found.temperature, np.float32), "offsets": offsets}.items():
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, f"{name}.{key}"))
        node.input[0] = name
        steps = (
            onnx.helper.make_node("Div", [given, f"{name}.temperature"], [f"{name}.divided"]),
            onnx.helper.make_node("Add", [f"{name}.divided", f"{name}.offsets"], [name]),
        )
        for step in reversed(steps):
            model.graph.node.insert(place, step)


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
