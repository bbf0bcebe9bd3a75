"""The loop in PyTorch that scans are compared with."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from pneumoscan.benchmark import pictures
from pneumoscan.benchmark.process import ProcessError, run_python
from tests.conftest import ROOT
from tests.tiny_model import SIZE, write_model

LOOP = str(ROOT / "tests" / "benchmarks" / "pytorch.py")


def test_the_loop_scores_every_picture_with_the_network_of_the_models_name(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx", name="lite0-9")
    pictures.draw(tmp_path / "pictures", 3, 60, 40)
    usage = run_python(LOOP, str(model), str(tmp_path / "pictures"), str(SIZE), "CPUExecutionProvider")
    found = json.loads(usage.stdout)
    assert found["images"] == 3
    assert 0 < found["seconds"] < usage.seconds


def test_the_loop_says_that_there_is_no_such_network(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.onnx")
    with pytest.raises(ProcessError, match="train/ knows no network tiny, only lite0"):
        run_python(LOOP, str(model), str(tmp_path), str(SIZE), "CPUExecutionProvider")
