import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pneumoscan import metrics
from train import compare, dataset
from train.compare import BASE, CANDIDATES, COLUMNS, MIRRORED, figures_of, to_markdown, to_section
from train.dataset import SOME_PNEUMONIA
from train.errors import AuditError
from train.settings import NETWORKS


def test_every_candidate_is_a_recipe_that_there_is() -> None:
    for changes in CANDIDATES.values():
        assert replace(BASE, **changes).network in NETWORKS
    recipes = [replace(BASE, **changes) for changes in CANDIDATES.values()]
    assert len(set(recipes)) == len(recipes)
    assert set(MIRRORED.values()) <= set(CANDIDATES)


def test_candidates_are_fitted_scored_and_recorded(
    make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = dataset.read_samples(make_dataset(8))
    pixels = dataset.load_pixels(samples, 48)
    monkeypatch.setattr(compare, "BASE", replace(BASE, size=32, epochs=1, batch_size=4, folds=2, network="lite0-3"))
    first = compare.compare(["base"], samples, pixels, tmp_path, 1, "cpu")
    found = compare.compare(["base", "frames kept"], samples, pixels, tmp_path, 1, "cpu")
    assert found["base"] == first["base"]  # not fitted again
    assert (tmp_path / "frames-kept" / "fold0" / "weights.pt").exists()
    assert not (tmp_path / "base" / "fold1").exists()
    mirrored = compare.compare(["mean of both mirror images"], samples, pixels, tmp_path, 1, "cpu")
    assert mirrored.keys() == {"mean of both mirror images"}
    assert not (tmp_path / "mean-of-both-mirror-images").exists()
    recorded = json.loads((tmp_path / "compare.json").read_text())
    assert recorded["frames kept (1)"]["settings"]["foreign_frames"] == 0
    assert recorded["base (1)"]["figures"] == {name: list(figure) for name, figure in found["base"].items()}
    section = to_section(tmp_path / "compare.json", dataset.digest(samples, pixels))
    assert "(1 epochs on crops of 32 x 32 pixels\n" in section
    assert "| base (1) | " in section
    assert "| frames kept (1) | " in section
    with pytest.raises(AuditError, match=r"not fitted on these pictures.*: base \(1\), frames kept \(1\), mean"):
        to_section(tmp_path / "compare.json", dataset.digest(samples, pixels + 1))


@pytest.mark.parametrize("content", ['{"base (1)": {"sett', "[]"])
def test_a_damaged_record_of_earlier_candidates_is_told_before_any_fit(tmp_path: Path, content: str) -> None:
    (tmp_path / "compare.json").write_text(content)
    with pytest.raises(AuditError, match=r"compare.json .*: delete it, and finished fits are scored again"):
        compare.compare(["base"], [], np.zeros((0, 48, 48), np.uint8), tmp_path, 1, "cpu")


def test_networks_are_not_compared_with_each_other() -> None:
    """Each of two networks is perfect; between them the levels differ."""
    targets = np.tile([0, 1, 2, 0, 1, 2], 20)
    networks = np.arange(120) % 2
    logits = np.eye(3)[targets] * 5 + np.where(networks == 0, 20, 0)[:, None] * np.array([2, 0, 1])
    figures = figures_of(dict.fromkeys(compare.VIEWS, logits), targets, np.arange(120).astype(str), networks)
    assert set(figures) == set(COLUMNS)
    assert all(figure.value == 1 for figure in figures.values())


@pytest.mark.parametrize(("missed", "specificity"), [(2, 1), (3, 0)])
def test_specificity_is_that_at_a_sensitivity_of_95_percent(missed: int, specificity: float) -> None:
    targets = np.repeat([0, 1, 2], 20)
    evidence = np.where(targets > 0, 9, 5) - 9 * (np.arange(60) >= 60 - missed)
    logits = np.stack([np.zeros(60), evidence, evidence], 1)
    figures = figures_of(dict.fromkeys(compare.VIEWS, logits), targets, np.arange(60).astype(str), np.zeros(60, int))
    assert figures["stressed_specificity"].value == specificity


def test_who_goes_by_the_stretch_fails_where_it_is_against_the_class() -> None:
    targets = np.repeat([0, 1, 2], 20)
    logits = dict.fromkeys(compare.VIEWS, np.eye(3)[targets] * 5)
    for view, ill in (("aspect x 1.25", 0), ("aspect x 0.8", 1)):  # whatever is higher is called ill
        logits[view] = np.tile([5 - 5 * ill, 5 * ill, 5 * ill], (60, 1))
    figures = figures_of(logits, targets, np.arange(60).astype(str), np.zeros(60, int))
    assert figures["misshapen_auc"].value == 0
    assert figures["auc"].value == 1


def test_kinds_in_doubt_are_not_compared() -> None:
    targets, number = np.tile([0, 1, 2], 40), np.arange(120)
    doubtful = (targets > 0) & (number % 4 == 0)
    logits = np.eye(3)[np.where(doubtful, 3 - targets, targets)] * 5
    for labels, exact in ((targets, False), (np.where(doubtful, SOME_PNEUMONIA, targets), True)):
        figures = figures_of(dict.fromkeys(compare.VIEWS, logits), labels, number.astype(str), number % 2)
        assert (figures["subtype_auc"].value == 1) is exact
        assert figures["auc"].value == 1


def test_a_table_has_a_row_for_each_candidate() -> None:
    figures = dict.fromkeys(COLUMNS, (0.5, 0.25, 0.75))
    table = to_markdown({"base": figures, "other": figures}).splitlines()
    assert table[2].startswith("| base | 0.500 (0.250 to 0.750) |")
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 4


def test_a_table_has_no_column_of_figures_that_nobody_has() -> None:
    figures = dict.fromkeys(COLUMNS, (0.5, 0.25, 0.75))
    lacking = figures | {"subtype_auc": (float("nan"),) * 3}
    assert COLUMNS["subtype_auc"] not in to_markdown({"base": lacking, "other": lacking})
    assert "| none |" in to_markdown({"base": lacking, "other": figures})
    earlier = {
        key: figure for key, figure in figures.items() if key != "misshapen_auc"
    }  # before there was such a column
    assert "| none |" in to_markdown({"base": earlier, "other": figures})


def row(data: str | None, **changed: int) -> dict[str, object]:
    """A candidate as it is recorded, before it was told on which pictures where `data` is None."""
    recorded = {"settings": asdict(replace(BASE, **changed)), "figures": dict.fromkeys(COLUMNS, (0.5, 0.25, 0.75))}
    return recorded | ({"data": data} if data else {})


def test_the_heading_tells_the_fits_that_were_made(tmp_path: Path) -> None:
    path = tmp_path / "compare.json"
    path.write_text(
        json.dumps(
            {f"{size}": row("ours", epochs=5, size=size) for size in (96, 64)}
            | {"base": row("ours", epochs=5, size=64)}
        )
    )
    assert "(5 epochs on crops of 64 x 64 pixels\n" in to_section(path, "ours")


@pytest.mark.parametrize("data", ["theirs", None])
def test_candidates_on_other_pictures_do_not_go_into_a_card(tmp_path: Path, data: str | None) -> None:
    path = tmp_path / "compare.json"
    path.write_text(json.dumps({"base (1)": row("ours"), "mixup (1)": row(data)}))
    with pytest.raises(AuditError, match=r"not fitted on these pictures, or do not say on which: mixup \(1\);"):
        to_section(path, "ours")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"base": {"folds": 1}}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "compare.json"
    path.write_text(text)
    with pytest.raises(AuditError, match=r"is no compare\.json"):
        to_section(path, "ours")


def test_intervals_are_of_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def noting(figure: object, groups: np.ndarray, **_: object) -> metrics.Interval:
        drawn.append(len(set(groups)))
        return metrics.Interval(0, 0, 0)

    monkeypatch.setattr(metrics, "bootstrap", noting)
    targets, patients = np.tile([0, 1, 2, 0, 1, 2], 20), np.repeat(np.arange(60), 2).astype(str)
    figures_of(dict.fromkeys(compare.VIEWS, np.eye(3)[targets] * 5), targets, patients, np.zeros(120, int))
    assert set(drawn) == {60}  # of whom all have pneumonias, too
