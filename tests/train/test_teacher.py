from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train import dataset
from train.errors import FitError
from train.fit import fit, parts
from train.fitted import Fitted
from train.graph import Read, Seen
from train.settings import Settings
from train.teacher import fingerprint, load_teachers

SETTINGS = Settings(size=32, folds=2, epochs=1, blinding_epochs=0, batch_size=4, network="lite0-3")

RUNS = ("one", "other")


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
    with pytest.raises(FitError, match=rf"the teacher {run} cannot teach this fit: .*other pictures or labels"):
        load_teachers([run], samples, pixels + 1, SETTINGS)


@pytest.mark.parametrize(
    ("part", "teaching"),
    [
        ("fold1", ["one fold1", "other fold1"]),
        ("all", [f"{run} {part}" for run in RUNS for part in parts(2)]),
    ],
)
def test_each_batch_is_taught_by_one_of_the_networks_that_may_teach(
    part: str, teaching: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{run} {part}" for run in RUNS for part in parts(2)]

    def reader(fitted: Fitted, part: str) -> Read:
        level = float(names.index(f"{fitted.run.name} {part}"))
        return lambda images: Seen(np.tile(np.float32([level, 0, 0]), (len(images), 1)), images[:, 0, :1])

    monkeypatch.setattr(Fitted, "reader", reader)
    monkeypatch.setattr(Fitted, "weights", lambda fitted, part: {})
    runs = [tmp_path / name for name in RUNS]
    for run in runs:
        (run / "all").mkdir(parents=True)
        torch.save({"settings": asdict(SETTINGS)}, run / "all" / "weights.pt")
    samples = [dataset.Sample(Path(f"{k}.png"), k % 3, f"patient{k}") for k in range(12)]
    teach = load_teachers(runs, samples, np.zeros((12, 48, 48), np.uint8), SETTINGS)(part)

    def teachers(seed: int) -> list[str]:
        generator = torch.Generator().manual_seed(seed)
        said = [teach(torch.zeros(2, 48, 48), generator).log() for _ in range(60)]
        return [names[round(float(each[0, 0] - each[0, 1]))] for each in said]

    assert sorted(set(teachers(0))) == sorted(teaching)
    assert teachers(0) == teachers(0)
    assert teachers(0) != teachers(1)


@pytest.mark.parametrize("part", ["fold1", "all"])
def test_a_teacher_is_another_one_where_any_of_its_networks_is(tmp_path: Path, part: str) -> None:
    for name in ("fold0", "fold1", "all"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.pt").write_bytes(name.encode())
    before = fingerprint([tmp_path])
    assert fingerprint([tmp_path]) == before
    (tmp_path / part / "weights.pt").write_bytes(b"others")
    assert fingerprint([tmp_path]) != before


def test_an_unfinished_teacher_is_told(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="is not finished"):
        fingerprint([tmp_path])
