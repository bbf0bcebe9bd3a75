"""What models cost: parameters, multiplications, processor time, bytes. Of what a scan without heatmaps runs.

What they are worth stands beside it, as their cards tell.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
import onnx

from pneumoscan import models
from pneumoscan.metrics import Interval
from pneumoscan.model import Model, ModelError
from pneumoscan.runtime import CPU_PROVIDER, start_session
from train.errors import AuditError

BATCH = 16
REPEATS = 25
FIGURES = {
    "plain_auc": "AUC, plain",
    "stressed_auc": "AUC, stressed",
    "stressed_specificity_at_sensitivity_90": "specificity at sensitivity 0.90, stressed",
}
"""What a card tells of patients not trained on (see `train.calibrate.out_of_fold_figures`), and titles."""
OUTPUTS = ("probabilities", "outlier_score")
"""What a scan asks for; what only a heatmap needs is neither run nor counted."""
_PASSING = ("DequantizeLinear", "Identity", "Transpose")
"""Between a weight and where it is multiplied."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one model costs.

    Attributes:
        name: as it was given.
        input_size: side of the pictures in pixels.
        parameters: numbers that Conv, Gemm and MatMul hold, those of the outlier score among them.
        macs: multiplications with addition of these for one picture.
        milliseconds: of processor time for one picture, in one thread.
        bytes: of the file.
        figures: validation figures of its card, each with the ends of its interval.
    """

    name: str
    input_size: int
    parameters: int
    macs: int
    milliseconds: float
    bytes: int
    figures: Mapping[str, tuple[float, float, float]]


def costs(names: Sequence[str | os.PathLike[str]], repeats: int = REPEATS, batch: int = BATCH) -> list[Cost]:
    """Counts, and measures in turns, so that whatever else the machine does slows all models alike.

    Args:
        names: of shipped models, or paths (see `pneumoscan.models.find`).
        repeats: runs by each model; their median is given.
        batch: pictures in a run.

    Raises:
        AuditError: a model cannot be used.
    """
    files = [models.find(name) for name in names]
    try:
        cards = [Model(file, "cpu").card for file in files]
    except ModelError as error:
        raise AuditError(str(error)) from error
    times = _milliseconds(files, [card.input_size for card in cards], repeats, batch)
    return [
        Cost(str(name), card.input_size, *count(onnx.load(file)), milliseconds, file.stat().st_size, card.figures)
        for name, file, card, milliseconds in zip(names, files, cards, times, strict=True)
    ]


def to_markdown(found: Sequence[Cost]) -> str:
    """A table, a row for each model; a figure that its card has not is a dash."""
    titles = ["input", "parameters", "MACs per picture", "CPU ms per picture", "file", *FIGURES.values()]
    head = f"| | {' | '.join(titles)} |\n|{'---|' * (1 + len(titles))}"
    rows = [
        f"| {each.name} | {each.input_size} px | {each.parameters / 1e6:.2f} M | {each.macs / 1e6:.1f} M "
        f"| {each.milliseconds:.2f} | {each.bytes / 1e6:.2f} MB | {' | '.join(_figure(each, key) for key in FIGURES)} |"
        for each in found
    ]
    return "\n".join([head, *rows])


def _figure(cost: Cost, key: str) -> str:
    return str(Interval(*cost.figures[key])) if key in cost.figures else "-"


def count(model: onnx.ModelProto) -> tuple[int, int]:
    """Parameters, and multiplications for one picture, of a model of the contract.

    Args:
        model: quantised in the form QDQ or not; is changed to a batch of one.
    """
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    shapes |= {
        each.name: tuple(dimension.dim_value for dimension in each.type.tensor_type.shape.dim)
        for each in (*graph.value_info, *graph.output)
    }
    makers = {output: node for node in graph.node for output in node.output}
    stored = {each.name for each in graph.initializer}
    weights, macs = set(), 0
    for node in needed(graph, OUTPUTS):
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        macs += _macs(node, shapes)
        for name in node.input:
            while name in makers and makers[name].op_type in _PASSING:
                name = makers[name].input[0]
            if name in stored:
                weights.add(name)
    return sum(prod(shapes[name]) for name in weights), macs


def needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that these outputs need, in the graph's order, which is that of running them."""
    wanted, found = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted.update(node.input)
            found.append(node)
    return found[::-1]


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Each number of the output is a sum of as many products as a kernel, or a row, has numbers."""
    left, right = (shapes[name] for name in node.input[:2])
    transposed = any(each.name == "transA" and each.i for each in node.attribute)
    products = prod(right[1:]) if node.op_type == "Conv" else left[0 if transposed else -1]
    return prod(shapes[node.output[0]]) * products


def _milliseconds(files: Sequence[Path], sizes: Sequence[int], repeats: int, batch: int) -> list[float]:
    """Processor time for one picture by each model."""
    sessions = [start_session(file.read_bytes(), [CPU_PROVIDER]) for file in files]
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (batch, size, size)).astype(np.uint8) for size in sizes]
    spent: list[list[float]] = [[] for _ in files]
    for _ in range(1 + repeats):
        for session, images, seconds in zip(sessions, batches, spent, strict=True):
            outputs = [each.name for each in session.get_outputs() if each.name in OUTPUTS]
            begun = time.process_time()
            session.run(outputs, {"images": images})
            seconds.append(time.process_time() - begun)
    return [median(seconds[1:]) * 1000 / batch for seconds in spent]  # the first run also reserves memory
