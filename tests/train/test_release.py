import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter
from typer.testing import CliRunner

from pneumoscan import metrics
from pneumoscan.model import Model
from train import dataset, release
from train.calibrate import Calibration
from train.cli import app
from train.compare import BASE, COLUMNS
from train.dataset import SOME_PNEUMONIA, Sample
from train.errors import AuditError, ExportError, FitError
from train.network import Network
from train.release import KERMANY, KERMANY_COUNTS, find_weaknesses, source_of
from train.settings import Settings, identify


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "bootstrap", partial(metrics.bootstrap, rounds=20))


@pytest.fixture
def data(make_dataset: Callable[[int], Path]) -> Path:
    return make_dataset(20)


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Path:
    return fit_at_random(data, tmp_path / "run", spread=100)


def fit_at_random(data: Path, run: Path, spread: float = 1) -> Path:
    """A fit of two folds with random weights, and logits spread so many times as wide."""
    samples = dataset.read_samples(data)
    pixels = dataset.load_pixels(samples, dataset.SOURCE_SIZE)
    samples = dataset.merge_groups(samples, dataset.find_duplicates(pixels))
    settings = Settings(size=32, folds=2, network="lite0-3")
    identity = identify(samples, pixels, settings, dataset.assign_folds(samples, 2, 0))
    torch.manual_seed(0)
    for part in ("fold0", "fold1", "all"):
        with SummaryWriter(str(run / part)) as log:
            log.add_scalar("loss/train", 1.0, 0)
        weights = Network(32, pretrained=False, network="lite0-3").state_dict()
        weights["backbone._fc.weight"] *= spread
        torch.save({"weights": weights, **identity}, run / part / "weights.pt")
    return run


def train(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_in_8_bits_a_fit_is_audited_calibrated_and_exported_otherwise_than_in_float32(data: Path, run: Path) -> None:
    audit, out, options = run / "audit.json", run / "new" / "model.onnx", ("--size", 32, "--int8")
    shown = train("audit", run, "--data", data, *options, "--json", audit)
    assert f"{run} (out of fold, at 32 x 32, in 8 bits)" in shown
    train(
        "export",
        data,
        "--run",
        run,
        *options,
        "--audit",
        audit,
        "--out",
        out,
        "--name",
        "small",
        "--version",
        "0.1.0",
        "--licence",
        "CC BY-NC 4.0",
    )

    card = Model(out, "cpu").card
    assert (card.name, card.version, card.input_size) == ("small", "0.1.0", 32)
    assert any(each.data_type == onnx.TensorProto.INT8 for each in onnx.load(out).graph.initializer)
    text = out.with_name("CARD.md").read_text()
    assert "The convolutions of the file, but for the first, are quantised to 8 bits" in text
    assert "## Audit" in text
    for fold in range(2):
        cells = (
            str(metrics.Interval(*card.figures[f"{kind}_subtype_{figure}_fold_{fold}"]))
            for figure in ("auc", "accuracy")
            for kind in ("plain", "stressed")
        )
        assert f"| {fold + 1} | {' | '.join(cells)} |" in text
    found = json.loads(audit.read_text())["candidates"][0]["figures"]
    for kind in ("plain", "stressed"):
        for name in ("auc", "sensitivity", "specificity"):
            assert found[kind][name] == pytest.approx(card.figures[f"{kind}_{name}"], abs=2e-3)
    assert {path.name for path in out.parent.iterdir()} == {"CARD.md", "curves.png", "model.onnx", "model.onnx.sha256"}
    assert out.with_name("curves.png").stat().st_size > 0
    assert "Pictures of the exporter's own, in chest_xray." in text
    assert "Kermany" not in card.licence
    assert card.licence.startswith("CC BY-NC 4.0. Network: ")

    float32 = run / "model.onnx"
    told = CliRunner().invoke(app, [*map(str, ("export", data, "--run", run, "--size", 32))]).stderr
    assert "train: the model is of little use: its plain AUC of " in told
    assert Model(float32, "cpu").card.name == "lite0-3"
    assert Model(float32, "cpu").card.licence.startswith("Apache-2.0. Network: ")
    assert not any(each.data_type == onnx.TensorProto.INT8 for each in onnx.load(float32).graph.initializer)
    assert out.stat().st_size < 0.7 * float32.stat().st_size
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32)).astype(np.uint8)
    before, after = (Model(path, "cpu") for path in (float32, out))
    assert 0 < np.abs(before.predict(images).probabilities - after.predict(images).probabilities).max() < 0.1
    assert before.card.figures != after.card.figures


def test_a_model_of_pneumonias_of_unknown_kind_names_no_subtype(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    label = {0: "normal", 1: "pneumonia", 2: "pneumonia"}
    rows = (f"{each.path},{label[each.target]},{each.group}\n" for each in dataset.read_samples(data))
    table.write_text("path,label,group\n" + "".join(rows))
    run = fit_at_random(table, tmp_path / "mine")
    audit = run / "audit.json"
    shown = train("audit", run, "--data", table, "--size", 32, "--json", audit)
    assert "nan" not in shown
    train("export", table, "--run", run, "--size", 32, "--audit", audit, "--version", "0.1.0")
    card = Model(run / "model.onnx", "cpu").card
    assert card.subtype_threshold == 1
    assert np.isnan(card.figures["plain_subtype_auc"][0])
    assert not any("_fold_" in name for name in card.figures)
    assert 0 < card.figures["plain_auc"][0] < 1
    text = " ".join((run / "CARD.md").read_text().split())
    assert "(40 normal, 0 bacterial, 0 viral, 80 pneumonia of unknown kind)" in text
    assert "- No subtype is ever named" in text
    assert "| AUC, viral against bacterial, of the pneumonias | none | none |" in text
    assert "A subtype is named where" not in text


def test_a_file_holds_what_was_found_of_its_own_network_on_plain_and_stressed_pictures_and_aligned(
    data: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[Any, ...]] = {}
    answers: dict[str, Any] = {}

    def note(name: str) -> None:
        real = getattr(release, name)

        def noting(*arguments: Any, **options: Any) -> Any:
            given[name] = arguments
            answers[name] = real(*arguments, **options)
            return answers[name]

        monkeypatch.setattr(release, name, noting)

    for name in ("fit_calibration", "out_of_fold_figures", "judge", "fit_limits", "fit_gate", "export"):
        note(name)
    aligned = Calibration(1.0, (0.0, 0.0, 0.0), 0.25, (0.125, 0.75))
    monkeypatch.setattr(release, "align_shipped", lambda *_: aligned)
    train("export", data, "--run", run, "--size", 32)
    card = Model(run / "model.onnx", "cpu").card
    assert (card.threshold, *card.review_band) == (0.25, 0.125, 0.75)
    assert set(given["fit_calibration"][0]) == {"plain", "stressed"}
    assert set(given["fit_limits"][0]) == {"plain", "stressed", "mild"}
    assert given["fit_gate"][0] is given["export"][1]
    *_, patients, unfamiliar = given["out_of_fold_figures"]
    assert set(unfamiliar) == {"plain", "stressed"}
    assert all(unfamiliar[kind] is answers["judge"][0][kind] for kind in unfamiliar)
    assert len(set(patients)) == len({each.group for each in dataset.read_samples(data)})


@pytest.mark.parametrize("name", ["model.onnx", "CARD.md", "curves.png"])
def test_a_folder_in_place_of_a_file_is_told_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "new" / name).mkdir(parents=True)
    with pytest.raises(ExportError, match=f"{tmp_path}/new/{name} is a folder; name another file with --out"):
        train("export", tmp_path / "no data", "--out", tmp_path / "new" / "model.onnx")


def test_a_place_where_nothing_can_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place, why in ((tmp_path / "file", "File exists"), (Path("/proc"), "")):
        with pytest.raises(ExportError, match=f"^cannot write {place}.*: {why}"):
            train("export", tmp_path / "no data", "--out", place / "model.onnx")


def test_an_audit_in_float32_does_not_go_into_the_card_of_a_file_in_8_bits(data: Path, run: Path) -> None:
    audit, out = run / "audit.json", run / "new" / "model.onnx"
    train("audit", run, "--data", data, "--size", 32, "--json", audit)
    with pytest.raises(AuditError, match="run train audit with the same --size and --int8"):
        train("export", data, "--run", run, "--size", 32, "--int8", "--audit", audit, "--out", out)
    assert not out.exists()


def test_a_model_is_left_with_its_card_where_curves_cannot_be_drawn(data: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "model.onnx"
    out.parent.mkdir()
    files = {out.with_name(name): name.encode() for name in ("model.onnx", "CARD.md", "curves.png")}
    for path, content in files.items():
        path.write_bytes(content)
    for log in (run / "fold1").glob("events.out.tfevents.*"):
        log.unlink()
    with pytest.raises(FitError, match="fold1 holds no TensorBoard logs"):
        train("export", data, "--run", run, "--size", 32, "--out", out)
    assert {path: path.read_bytes() for path in out.parent.iterdir()} == files


def test_a_model_is_of_little_use_where_chance_may_do_as_well_or_most_pictures_are_for_review() -> None:
    good = {"plain_auc": (0.9, 0.6, 0.95), "stressed_auc": (0.8, 0.51, 0.9), "plain_review": (0.5, 0.4, 0.6)}
    assert find_weaknesses(good) == []
    for weak, told in (
        ({"plain_auc": (0.7, 0.5, 0.9)}, "its plain AUC of 0.700 (0.500 to 0.900) may be no better than chance"),
        ({"stressed_auc": (0.4, 0.3, 0.45)}, "its stressed AUC of 0.400 (0.300 to 0.450) may be no better than chance"),
        ({"plain_review": (0.51, 0.4, 0.6)}, "it flags 51% of the plain pictures for review"),
    ):
        assert find_weaknesses(good | weak) == [told]
    nothing = float("nan")
    assert len(find_weaknesses(good | {"plain_auc": (0.9, nothing, nothing)})) == 1


@pytest.mark.parametrize("counts", KERMANY_COUNTS)
def test_only_as_many_pictures_as_are_published_are_taken_for_the_published_ones(
    counts: tuple[int, ...], tmp_path: Path
) -> None:
    samples = [Sample(Path("x.png"), target, "p") for target, count in enumerate(counts) for _ in range(count)]
    mine, table = tmp_path / "mine", tmp_path / "mine.csv"
    mine.mkdir()
    assert source_of(samples, mine) == KERMANY
    for others in (samples[1:], [*samples, Sample(Path("x.png"), SOME_PNEUMONIA, "p")]):
        assert source_of(others, mine) == "Pictures of the exporter's own, in mine."
    assert source_of(samples, table) == "Pictures of the exporter's own, listed in mine.csv."
    odd = os.fsdecode(b"odd\xff.csv")
    assert source_of(samples, table.with_name(odd)) == r"Pictures of the exporter's own, listed in odd\udcff.csv."


def test_a_table_of_candidates_on_other_pictures_does_not_go_into_a_card(data: Path, run: Path, tmp_path: Path) -> None:
    table = {"base (1)": {"settings": asdict(BASE), "data": "other", "figures": dict.fromkeys(COLUMNS, (1, 1, 1))}}
    (tmp_path / "compare.json").write_text(json.dumps(table))
    with pytest.raises(AuditError, match="not fitted on these pictures"):
        train(
            "export", data, "--run", run, "--size", 32, "--compare", tmp_path / "compare.json", "--out", run / "m.onnx"
        )
    assert not (run / "m.onnx").exists()
