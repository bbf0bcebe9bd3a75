from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

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
