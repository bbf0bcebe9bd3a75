from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from train import dataset
from train.errors import FitError
from train.fit import fit, parts
from train.settings import Settings
from train.teacher import fingerprint, load_teachers

SETTINGS = Settings(size=32, folds=2, epochs=1, blinding_epochs=0, batch_size=4, network="compact")


def test_a_fit_learns_from_the_teacher_of_its_own_folds(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    samples = dataset.read_samples(make_dataset(6))
    pixels = dataset.load_pixels(samples, 48)
    run = tmp_path / "teacher"
    fit(samples, pixels, SETTINGS, run, device="cpu", resume=False)

    teacher = load_teachers([run], samples, pixels, SETTINGS)
    views = torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0)) * 255
    said = {part: teacher(part)(views, torch.Generator()) for part in ("fold0", "fold1")}
    assert all(each.shape == (3, 3) and torch.allclose(each.sum(1), torch.ones(3)) for each in said.values())
    assert not torch.allclose(said["fold0"], said["fold1"])

    everybody, generator = teacher("all"), torch.Generator().manual_seed(0)
    opinions = [everybody(views, generator) for _ in range(30)]
    assert len({tuple(each.flatten().tolist()) for each in opinions}) == len(parts(2))
    for each in said.values():
        assert any(torch.equal(each, opinion) for opinion in opinions)
    again = torch.Generator().manual_seed(0)
    assert all(torch.equal(each, everybody(views, again)) for each in opinions)

    taught = replace(SETTINGS, teacher_share=0.75, teacher=fingerprint([run]))
    fit(samples, pixels, taught, tmp_path / "pupil", device="cpu", resume=False, only=["fold0"], teacher=teacher)
    alone = replace(taught, teacher_share=0.0)
    fit(samples, pixels, alone, tmp_path / "alone", device="cpu", resume=False, only=["fold0"], teacher=teacher)
    weights = [
        torch.load(tmp_path / name / "fold0" / "weights.pt", weights_only=True)["weights"]["backbone._fc.weight"]
        for name in ("pupil", "alone")
    ]
    assert not torch.equal(*weights)

    with pytest.raises(FitError, match="held out other patients"):
        load_teachers([run], samples, pixels, replace(SETTINGS, folds=3))
    with pytest.raises(FitError, match="was made with other data"):
        load_teachers([run], samples, pixels + 1, SETTINGS)("fold0")


def test_an_unfinished_teacher_is_told(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="is not finished"):
        fingerprint([tmp_path])
