from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from typer.testing import CliRunner

from pneumoscan import models
from pneumoscan.model import Model
from train.cli import app
from train.cost import Cost, costs, count, to_markdown
from train.errors import AuditError
from train.network import Network


def network(*, quantised: bool = False) -> onnx.ModelProto:
    """4 x 4 pictures through 2 kernels of 3 x 3 without padding, then 8 numbers to 3; a heatmap that nobody counts."""
    tensor = helper.make_tensor_value_info
    weights = helper.make_tensor("kernels", TensorProto.FLOAT, [2, 1, 3, 3], np.zeros(18))
    stored = [
        helper.make_tensor("bias", TensorProto.FLOAT, [2], np.zeros(2)),
        helper.make_tensor("rows", TensorProto.FLOAT, [3, 8], np.zeros(24)),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("more", TensorProto.FLOAT, [5, 2, 1, 1], np.zeros(10)),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["float", "one"], ["pictures"]),
        helper.make_node("Conv", ["pictures", "kernels", "bias"], ["maps"]),
        helper.make_node("Conv", ["maps", "more"], ["heatmap"]),
        helper.make_node("Flatten", ["maps"], ["flat"]),
        helper.make_node("Gemm", ["flat", "rows"], ["probabilities"], transB=1),
    ]
    if quantised:
        weights = helper.make_tensor("eight", TensorProto.INT8, [2, 1, 3, 3], np.zeros(18, np.int8))
        stored.append(helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]))
        nodes.insert(0, helper.make_node("DequantizeLinear", ["eight", "scale"], ["kernels"]))
    outputs = [tensor("probabilities", TensorProto.FLOAT, ["N", 3]), tensor("heatmap", TensorProto.FLOAT, None)]
    graph = helper.make_graph(
        nodes, "counted", [tensor("images", TensorProto.UINT8, ["N", 4, 4])], outputs, [weights, *stored]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("quantised", [False, True])
def test_parameters_and_multiplications_are_those_of_the_scores(quantised: bool) -> None:
    parameters, macs = count(network(quantised=quantised))
    assert parameters == 2 * 9 + 2 + 8 * 3
    assert macs == 2 * 2 * 2 * 9 + 8 * 3


def test_a_shipped_model_costs_what_pytorch_multiplies_and_its_outlier_score() -> None:
    multiplied = []
    size = Model("accurate", "cpu").card.input_size
    lite0 = Network(size, pretrained=False).eval()
    for module in lite0.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(
                lambda each, _, output: multiplied.append(output.numel() * each.weight[0].numel())
            )
    with torch.inference_mode():
        lite0(torch.zeros(1, size, size))
    parameters, macs = count(onnx.load(models.find("accurate")))
    assert sum(multiplied) < macs < 1.002 * sum(multiplied)
    assert sum(each.numel() for each in lite0.parameters()) < 1.02 * parameters


def test_models_are_measured_side_by_side(tiny_model: Path) -> None:
    found = costs([tiny_model, "accurate"], repeats=1)
    card = Model("accurate", "cpu").card
    assert [(each.name, each.input_size) for each in found] == [(str(tiny_model), 8), ("accurate", card.input_size)]
    assert [each.bytes for each in found] == [tiny_model.stat().st_size, models.find("accurate").stat().st_size]
    assert found[0].macs == found[0].parameters == 0
    assert 0 <= found[0].milliseconds < found[1].milliseconds
    assert found[1].figures["plain_auc"] == card.figures["plain_auc"]


def test_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot read the model"):
        costs([tmp_path / "gone.onnx"])


def test_the_table_has_a_row_for_each_model() -> None:
    figures = {"plain_auc": (0.99, 0.98, 1.0), "stressed_specificity_at_sensitivity_90": (0.9784, 0.9698, 0.9869)}
    rows = to_markdown([Cost("a", 144, 234_567, 12_345_678, 0.4567, 1_234_567, figures)]).splitlines()
    assert rows == [
        "| | input | parameters | MACs per picture | CPU ms per picture | file "
        "| AUC, plain | AUC, stressed | specificity at sensitivity 0.90, stressed |",
        "|---|---|---|---|---|---|---|---|---|",
        "| a | 144 px | 0.23 M | 12.3 M | 0.46 | 1.23 MB | 0.990 (0.980 to 1.000) | - | 0.978 (0.970 to 0.987) |",
    ]


def test_the_command_prints_the_table(tiny_model: Path) -> None:
    result = CliRunner().invoke(app, ["cost", str(tiny_model), "--repeats", "1", "--batch", "4"])
    assert result.exit_code == 0, result.output
    assert f"| {tiny_model} | 8 px | 0.00 M | 0.0 M |" in result.output
