from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

if find_spec("torch") is None:  # `make test-train` installs it
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[[int], Path]:
    """Makes a chest_xray folder of noise in which brightness tells the class, in patients of two pictures."""

    def make(patients: int) -> Path:
        random = np.random.default_rng(0)
        for patient in range(patients):
            for picture in range(2):
                kinds = {
                    f"NORMAL/IM-{patient:04}-{picture:04}.jpeg": 60,
                    f"PNEUMONIA/person{patient}_bacteria_{picture}.jpeg": 130,
                    f"PNEUMONIA/person{1000 + patient}_virus_{picture}.jpeg": 200,
                }
                for name, brightness in kinds.items():
                    path = tmp_path / "chest_xray" / "train" / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    noise = random.integers(-40, 40, (48, 48)) + brightness
                    Image.fromarray(noise.astype(np.uint8)).save(path)
        return tmp_path / "chest_xray"

    return make


@pytest.fixture(scope="session", autouse=True)
def small_network() -> Iterator[None]:
    """The network `lite0-3`, which is fitted and exported in a third of the time that `compact` takes."""
    from train.settings import NETWORKS

    NETWORKS["lite0-3"] = 3
    yield
    del NETWORKS["lite0-3"]


GRAPHS: dict[tuple[bytes, ...], bytes] = {}


@pytest.fixture(autouse=True)
def graphs_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs by which fits are read are made once for all tests: for each, PyTorch takes seconds."""
    import onnx

    from train import fitted
    from train.graph import reading_graph

    def once(network: Any, size: int) -> onnx.ModelProto:
        weights = network.state_dict()
        key = (
            str(size).encode(),
            *(name.encode() for name in weights),
            *(each.numpy().tobytes() for each in weights.values()),
        )
        if key not in GRAPHS:
            GRAPHS[key] = reading_graph(network, size).SerializeToString()
        return onnx.load_from_string(GRAPHS[key])

    monkeypatch.setattr(fitted, "reading_graph", once)
