import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from typer.testing import CliRunner

from pneumoscan.lock import Lock
from train import dataset, saved
from train.cli import app
from train.curves import read_curves
from train.dataset import Sample, assign_folds
from train.errors import DatasetError, FitError
from train.fit import BLINDING, _batches, _load_checkpoint, averaging, averaging_alike, fit, parts
from train.fitted import open_fit
from train.goals import make_goals, make_views
from train.graph import Read, Seen
from train.network import predict_logits
from train.settings import NETWORKS, Settings, check_identity, identify
from train.teacher import fingerprint
from train.validate import out_of_fold

SETTINGS = Settings(size=32, folds=2, epochs=3, batch_size=4, network="lite0-3")


def command(data: Path, run: Path, *options: str) -> list[str | Path]:
    program = [sys.executable, "-m", "train", "fit", data, "--run", run, "--size", "32", "--folds", "2"]
    return [*program, "--epochs", "3", "--batch-size", "4", "--network", "compact", "--device", "cpu", *options]


def read(data: Path) -> tuple[list[Sample], np.ndarray]:
    samples = dataset.read_samples(data)
    return samples, dataset.load_pixels(samples, 48)


def weights(run: Path, part: str) -> dict[str, torch.Tensor]:
    return torch.load(run / part / "weights.pt", weights_only=True)["weights"]


def test_a_fit_trains_each_fold_and_everything_and_leaves_curves(
    make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    samples, pixels = read(make_dataset(6))
    run = tmp_path / "run"
    (run / "fold0").mkdir(parents=True)  # one without files is no fit
    fit(samples, pixels, SETTINGS, run, device="cpu", resume=False)
    for part in parts(2):
        assert (run / part / "weights.pt").exists()
        assert list((run / part).glob("events.out.tfevents.*"))

    fitted = open_fit(run, samples, pixels, 32)
    assert fitted.settings == SETTINGS
    logits = out_of_fold(fitted).logits
    assert logits["plain"].shape == logits["stressed"].shape == (36, 3)
    assert set(fitted.folds) == {0, 1}
    assert np.isfinite(logits["stressed"]).all()
    assert not open_fit(run, samples, pixels, 64).network("all").training

    with pytest.raises(FitError, match="pass --resume to go on, or choose another"):
        fit(samples, pixels, SETTINGS, run, device="cpu", resume=False)
    with pytest.raises(FitError, match=r"other settings \(size: 32 instead of 64\): choose"):
        fit(samples, pixels, replace(SETTINGS, size=64), run, device="cpu", resume=True)
    with pytest.raises(FitError, match="was made from other pictures or labels: choose another --run, or go back"):
        fit(samples, pixels + 1, SETTINGS, run, device="cpu", resume=True)
    with pytest.raises(FitError, match="was made from other pictures or labels: choose another --run, or go back"):
        open_fit(run, samples, pixels + 1, 32).network("fold0")
    regrouped = [replace(sample, group=str(number)) for number, sample in enumerate(samples)]
    with pytest.raises(FitError, match=r"held out other patients, since .*: choose another --run, or go back"):
        out_of_fold(open_fit(run, regrouped, pixels, 32))


def test_a_fold_learns_from_no_patient_that_it_holds_out_and_forgets_frames_in_its_last_epochs(
    make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, _ = read(make_dataset(6))
    pixels = np.broadcast_to(np.arange(36, dtype=np.uint8)[:, None, None], (36, 48, 48)).copy()  # each its own place
    settings = replace(SETTINGS, epochs=1, blinding_epochs=1, batch_size=2, balance_texture=True)
    seen: set[int] = set()
    recipes, weighed, shares = [], [], []

    def noting_views(images: torch.Tensor, goals: torch.Tensor, nothing: Any, recipe: Settings, *rest: Any, **how: Any):
        seen.update(images[:, 0, 0].tolist())
        recipes.append(recipe)
        return make_views(images, goals, nothing, recipe, *rest, **how)

    def noting_weights(pictures: np.ndarray, ill: np.ndarray) -> np.ndarray:
        weighed.append(set(pictures[:, 0, 0].tolist()))
        return np.ones(len(ill))

    def noting_goals(targets: torch.Tensor, trained_on: torch.Tensor, settings: Settings) -> torch.Tensor:
        shares.append(trained_on.tolist())
        return make_goals(targets, trained_on, settings)

    for name, noting in (("views", noting_views), ("goals", noting_goals)):
        monkeypatch.setattr(f"train.fit.make_{name}", noting)
    monkeypatch.setattr("train.fit.balance_texture", noting_weights)
    folds = dataset.assign_folds(samples, 2, settings.seed)
    targets = np.array([sample.target for sample in samples])
    for fold, part in enumerate(parts(2)):
        for notes in (seen, recipes, weighed, shares):
            notes.clear()
        fit(samples, pixels, settings, tmp_path / "run", device="cpu", resume=False, only=[part])
        allowed = np.flatnonzero(folds != fold)
        assert seen == set(allowed.tolist()) == weighed[0]
        assert shares == [targets[allowed].tolist()] * 2  # with all labels, and with those not in doubt
        half = len(recipes) // 2
        assert set(recipes[:half]) == {settings}
        assert set(recipes[half:]) == {replace(settings, **BLINDING)}


def test_a_fit_begun_without_a_scaler_goes_on_with_one(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=True)
    identity = {"settings": asdict(SETTINGS), "data": "", "folds": ""}
    saved.save(
        {"scaler": torch.amp.GradScaler("cpu", enabled=False).state_dict(), "epoch": 2, **identity}, tmp_path / "c"
    )
    assert _load_checkpoint(tmp_path / "c", {"scaler": scaler}, identity) == 2


def test_out_of_fold_means_that_neither_network_nor_gate_has_seen_the_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None], (24, 32, 32)).copy()  # each its own place
    folds = np.arange(24) // 2 % 3
    asked: list[tuple[str, set[int]]] = []
    fitted_on: list[set[int]] = []
    seeds: list[int] = []

    def reader(part: str) -> Read:
        def read(images: np.ndarray) -> Seen:
            asked.append((part, set(images[:, 16, 16].tolist())))
            return Seen(np.zeros((len(images), 3), np.float32), np.zeros((len(images), 2), np.float32))

        return read

    def noting_gate(_: Read, images: np.ndarray) -> None:
        fitted_on.append(set(images[:, 16, 16].tolist()))

    monkeypatch.setattr("train.validate.fit_gate", noting_gate)

    def noting_alteration(images: np.ndarray, seed: int) -> np.ndarray:
        seeds.append(seed)
        return images

    monkeypatch.setattr("train.validate.ALTERATIONS", {"noted": noting_alteration})
    monkeypatch.setattr("train.validate.score", lambda _, texture: np.zeros(len(texture), np.float32))
    found = out_of_fold(SimpleNamespace(pixels=pixels, size=32, folds=folds, reader=reader))  # type: ignore[arg-type]
    for fold in range(3):
        held_out = set(np.flatnonzero(folds == fold).tolist())
        assert fitted_on[fold] == set(range(24)) - held_out
        assert next(pictures for part, pictures in asked if part == f"fold{fold}") == held_out
    assert set(found.logits) == {"plain", "stressed"}
    assert len(set(seeds)) == 3, "else pictures of several folds would be altered alike"


def test_a_fit_that_was_killed_and_resumed_ends_in_the_same_weights(
    make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    data = make_dataset(4)
    whole_run = tmp_path / "whole"
    done = subprocess.run(command(data, whole_run), check=True, capture_output=True, text=True).stdout
    assert f"python -m train audit {whole_run} --data {data};" in done.splitlines()[-1]
    assert f"python -m train export {data} --run {whole_run}" in done.splitlines()[-1]

    killed = tmp_path / "killed"
    process = subprocess.Popen(command(data, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not (killed / "fold1" / "checkpoint.pt").exists():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "all").exists()
    resumed = subprocess.run(command(data, killed, "--resume"), check=True, capture_output=True, text=True)
    assert "fold0" not in resumed.stderr
    assert "fold1 1/5" not in resumed.stderr
    assert "all 1/5" in resumed.stderr

    for part in parts(2):
        whole, after = weights(tmp_path / "whole", part), weights(killed, part)
        assert all(torch.equal(whole[key], after[key]) for key in whole), part


class TestAFitAfterAnother:
    """Only its doubting epochs are left to do."""

    ALL = replace(SETTINGS, epochs=1, blinding_epochs=1, doubting_epochs=1)
    FORMER = replace(ALL, doubting_epochs=0)

    def test_ends_in_the_weights_and_curves_of_one_that_did_all(
        self, make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        samples, pixels = read(make_dataset(4))
        fit_fold = partial(fit, samples, pixels, device="cpu", resume=False, only=["fold1"])
        fit_fold(self.ALL, tmp_path / "whole")
        fit_fold(self.FORMER, tmp_path / "former")
        files = {path: path.read_bytes() for path in (tmp_path / "former").rglob("*") if path.is_file()}
        epochs = []
        monkeypatch.setattr("train.fit.make_views", lambda *rest, **how: epochs.append(how) or make_views(*rest, **how))
        fit_fold(self.ALL, tmp_path / "after", after=tmp_path / "former")
        assert {each["doubting"] for each in epochs} == {True}
        assert {path: path.read_bytes() for path in (tmp_path / "former").rglob("*") if path.is_file()} == files
        whole, after = weights(tmp_path / "whole", "fold1"), weights(tmp_path / "after", "fold1")
        assert all(torch.equal(whole[key], after[key]) for key in whole)
        curves, of_both = (read_curves(tmp_path / run / "fold1") for run in ("whole", "after"))
        assert {name: each.tolist() for name, each in curves.items()} == {
            name: each.tolist() for name, each in of_both.items()
        }

    def test_wants_that_finished_with_the_same_recipe(
        self, make_dataset: Callable[[int], Path], tmp_path: Path
    ) -> None:
        samples, pixels = read(make_dataset(4))
        former, run = tmp_path / "former", tmp_path / "run"

        def go_on(settings: Settings) -> None:
            fit(samples, pixels, settings, run, device="cpu", resume=True, after=former)

        with pytest.raises(FitError, match="former/fold0 is not finished: run or resume that fit first"):
            go_on(self.ALL)
        fit(samples, pixels, self.FORMER, former, device="cpu", resume=False)
        other = r"former/.* other settings \(detail: 0.0 instead of 0.5\): choose another --after, or"
        with pytest.raises(FitError, match=other):
            go_on(replace(self.ALL, detail=0.5))
        path = former / "all" / "checkpoint.pt"
        checkpoint = torch.load(path, weights_only=True)
        torch.save({**checkpoint, "epoch": 1}, path)
        with pytest.raises(FitError, match="former/all is not finished"):
            go_on(self.ALL)
        for spoil in (lambda: path.write_bytes(b"x"), path.unlink):
            spoil()
            with pytest.raises(FitError, match=r"checkpoint.pt cannot be read: delete .*former/all, and resume that"):
                go_on(self.ALL)
        assert not run.exists()  # though the other parts could have been taught on

    def test_does_without_that_where_it_is_under_way(self, make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
        samples, pixels = read(make_dataset(4))
        former, run = tmp_path / "former", tmp_path / "run"
        fit(samples, pixels, self.FORMER, former, device="cpu", resume=False, only=["all"])
        fit(samples, pixels, self.ALL, run, device="cpu", resume=False, only=["all"], after=former)
        shutil.rmtree(former)
        (run / "all" / "weights.pt").unlink()
        fit(samples, pixels, self.ALL, run, device="cpu", resume=True, only=["all"], after=former)
        assert weights(run, "all")

    def test_has_epochs_left_to_do(self, tmp_path: Path) -> None:
        told = CliRunner().invoke(app, ["fit", str(tmp_path), "--after", str(tmp_path)])
        assert told.exit_code == 2
        assert "--after needs --doubting-epochs" in told.stderr


def test_a_finished_fit_stays_byte_for_byte_when_it_is_resumed(
    make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    """Also one that was made before some settings existed."""
    samples, pixels = read(make_dataset(4))
    run = tmp_path / "run"
    settings = replace(SETTINGS, epochs=1, blinding_epochs=0)
    fit(samples, pixels, settings, run, device="cpu", resume=False)
    for part in parts(2):
        path = run / part / "weights.pt"
        saved = torch.load(path, weights_only=True)
        for added in ("detail", "teacher"):
            del saved["settings"][added]
        torch.save(saved, path)

    files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    taught_by = fingerprint([run])
    fit(samples, pixels, settings, run, device="cpu", resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == files
    assert fingerprint([run]) == taught_by
    assert open_fit(run, samples, pixels, 32).settings == settings
    with pytest.raises(FitError, match=r"other settings \(detail: 0.0 instead of 0.7\)"):
        fit(samples, pixels, replace(settings, detail=0.7), run, device="cpu", resume=True)


def test_a_fit_from_before_a_setting_existed_had_its_default() -> None:
    now = {"settings": asdict(Settings(size=64))}
    check_identity({"settings": {"size": 64}}, now, Path("old.pt"))
    with pytest.raises(FitError, match=r"old\.pt was made with other settings \(size: 32 instead of 64\): choose"):
        check_identity({"settings": {"size": 32}}, now, Path("old.pt"))


def test_a_fit_of_the_same_pictures_in_other_folds_is_not_gone_on_with(
    make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    """As when patients get new names, and their pictures other places: each fold has as many as before."""
    samples, pixels = read(make_dataset(6))
    settings = replace(SETTINGS, folds=2)
    folds = assign_folds(samples, 2, settings.seed)
    one, other = (next(i for i, each in enumerate(samples) if (each.target, folds[i]) == (0, fold)) for fold in (0, 1))
    exchanged = pixels.copy()
    exchanged[[one, other]] = pixels[[other, one]]
    before, now = (identify(samples, each, settings, folds) for each in (pixels, exchanged))
    assert before["data"] == now["data"]
    with pytest.raises(FitError, match="held out other patients"):
        check_identity(before, now, tmp_path / "weights.pt")
    del before["held_out"]
    check_identity(before, now, tmp_path / "weights.pt")  # of a version that did not note it


@pytest.mark.parametrize("steps", [40, 4000])
def test_the_average_of_the_weights_forgets_those_it_began_with(steps: int) -> None:
    network = torch.nn.Linear(1, 1)
    average = AveragedModel(network, multi_avg_fn=averaging(0.995), use_buffers=True)
    for step in range(steps):
        torch.nn.init.constant_(network.weight, 0 if step == 0 else 1)
        average.update_parameters(network)
    assert average.module.weight.item() > 0.999


def test_the_average_of_the_weights_looks_back_over_many_steps_in_the_end() -> None:
    network = torch.nn.Linear(1, 1)
    average = AveragedModel(network, multi_avg_fn=averaging(0.995), use_buffers=True)
    for step in range(4000):
        torch.nn.init.constant_(network.weight, step % 2)
        average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.5, abs=0.005)


def test_the_last_weights_are_averaged_alike_and_no_others_where_that_is_asked_for() -> None:
    network = torch.nn.Linear(1, 1)
    average = AveragedModel(network, multi_avg_fn=averaging_alike(8, 0.5), use_buffers=True)
    found = []
    for step in range(8):
        torch.nn.init.constant_(network.weight, step)
        average.update_parameters(network)
        found.append(average.module.weight.item())
    assert found == pytest.approx([0, 1, 2, 3, 4, 4.5, 5, 5.5])


def test_nothing_is_trained_where_a_class_has_too_few_patients(
    make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    samples = [sample for sample in dataset.read_samples(make_dataset(3)) if sample.target != 2]
    with pytest.raises(DatasetError, match="too few patients have viral pictures: 0; 2 folds need 2 of them or more"):
        fit(samples, dataset.load_pixels(samples, 48), SETTINGS, tmp_path / "run", device="cpu", resume=False)
    assert not (tmp_path / "run").exists()


def test_fewer_pictures_than_a_batch_are_told(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    result = subprocess.run(
        [*command(make_dataset(2), tmp_path / "run"), "--batch-size", "99"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "train: 6 pictures are fewer than one batch of 99; choose" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told_with_how_to_go_on(
    make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    samples, pixels = read(make_dataset(2))
    settings = replace(SETTINGS, epochs=1, blinding_epochs=0)
    checkpoint = tmp_path / "run" / "fold0" / "checkpoint.pt"
    with pytest.raises(FitError, match=rf"cannot write {checkpoint}: No space left on device.*--resume goes on"):
        fit(samples, pixels, settings, tmp_path / "run", device="cpu", resume=False)
    assert all(path.name.startswith("events.") for path in checkpoint.parent.iterdir())


@pytest.mark.parametrize("name", ["checkpoint.pt", "weights.pt"])
@pytest.mark.parametrize("kept", [0, 0.5])
def test_a_damaged_file_of_a_fit_is_told_and_made_again_when_it_is_deleted(
    make_dataset: Callable[[int], Path], tmp_path: Path, name: str, kept: float
) -> None:
    samples, pixels = read(make_dataset(2))
    settings = replace(SETTINGS, epochs=1, blinding_epochs=0)

    def resume() -> None:
        fit(samples, pixels, settings, tmp_path, device="cpu", resume=True, only=["fold0"])

    resume()
    before = weights(tmp_path, "fold0")
    damaged = tmp_path / "fold0" / name
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(kept * len(content))])
    if name == "checkpoint.pt":
        (damaged.parent / "weights.pt").unlink()
    with pytest.raises(FitError, match=f"{damaged} is damaged: delete it, and fit with --resume makes it again"):
        resume()
    damaged.unlink()
    resume()
    after = weights(tmp_path, "fold0")
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_two_fits_do_not_write_into_one_folder(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    samples, pixels = read(make_dataset(2))
    run = tmp_path / "new" / "run"
    run.parent.mkdir()
    with Lock(run), pytest.raises(FitError, match=rf"{run} is in use by another run: process {os.getpid()} on "):
        fit(samples, pixels, SETTINGS, run, device="cpu", resume=True)
    assert not list(run.parent.iterdir())


def test_logs_that_cannot_be_written_are_told(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    samples, pixels = read(make_dataset(2))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "fold0").touch()
    with pytest.raises(FitError, match=r"cannot write to .*fold0: File exists; .*--resume goes on"):
        fit(samples, pixels, SETTINGS, tmp_path / "run", device="cpu", resume=True)


def test_an_unfinished_fit_is_not_exported(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "train", "export", make_dataset(2), "--run", tmp_path / "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "run or resume the fit first" in result.stderr


def test_the_index_shows_classes_duplicates_and_leaks(make_dataset: Callable[[int], Path]) -> None:
    data = make_dataset(2)
    original = data / "train" / "NORMAL" / "IM-0000-0000.jpeg"
    copy = data / "val" / "NORMAL" / "IM-0099-0001.jpeg"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(original.read_bytes())
    shown = subprocess.run(
        [sys.executable, "-m", "train", "index", data], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split() for line in shown.splitlines()[1:5]] == [
        ["train", "normal", "4", "2"],
        ["train", "bacterial", "4", "2"],
        ["train", "viral", "4", "2"],
        ["val", "normal", "1", "1"],
    ]
    assert "7 groups; 6 when those that share a picture are one" in shown
    assert "1 sets of identical pictures, 2 files" in shown
    assert "1 groups in more than one split" in shown


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("fit --size 31", "31 is not in the range 32<=x<=224"),
        ("fit --size 225", "225 is not in the range"),
        ("fit --epochs 0", "0 is not in the range x>=1"),
        ("fit --batch-size 1", "1 is not in the range x>=2"),
        ("fit --learning-rate 0", "0.0 is not above 0 and at most 1"),
        ("fit --learning-rate nan", "nan is not above 0 and at most 1"),
        ("fit --learning-rate 1.5", "1.5 is not above 0 and at most 1"),
        ("fit --seed -1", "-1 is not in the range x>=0"),
        ("fit --detail 4", "4.0 is not in the range 0<=x<=3"),
        ("fit --teacher-share 0.5", "--teacher-share needs a --teacher"),
        ("export --size 225", "225 is not in the range 32<=x<=224"),
        ("audit none --size 225 --data", "225 is not in the range 32<=x<=224"),
    ],
)
def test_an_option_beyond_its_limits_is_told(options: str, told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*options.split(), str(tmp_path)], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize("command", ["audit", "export"])
def test_why_nothing_is_scanned_larger_than_training_keeps_pictures_is_told(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    assert "a larger side would be measured on enlarged ones" in " ".join(shown.replace("│", " ").split())


def test_a_network_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["fit", str(tmp_path), "--network", "lite9"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"there is no network lite9; there are {', '.join(NETWORKS)}" in result.stderr


def test_another_seed_draws_other_batches() -> None:
    def order(seed: int) -> list[list[int]]:
        return [places.tolist() for places, _ in _batches(np.arange(64), replace(SETTINGS, seed=seed), 0)]

    assert order(0) == order(0) != order(1)


def test_each_picture_has_its_own_weight_and_the_average_is_kept_and_validated(
    make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, _ = read(make_dataset(6))
    pixels = np.broadcast_to(np.arange(36, dtype=np.uint8)[:, None, None], (36, 48, 48)).copy()  # each its own place
    settings = replace(SETTINGS, epochs=1, blinding_epochs=0, balance_texture=True)
    ill: dict[int, bool] = {}
    seen: dict[int, float] = {}
    validated: list[int] = []

    def weigh(pictures: np.ndarray, are_ill: np.ndarray) -> np.ndarray:
        ill.update(zip(pictures[:, 0, 0].tolist(), are_ill.tolist(), strict=True))
        return pictures[:, 0, 0] + 1.0

    def noting_views(images: torch.Tensor, goals: torch.Tensor, *rest: Any, **how: Any):
        seen.update(zip(images[:, 0, 0].tolist(), goals.sum(1).tolist(), strict=True))
        return make_views(images, goals, *rest, **how)

    def noting_logits(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
        validated.extend(images[:, 0, 0].tolist())
        return predict_logits(network, images)

    monkeypatch.setattr("train.fit.balance_texture", weigh)
    monkeypatch.setattr("train.fit.make_views", noting_views)
    monkeypatch.setattr("train.fit.predict_logits", noting_logits)
    fit(samples, pixels, settings, tmp_path, device="cpu", resume=False, only=["fold0"])
    assert len(seen) > 8
    assert all(weight == pytest.approx(place + 1) for place, weight in seen.items())
    assert ill == {place: samples[place].target > 0 for place in ill}
    held_out = np.flatnonzero(dataset.assign_folds(samples, 2, settings.seed) == 0)
    assert set(validated) == set(held_out.tolist())
    average = torch.load(tmp_path / "fold0" / "checkpoint.pt", weights_only=True)["average"]
    assert all(torch.equal(value, average[f"module.{key}"]) for key, value in weights(tmp_path, "fold0").items())
