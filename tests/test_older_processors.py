"""Products of 8 bits on processors without VNNI, whose instructions gdb hides from ONNX Runtime."""

import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, load, numpy_helper, save

from pneumoscan import models

CHANNELS, SIDE = 24, 8
PROGRAM = """
import sys
import numpy as np
from pneumoscan.model import Model
from pneumoscan.runtime import onnxruntime

for file in sys.argv[1:]:
    if file.endswith(".onnx"):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {"images": np.full(session.get_inputs()[0].shape, 255, np.uint8)})
    else:
        model = Model(file, "cpu")
        noise = np.random.default_rng(0).integers(0, 256, (8, model.card.input_size, model.card.input_size), np.uint8)
        found = model.predict(noise)
        answer = np.concatenate([found.probabilities.ravel(), found.outlier_scores])
    print("answer", file.split("/")[-1], answer.tobytes().hex())
"""


def convolution(path: Path, weight: int, kernel: int | None = None) -> Path:
    """A file with one convolution in 8 bits, all of its weights alike; depthwise if it has a kernel."""
    shape = (CHANNELS, CHANNELS, 1, 1) if kernel is None else (CHANNELS, 1, kernel, kernel)
    given = {
        "scale": np.float32(1),
        "zero": np.uint8(0),
        "weights": np.full(shape, weight, np.int8),
        "weight_scale": np.ones(CHANNELS, np.float32),
        "weight_zero": np.zeros(CHANNELS, np.int8),
        "out_scale": np.float32(255 * weight * np.prod(shape[1:]) / 200),
    }
    inputs = ["images", "scale", "zero", "weights", "weight_scale", "weight_zero", "out_scale", "zero"]
    node = helper.make_node("QLinearConv", inputs, ["out"], group=CHANNELS if kernel else 1)
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, [1, CHANNELS, SIDE, SIDE])
    out = helper.make_tensor_value_info("out", TensorProto.UINT8, ["N", "C", "H", "W"])
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()]
    graph = helper.make_graph([node], "convolution", [images], [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    checker.check_model(model)
    save(model, path)
    return path


def answers(*arguments: str | Path) -> dict[str, str]:
    """What a program answers, by the names of what it asked."""
    command = [sys.executable, *arguments]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    lines = [line.split() for line in shown.splitlines()]
    return {words[1]: words[2] for words in lines if words[:1] == ["answer"]}


def has_vnni() -> bool:
    try:
        return "avx512_vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


@cache
def can_trace() -> bool:
    """Whether gdb and objdump are here, and may run a program; some containers forbid that."""
    if not (shutil.which("gdb") and shutil.which("objdump")):
        return False
    command = ["gdb", "-q", "-batch", "-ex", "run", "--args", sys.executable, "-c", "print('traced')"]
    return "\ntraced\n" in subprocess.run(command, check=False, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.skipif(platform.machine() != "x86_64" or not has_vnni(), reason="there is no VNNI to hide")
@pytest.mark.parametrize("kind", ["avx512", "avx2"])
def test_only_sums_of_8_bits_outside_depthwise_convolutions_overflow_and_models_score_the_same(
    tmp_path: Path, kind: str
) -> None:
    if not can_trace():
        pytest.skip("gdb or objdump is missing, or may not run programs")
    files = [
        convolution(tmp_path / "pointwise-127.onnx", 127),
        convolution(tmp_path / "pointwise-64.onnx", 64),
        convolution(tmp_path / "depthwise-3.onnx", 127, kernel=3),
        convolution(tmp_path / "depthwise-5.onnx", 127, kernel=5),
    ]
    (program := tmp_path / "program.py").write_text(PROGRAM)
    here = answers(program, *files, *models.names())
    there = answers("-m", "tests.benchmarks.older_processor", kind, program, *files, *models.names())
    assert len(here) == len(files) + len(models.names())
    assert {name for name in here if here[name] != there.get(name)} == {"pointwise-127.onnx"}


@pytest.mark.parametrize("name", models.names())
def test_shipped_models_have_8_bits_in_depthwise_convolutions_only(name: str) -> None:
    graph = load(models.file_of(name)).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    restored = {node.output[0]: stored.get(node.input[0]) for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = [restored.get(node.input[1]) for node in graph.node if node.op_type == "Conv"]
    largest = [(each.shape[1] == 1, np.abs(each.astype(int)).max()) for each in weights if each is not None]
    assert len(largest) > 20
    assert max(size for depthwise, size in largest if not depthwise) == 64
    assert max(size for depthwise, size in largest if depthwise) == 127
