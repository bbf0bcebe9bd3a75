"""A model of the contract whose answer can be worked out by hand: p(pneumonia) is the picture's mean brightness."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper, save

from pneumoscan.card import METADATA_KEY, Card

SIZE = 8
CARD = Card(
    name="tiny",
    version="1.2.3",
    input_size=SIZE,
    resampling="bilinear",
    classes=("normal", "bacterial", "viral"),
    threshold=0.5,
    threshold_method="by hand",
    review_band=(0.4, 0.6),
    licence="none",
    data_sha256="0" * 64,
)


def write_model(
    path: Path,
    *,
    metadata: str | None = "",
    input_type: int = TensorProto.UINT8,
    batch: str | int = "N",
    fails_above: int | None = None,
    looks_at: NDArray[np.bool_] | None = None,
    has_heatmap: bool = True,
    heatmap_type: int = TensorProto.FLOAT,
    outlier_type: int = TensorProto.FLOAT,
    outlier_axes: int = 0,
    **changes: object,
) -> Path:
    """Writes the tiny model.

    Of brightness m (0 to 1), the outputs are normal 1 - m, bacterial 0.75 m, viral 0.25 m; the outlier score is the
    darkest pixel (0 to 1).

    Args:
        path: the file.
        metadata: text instead of the card; None for no metadata at all.
        input_type, batch: of the input, to break the contract.
        fails_above: largest batch that the model can run.
        looks_at: bool [SIZE, SIZE], the pixels that m is the mean of; all unless given.
        has_heatmap: whether it has that output: the brightness of each pixel.
        heatmap_type: of that output, to break the contract.
        outlier_type, outlier_axes: of the outlier score, and how many more of one element it has, 0 or 2, likewise.
        changes: fields of the card.
    """
    images = helper.make_tensor_value_info("images", input_type, [batch, SIZE, SIZE])
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3]),
        helper.make_tensor_value_info("outlier_score", outlier_type, ["N", *[1] * outlier_axes]),
    ]
    if has_heatmap:
        outputs.append(helper.make_tensor_value_info("heatmap", heatmap_type, ["N", SIZE, SIZE]))
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "white"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["heatmap"], to=heatmap_type),
        helper.make_node("Mul", ["bright", "weights"], ["weighted"]),
        helper.make_node("ReduceMean", ["weighted", "one_two"], ["mean"], keepdims=0),
        helper.make_node("ReduceMin", ["bright", "one_two"], ["darkest"], keepdims=int(outlier_axes > 0)),
        helper.make_node("Cast", ["darkest"], ["outlier_score"], to=outlier_type),
        helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
        helper.make_node("Mul", ["column", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "start"], ["sum"]),
    ]
    looks_at = np.ones((SIZE, SIZE), bool) if looks_at is None else looks_at
    weights = (looks_at / looks_at.mean()).astype(np.float32)
    constants = [
        numpy_helper.from_array(weights, "weights"),
        helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
        helper.make_tensor("one_two", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("last", TensorProto.INT64, [1], [1]),
        helper.make_tensor("slope", TensorProto.FLOAT, [1, 3], [-1.0, 0.75, 0.25]),
        helper.make_tensor("start", TensorProto.FLOAT, [1, 3], [1.0, 0.0, 0.0]),
    ]
    if fails_above is None:
        nodes.append(helper.make_node("Identity", ["sum"], ["probabilities"]))
    else:  # a look-up that is out of bounds in larger batches
        constants.append(helper.make_tensor("allowed", TensorProto.FLOAT, [fails_above], [0.0] * fails_above))
        constants.append(helper.make_tensor("minus_one", TensorProto.INT64, [1], [-1]))
        constants.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
        nodes += [
            helper.make_node("Shape", ["images"], ["shape"]),
            helper.make_node("Gather", ["shape", "first"], ["count"]),
            helper.make_node("Add", ["count", "minus_one"], ["last_index"]),
            helper.make_node("Gather", ["allowed", "last_index"], ["zero"]),
            helper.make_node("Add", ["sum", "zero"], ["probabilities"]),
        ]
    graph = helper.make_graph(nodes, "tiny", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata or json.dumps(asdict(replace(CARD, **changes)))})
    if input_type == TensorProto.UINT8:
        checker.check_model(model)
    save(model, path)
    return path
