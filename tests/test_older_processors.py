"""Products of 8 bits on processors without VNNI, whose instructions gdb hides from ONNX Runtime."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper, save

from pneumoscan import models

CHANNELS, SIDE = 16, 8
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
        answer = model.predict(noise).probabilities
    print("answer", file.split("/")[-1], answer.tobytes().hex())
"""


def convolution(path: Path, weight: int, *, depthwise: bool) -> Path:
    """A file with one convolution in 8 bits, all of its weights alike."""
    shape = (CHANNELS, 1, 3, 3) if depthwise else (CHANNELS, CHANNELS, 1, 1)
    given = {
        "scale": np.float32(1),
        "zero": np.uint8(0),
        "weights": np.full(shape, weight, np.int8),
        "weight_scale": np.ones(CHANNELS, np.float32),
        "weight_zero": np.zeros(CHANNELS, np.int8),
        "out_scale": np.float32(255 * weight * np.prod(shape[1:]) / 200),
    }
    inputs = ["images", "scale", "zero", "weights", "weight_scale", "weight_zero", "out_scale", "zero"]
    node = helper.make_node("QLinearConv", inputs, ["out"], group=CHANNELS if depthwise else 1)
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


@pytest.mark.skipif(platform.machine() != "x86_64" or not has_vnni(), reason="there is no VNNI to hide")
@pytest.mark.skipif(not (shutil.which("gdb") and shutil.which("objdump")), reason="gdb or objdump is missing")
@pytest.mark.parametrize("kind", ["avx512", "avx2"])
def test_only_8_bits_outside_depthwise_convolutions_overflow_and_shipped_models_have_none(
    tmp_path: Path, kind: str
) -> None:
    files = [
        convolution(tmp_path / "pointwise-127.onnx", 127, depthwise=False),
        convolution(tmp_path / "pointwise-64.onnx", 64, depthwise=False),
        convolution(tmp_path / "depthwise-127.onnx", 127, depthwise=True),
    ]
    (program := tmp_path / "program.py").write_text(PROGRAM)
    here = answers(program, *files, *models.names())
    there = answers("-m", "tests.benchmarks.older_processor", kind, program, *files, *models.names())
    assert len(here) == len(files) + len(models.names())
    assert {name for name in here if here[name] != there[name]} == {"pointwise-127.onnx"}
