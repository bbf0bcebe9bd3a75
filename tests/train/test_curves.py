from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from train.curves import draw_curves, read_curves
from train.errors import FitError


def write_log(folder: Path, values: dict[int, float]) -> None:
    with SummaryWriter(str(folder)) as log:
        for step, value in values.items():
            log.add_scalar("loss/train", value, step)


def test_a_resumed_fit_counts_the_steps_that_it_did_again_once(tmp_path: Path) -> None:
    write_log(tmp_path, {0: 1.0, 20: 0.75, 40: 0.5})
    write_log(tmp_path, {20: 0.625, 40: 0.375, 60: 0.25})
    curve = read_curves(tmp_path)["loss/train"]
    assert curve[:, 0].tolist() == [0, 20, 40, 60]
    assert curve[-1, 1] == 0.25


def test_curves_become_a_picture(tmp_path: Path) -> None:
    for part in ("fold0", "all"):
        write_log(tmp_path / part, {step: 1 / (1 + step) for step in range(0, 400, 20)})
    with Image.open(BytesIO(draw_curves(tmp_path, ["fold0", "all"]))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (990, 660)
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_curves_of_the_same_logs_are_the_same_bytes(tmp_path: Path) -> None:
    write_log(tmp_path / "all", {0: 1.0, 20: 0.5})
    assert draw_curves(tmp_path, ["all"]) == draw_curves(tmp_path, ["all"])


def test_a_network_without_logs_is_named(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="fold7 holds no TensorBoard logs"):
        draw_curves(tmp_path, ["fold7"])
