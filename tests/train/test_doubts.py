"""Labels of the kind of pneumonia that are in doubt: which they are, how they are found, and what becomes of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pneumoscan.metrics import Interval
from pneumoscan.records import Subtype
from train import dataset
from train.cli import app
from train.dataset import SOME_PNEUMONIA, Sample, labels_of, read_samples
from train.doubts import DOUBTFUL, Run, in_doubt
from train.errors import DatasetError, FitError
from train.find_doubts import REACH, Doubt, Found, find_doubts, find_runs
from train.fit import BLINDING, fit
from train.goals import Teach, make_views
from train.settings import Settings, check_identity, identify


@pytest.mark.parametrize(
    ("name", "doubtful"),
    [
        ("person900_virus_1553.jpeg", False),
        ("person754_virus_1255.jpeg", False),
        ("person755_virus_1256.jpeg", True),
        ("person1_VIRUS_1485.JPG", True),
        ("person1_virus_1486.jpeg", False),
        ("person755_bacteria_1256.jpeg", False),
        ("person1305_bacteria_3283.jpeg", True),
        ("IM-1256-0001.jpeg", False),
        ("scan_virus_1256.jpeg", False),
        ("person447_virus_921_1.jpeg", False),
        ("1256.png", False),
    ],
)
def test_the_kind_in_a_name_is_in_doubt_where_its_number_lies_in_a_run(name: str, doubtful: bool) -> None:
    subtype = Subtype.VIRAL if "virus" in name.lower() else Subtype.BACTERIAL
    assert in_doubt(PurePath("train/PNEUMONIA", name), subtype) is doubtful
    others = {None, *Subtype} - {subtype}
    assert not any(in_doubt(PurePath(name), other) for other in others)  # said by somebody else, or by nobody


def test_runs_of_a_kind_do_not_overlap() -> None:
    for kind in ("bacteria", "virus"):
        ends = [number for run in DOUBTFUL if run.kind == kind for number in (run.first, run.last)]
        assert ends == sorted(set(ends))


def test_pictures_in_doubt_are_labelled_as_some_pneumonia(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(
        "path,label,subtype\n"
        "IM-1256-0001.jpeg,normal,\nperson1_bacteria_1.jpeg,pneumonia,bacterial\n"
        "person755_virus_1256.jpeg,pneumonia,viral\nperson900_virus_1553.jpeg,viral,\nperson755_virus_1257.jpeg,normal,\n"
    )
    samples = read_samples(table)
    assert [sample.target for sample in samples] == [0, 1, 2, 2, 0]
    assert labels_of(samples).tolist() == [0, 1, SOME_PNEUMONIA, 2, 0]


class TestFindRuns:
    """600 pictures of each kind, numbered from 1; networks are right with a deviation as large as their signal."""

    paths = [PurePath(f"person{n}_{kind}_{n}.jpeg") for kind in ("bacteria", "virus") for n in range(1, 601)]  # noqa: RUF012
    is_viral = np.repeat([False, True], 600)

    def said(self, wrong: dict[str, tuple[int, int]], seed: int = 0) -> np.ndarray:
        """The networks say the other kind in these runs, from the first to the last number."""
        truth = self.is_viral.copy()
        for kind, (first, last) in wrong.items():
            offset = 600 * (kind == "virus")
            truth[offset + first - 1 : offset + last] ^= True
        noise = np.random.default_rng(seed).normal(0, 1, 1200)
        return np.where(truth, 1.0, -1.0) + noise

    def test_finds_where_labels_are_of_the_other_kind(self) -> None:
        bacterial, viral = find_runs(self.paths, self.said({"bacteria": (541, 600), "virus": (200, 299)}))
        for found, (first, last) in ((bacterial.run, (541, 600)), (viral.run, (200, 299))):
            assert abs(found.first - first) <= REACH
            assert abs(found.last - last) <= REACH
        assert (bacterial.run.kind, viral.run.kind) == ("bacteria", "virus")
        assert viral.pictures == viral.run.last - viral.run.first + 1
        assert viral.agreement < 0.5

    @pytest.mark.parametrize("seed", range(5))
    def test_finds_nothing_where_labels_are_as_good_everywhere(self, seed: int) -> None:
        assert find_runs(self.paths, self.said({}, seed)) == []

    @pytest.mark.parametrize("seed", range(5))
    def test_finds_where_labels_are_as_if_by_chance(self, seed: int) -> None:
        said = self.said({}, seed)
        said[800:1000] = np.random.default_rng(seed).permutation(np.concatenate([said[:100], said[700:800]]))
        (viral,) = find_runs(self.paths, said)
        assert viral.run.kind == "virus"
        assert abs(viral.run.first - 201) <= 2 * REACH
        assert abs(viral.run.last - 400) <= 2 * REACH
        assert 0.4 < viral.agreement < 0.6

    def test_needs_as_many_of_either_kind_as_a_run_has(self) -> None:
        few = [*self.paths[:100], *self.paths[600:640]]
        with pytest.raises(DatasetError, match="40 pictures of a kind are too few"):
            find_runs(few, np.zeros(140))

    def test_passes_over_a_few_wrong_labels(self) -> None:
        assert find_runs(self.paths, self.said({"virus": (300, 307)})) == []

    def test_goes_by_numbers_and_not_by_the_order_of_the_pictures(self) -> None:
        said, shuffled = self.said({"virus": (200, 299)}), np.random.default_rng(1).permutation(1200)
        found = find_runs([self.paths[each] for each in shuffled], said[shuffled])
        (expected,) = find_runs(self.paths, said)
        assert [(each.run, each.pictures, pytest.approx(each.agreement)) for each in found] == [
            (expected.run, expected.pictures, expected.agreement)
        ]

    def test_leaves_out_pictures_with_other_names(self) -> None:
        said = self.said({"virus": (200, 299)})
        assert find_runs([*self.paths, PurePath("a.png")], np.append(said, 9.0)) == find_runs(self.paths, said)

    @pytest.mark.parametrize("kind", ["bacteria", "neither"])
    def test_needs_names_of_both_kinds(self, kind: str) -> None:
        with pytest.raises(DatasetError, match="no pictures of both kinds with names such as person1_virus_7"):
            find_runs([PurePath(f"person{n}_{kind}_{n}.jpeg") for n in range(3)], np.zeros(3))


def test_labels_are_held_against_the_mean_of_what_the_fits_say_of_patients_that_they_did_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["IM-1", *(f"person{n}_bacteria_{n}" for n in (1, 2, 3300)), *(f"person{n}_virus_{n}" for n in (3, 4, 200))]
    targets = [0, 1, 1, 1, 2, 2, 2]
    samples = [
        Sample(path, target, path.stem, doubtful=in_doubt(path, [None, *Subtype][target]))
        for path, target in zip(map(Path, (f"{name}.jpeg" for name in names)), targets, strict=True)
    ]
    said = {"one": [-3.0, -1, 2, 1, 1, -2], "other": [-1.0, -3, 2, -3, 3, 1]}  # of pneumonias; each is wrong on some
    opened, given = [], []

    def opening(run: Path, *_: object, int8: bool) -> SimpleNamespace:
        assert int8  # as models are scanned with
        opened.append(run.name)
        return SimpleNamespace(run=run, settings=Settings(folds=3))

    def asking(fit: SimpleNamespace, folds: range, bench: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert (list(folds), bench["plain"].tolist()) == ([0, 1, 2], [1, 2, 3, 4, 5, 6])
        return {"plain": np.stack([np.zeros(6), np.zeros(6), said[fit.run.name]], 1)}

    def finding(paths: list[PurePath], viral: np.ndarray) -> list[Doubt]:
        given.append(([path.stem for path in paths], viral.tolist()))
        return []

    for name, stand_in in (("open_fit", opening), ("held_out_logits", asking), ("find_runs", finding)):
        monkeypatch.setattr(f"train.find_doubts.{name}", stand_in)
    with pytest.raises(DatasetError, match="3 pictures of a kind are too few"):
        find_doubts([Path("one")], samples, np.empty((7, 8, 8), np.uint8), 192)
    assert opened == []  # for that, no network need be asked
    monkeypatch.setattr("train.find_doubts.REACH", 1)
    found = find_doubts([Path("one"), Path("other")], samples, np.empty((7, 8, 8), np.uint8), 192)
    assert opened == ["one", "other"]
    assert given == [(names[1:], [-2, -2, 2, -1, 2, -0.5])]
    values = {name: auc.value for name, auc in found.aucs.items()}
    assert values == {"all pneumonias": 6.5 / 9, "recorded as in doubt": 0, "the others": 1}


def test_the_command_tells_what_it_found(make_dataset: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found([Doubt(Run("virus", 5, 1009), 1004, 0.256)], {"all pneumonias": Interval(0.8, 0.7, 0.9)})
    monkeypatch.setattr("train.find_doubts.find_doubts", lambda runs, samples, pixels, size: found)
    result = CliRunner().invoke(app, ["doubts", "a", "b", "--data", str(make_dataset(2))], catch_exceptions=False)
    assert result.exit_code == 0
    assert "  virus        5 to  1009  1,004 pictures, 0.26 agree\n" in result.output
    assert "  all pneumonias       0.800 (0.700 to 0.900)\n" in result.output


def in_a_run(samples: list[Sample]) -> list[Sample]:
    """The same pictures, of which every second pneumonia is in doubt."""
    return [replace(each, doubtful=each.target > 0 and number % 2 == 0) for number, each in enumerate(samples)]


def test_a_fit_doubts_labels_and_the_kinds_of_teachers_in_its_last_epochs_also_when_it_is_resumed(
    make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = in_a_run(dataset.read_samples(make_dataset(6)))
    pixels = np.broadcast_to(np.arange(36, dtype=np.uint8)[:, None, None], (36, 48, 48)).copy()  # each its own place
    settings = Settings(size=32, folds=2, epochs=1, blinding_epochs=1, doubting_epochs=2, network="lite0-3")
    settings = replace(settings, batch_size=4, teacher_share=0.5, teacher="a", seed=0)
    seen: list[tuple[list[int], list[int], bool]] = []
    stop_at = 0

    def noting(images: torch.Tensor, goals: torch.Tensor, nothing: Any, recipe: Settings, *rest: Any, doubting: bool):
        seen.append((images[:, 0, 0].tolist(), goals.argmax(1).tolist(), doubting))
        assert recipe.foreign_frames == (0.5 if len(seen) <= 4 else BLINDING["foreign_frames"])
        if len(seen) == stop_at:
            raise InterruptedError
        return make_views(images, goals, nothing, recipe, *rest, doubting=doubting)

    def teacher(_: str) -> Teach:
        return lambda views, _: torch.tensor([[0.5, 0.25, 0.25]]).repeat(len(views), 1)

    def fit_in(run: Path, *, resume: bool) -> None:
        fit(samples, pixels, settings, run, device="cpu", resume=resume, only=["fold0"], teacher=teacher)

    monkeypatch.setattr("train.fit.make_views", noting)
    fit_in(tmp_path / "whole", resume=False)
    assert len(seen) == 4 * 4
    for step, (places, learned, doubting) in enumerate(seen):
        of_each = [samples[place] for place in places]
        assert doubting is (step >= 2 * 4)
        assert learned == (labels_of(of_each).tolist() if doubting else [sample.target for sample in of_each])
    assert any(SOME_PNEUMONIA in learned for _, learned, _ in seen)

    whole, seen[:], stop_at = list(seen), [], 14  # in the last epoch
    with pytest.raises(FitError):
        fit_in(tmp_path / "stopped", resume=False)
    del seen[12:]
    stop_at = 0
    fit_in(tmp_path / "stopped", resume=True)
    assert seen == whole


def test_a_fit_does_not_go_on_when_other_labels_are_in_doubt() -> None:
    samples = [Sample(Path(f"{k}.png"), k % 3, f"patient{k}") for k in range(12)]
    pixels, folds = np.zeros((12, 8, 8), np.uint8), np.zeros(12, np.int64)

    def identities(settings: Settings) -> list[dict[str, object]]:
        return [identify(each, pixels, settings, folds) for each in (samples, in_a_run(samples))]

    before, now = identities(Settings(doubting_epochs=1))
    with pytest.raises(FitError, match="was made when other labels were in doubt: choose another --run"):
        check_identity(before, now, Path("weights.pt"))
    check_identity(now, now, Path("weights.pt"))
    before, now = identities(Settings())
    check_identity(before, now, Path("weights.pt"))  # which learned from all labels, and knew of none in doubt
