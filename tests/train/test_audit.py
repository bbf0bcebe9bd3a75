import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pneumoscan import metrics, models
from pneumoscan.metrics import Interval
from tests.tiny_model import CARD, SIZE, write_model
from train import candidates, dataset, report
from train.__main__ import main
from train.alter import ALTERATIONS
from train.audit import Audit, Check, auc_within, audit, checks_of, draw, figures_of, skill_kept
from train.calibrate import Calibration, out_of_fold_figures
from train.candidates import FULL, Answers, ask_fit, held_out_logits
from train.card import FIGURES, RELIABILITY, write_card
from train.cli import app
from train.dataset import Sample
from train.errors import AuditError, FitError
from train.fitted import Fitted, open_fit
from train.graph import Read, Seen
from train.network import Network, predict_logits
from train.settings import Settings, identify
from train.stress import PROPORTIONS, STRESSES, apply, ring
from train.validate import out_of_fold

SAMPLES = [Sample(Path(f"{number}.png"), number % 3, f"patient{number // 6}-{number % 3}") for number in range(120)]
TARGETS = np.array([sample.target for sample in SAMPLES])
GROUPS = np.array([sample.group for sample in SAMPLES])
FRAME = ring(SIZE)
CHECK = Check("AUC of at least 0.8", Interval(0.9, 0.85, 0.95), holds=True)


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "bootstrap", partial(metrics.bootstrap, rounds=20))


def pictures(signal: np.ndarray) -> np.ndarray:
    """Noise, uint8 [N, SIZE, SIZE], in which the ill are bright in the pixels `signal`, bool [SIZE, SIZE]."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (len(SAMPLES), SIZE, SIZE))
    bright = np.where(TARGETS > 0, 200, 50)[:, None, None] + random.integers(-20, 20, noise.shape)
    return np.where(signal, bright, noise).astype(np.uint8)


def audit_looking_at(pixels: np.ndarray, path: Path, signal: np.ndarray) -> Audit:
    write_model(path, looks_at=signal)
    return audit(path, SAMPLES, pixels, SIZE)


class TestAModel:
    def test_that_looks_only_at_the_frame_is_found_out(self, tmp_path: Path) -> None:
        found = audit_looking_at(pictures(FRAME), tmp_path / "m.onnx", FRAME)
        assert found.figures["plain"]["auc"].value == 1
        assert found.figures["frame only"]["auc"].value == 1
        assert found.figures["frame masked"]["auc"].value == 0.5
        assert found.kept["lungs removed"].value == found.kept["lungs removed, filled"].value == 1
        assert found.kept["frame masked"].value == 0
        assert [check.holds for check in found.checks] == [True, False, False, False]

    def test_that_looks_only_at_the_centre_passes(self, tmp_path: Path) -> None:
        found = audit_looking_at(pictures(~FRAME), tmp_path / "m.onnx", ~FRAME)
        assert found.figures["plain"]["auc"].value == 1
        assert found.figures["frame only"]["auc"].value == 0.5
        assert found.figures["frame masked"]["auc_change"] == (0, 0, 0)
        assert found.kept["lungs removed"].value == 0
        assert (
            found.kept["lungs removed, filled"].value < 0.4
        )  # shoulders, by which the grey in the middle is set, are left
        assert found.kept["frame masked"].value == 1
        assert [check.holds for check in found.checks] == [True] * 4

    def test_that_reads_the_frame_the_wrong_way_round_is_found_out_too(self, tmp_path: Path) -> None:
        pixels = pictures(~FRAME)
        pixels[:, FRAME] = np.where(TARGETS > 0, 40, 60)[:, None]
        found = audit_looking_at(pixels, tmp_path / "m.onnx", np.ones((SIZE, SIZE), bool))
        assert found.figures["frame only"]["auc"].value == 0
        assert not found.checks[2].holds

    def test_that_takes_soft_normal_pictures_for_ill_is_found_out(self, tmp_path: Path) -> None:
        random, healthy = np.random.default_rng(0), np.flatnonzero(TARGETS == 0)
        bright, detail = np.full(len(SAMPLES), 200), np.full(len(SAMPLES), 5)
        bright[healthy[10:]], detail[healthy[10:]] = 50, 40
        noise = random.normal(0, 1, (len(SAMPLES), SIZE, SIZE)) * detail[:, None, None]
        pixels = (bright[:, None, None] + noise).clip(0, 255).astype(np.uint8)
        write_model(tmp_path / "m.onnx", threshold=0.5)
        figures = audit(tmp_path / "m.onnx", SAMPLES, pixels, SIZE).figures
        assert figures["plain"]["specificity"].value == 30 / 40
        assert figures["plain, soft normals"]["specificity"].value < 0.1
        assert figures["plain, soft normals"]["sensitivity"] == figures["plain"]["sensitivity"]

    def test_is_judged_at_the_threshold_of_its_card(self, tmp_path: Path) -> None:
        pixels = np.where(TARGETS > 0, 200, 50)[:, None, None].repeat(SIZE, 1).repeat(SIZE, 2).astype(np.uint8)
        for threshold, verdict in ((0.5, (1, 1)), (0.9, (0, 1)), (0.1, (1, 0))):
            write_model(tmp_path / "m.onnx", threshold=threshold)
            found = audit(tmp_path / "m.onnx", SAMPLES, pixels, SIZE).figures["plain"]
            assert (found["sensitivity"].value, found["specificity"].value) == verdict

    def test_that_was_trained_on_the_pictures_is_told_by_their_digest(self, tmp_path: Path) -> None:
        pixels = pictures(FRAME)
        write_model(tmp_path / "m.onnx", data_sha256=dataset.digest(SAMPLES, pixels))
        assert audit(tmp_path / "m.onnx", SAMPLES, pixels, SIZE, limit=100).held_out is False

    def test_that_was_trained_on_other_pictures_may_know_some_of_them(self, tmp_path: Path) -> None:
        pixels = pictures(FRAME)
        write_model(tmp_path / "m.onnx", data_sha256=dataset.digest(SAMPLES, pixels))
        assert audit(tmp_path / "m.onnx", SAMPLES[:-1], pixels[:-1], SIZE).held_out is None

    @pytest.mark.parametrize(
        ("broken", "told"),
        [
            ({"metadata": None}, "has no metadata"),
            ({"classes": ("ill", "well")}, "the model's classes are"),
            ({"batch": 4}, "the model's input must be images"),
        ],
    )
    def test_of_another_contract_is_refused(self, tmp_path: Path, broken: dict[str, object], told: str) -> None:
        path = write_model(tmp_path / "m.onnx", **broken)  # type: ignore[arg-type]
        with pytest.raises(AuditError, match=told):
            audit(path, SAMPLES, pictures(FRAME), SIZE)


class TestAFit:
    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A fit of three folds, whose networks go by brightness, and tell their fold by the logit of viral."""

        def reader(_: Fitted, part: str) -> Read:
            def read(images: np.ndarray) -> Seen:
                bright = images.mean((1, 2)) / 25
                logits = np.stack([5 - bright, bright - 5, bright - 5 + int(part.removeprefix("fold"))], 1)
                return Seen(logits, images.mean((1, 2))[:, None])

            return read

        monkeypatch.setattr(Fitted, "reader", reader)
        (tmp_path / "all").mkdir()
        torch.save({"settings": asdict(Settings(folds=3))}, tmp_path / "all" / "weights.pt")
        return tmp_path

    def test_is_asked_of_each_picture_by_the_network_that_held_its_patient_out(self, run: Path) -> None:
        everything = np.arange(len(SAMPLES))
        bench = {"plain": everything, "stressed": everything, "inverted": everything[7:50]}
        answers = ask_fit(open_fit(run, SAMPLES, pictures(FRAME), SIZE), bench)
        folds = dataset.assign_folds(SAMPLES, 3, 0)
        for name, each in answers.items():
            assert np.array_equal(each.pictures, bench[name])
            assert each.viral == pytest.approx(folds[bench[name]], abs=1e-5)
            assert np.array_equal(each.networks, folds[bench[name]])

    def test_pools_the_folds_each_at_its_own_threshold(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pixels = np.where(TARGETS > 0, 200, 50)[:, None, None].repeat(SIZE, 1).repeat(SIZE, 2).astype(np.uint8)
        pixels[0], pixels[1] = 255, 0  # of 40 healthy one is above all, of 80 ill one is below all
        folds = dataset.assign_folds(SAMPLES, 3, 0)
        in_last = int((folds[2:][TARGETS[2:] > 0] == 2).sum())
        calibrations = {fold: Calibration(1, (0, 0, 0), 2.0 if fold == 2 else 0.5, (0.4, 0.6)) for fold in range(3)}
        monkeypatch.setattr(candidates, "fit_calibration_of_folds", lambda *_: calibrations)
        found = audit(run, SAMPLES, pixels, SIZE)
        assert found.held_out
        assert found.figures["plain"]["auc"].value == 39 * 79 / (40 * 80)
        assert found.figures["plain"]["sensitivity"].value == (79 - in_last) / 80
        assert found.figures["plain"]["specificity"].value == (40 if folds[0] == 2 else 39) / 40


RealFit = tuple[Path, np.ndarray]


@pytest.fixture(scope="module")
def real_fit(tmp_path_factory: pytest.TempPathFactory) -> RealFit:
    """A fit of two folds whose networks have random weights, for pictures of 32 pixels."""
    run, settings = tmp_path_factory.mktemp("run"), Settings(size=32, folds=2, network="lite0-3")
    pixels = np.random.default_rng(0).integers(0, 256, (len(SAMPLES), 32, 32)).astype(np.uint8)
    identity = identify(SAMPLES, pixels, settings, dataset.assign_folds(SAMPLES, 2, 0))
    torch.manual_seed(0)
    for part in ("fold0", "fold1", "all"):
        (run / part).mkdir()
        weights = Network(32, pretrained=False, network="lite0-3").state_dict()
        torch.save({"weights": weights, **identity}, run / part / "weights.pt")
    return run, pixels


def test_onnx_runtime_says_what_the_network_of_the_fold_says(real_fit: RealFit) -> None:
    run, pixels = real_fit
    fit = open_fit(run, SAMPLES, pixels, 32)
    expected = predict_logits(fit.network("fold1"), pixels[:20])
    assert fit.reader("fold1")(pixels[:20]).logits == pytest.approx(expected, abs=1e-4)


def test_logits_of_mirrored_pictures_are_the_mean_of_both_ways_round(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(images: np.ndarray) -> Seen:
        """The logits tell how bright the left edge is."""
        return Seen(images[:, :, 0].mean(1, keepdims=True).repeat(3, 1), np.zeros((len(images), 1)))

    monkeypatch.setattr(Fitted, "reader", lambda *_: read)
    pixels = np.zeros((len(SAMPLES), SIZE, SIZE), np.uint8)
    pixels[:, :, 0], pixels[:, :, -1] = 40, 100
    bench = {"plain": np.arange(len(SAMPLES))}
    fit = Fitted(Path("run"), Settings(folds=2), SAMPLES, pixels, SIZE)
    assert set(held_out_logits(fit, range(2), bench)["plain"].flat) == {40}
    assert set(held_out_logits(fit, range(2), bench, mirrored=True)["plain"].flat) == {70}


@pytest.mark.parametrize("int8", [False, True])
def test_plain_and_stressed_figures_of_a_fit_are_those_of_its_card(real_fit: RealFit, int8: bool) -> None:
    fit = open_fit(real_fit[0], SAMPLES, real_fit[1], 32, int8=int8)
    expected = out_of_fold_figures(out_of_fold(fit).logits, TARGETS, fit.folds, GROUPS)
    answers = ask_fit(fit, dict.fromkeys(FULL, np.arange(len(SAMPLES))))
    for kind in FULL:
        found = figures_of(answers[kind], answers["plain"], TARGETS, GROUPS)
        for name in ("auc", "sensitivity", "specificity", "subtype_auc"):
            assert found[name] == pytest.approx(expected[f"{kind}_{name}"], abs=2e-3)


def test_a_fit_of_other_pictures_or_an_unfinished_one_is_refused(real_fit: RealFit, tmp_path: Path) -> None:
    run, pixels = real_fit
    with pytest.raises(FitError, match="was made from other pictures or labels"):
        audit(run, SAMPLES, 255 - pixels, 32)
    with pytest.raises(FitError, match="run or resume the fit first"):
        audit(tmp_path, SAMPLES, pixels, 32)


class TestFigures:
    """Four pictures: the first two healthy, the others bacterial and viral."""

    targets, groups = np.array([0, 0, 1, 2]), np.array(list("abcd"))

    def answers(self, scores: list[float], viral: list[float] = [0, 0, 0, 1]) -> Answers:  # noqa: B006
        given = np.array(scores)
        return Answers(np.arange(4), given, given >= 0.5, np.array(viral), np.zeros(4, int))

    def test_are_those_worked_out_by_hand(self) -> None:
        plain = self.answers([0.1, 0.2, 0.8, 0.9])
        found = figures_of(self.answers([0.1, 0.6, 0.4, 0.9]), plain, self.targets, self.groups)
        assert {name: figure.value for name, figure in found.items()} == {
            "auc": 0.75,
            "auc_within": 0.75,
            "auc_change": -0.25,
            "slope": pytest.approx(0.3),
            "sensitivity": 0.5,
            "specificity": 0.5,
            "specificity_at_sensitivity_95": 0.5,  # the threshold is then 0.4
            "subtype_auc": 1,
        }

    def test_of_kinds_leave_out_those_in_doubt(self) -> None:
        labels = np.array([0, dataset.SOME_PNEUMONIA, 1, 2])
        answers = self.answers([0.1, 0.6, 0.4, 0.9], viral=[0, 9, 0, 1])
        found = figures_of(answers, answers, labels, self.groups)
        assert found["subtype_auc"].value == 1
        assert found["sensitivity"].value == pytest.approx(2 / 3)

    def test_compare_with_plain_on_the_same_pictures(self) -> None:
        plain = self.answers([0.9, 0.2, 0.3, 0.9])
        some = replace(plain, pictures=np.arange(1, 4), scores=np.array([0.5, 0.4, 0.3]), verdicts=np.zeros(3, bool))
        some = replace(some, viral=np.arange(3.0), networks=np.zeros(3, int))
        assert figures_of(some, plain, self.targets, self.groups)["auc_change"].value == -1

    def test_skill_is_what_exceeds_guessing(self) -> None:
        plain = self.answers([0.1, 0.2, 0.8, 0.9])
        assert skill_kept(self.answers([0.1, 0.6, 0.4, 0.9]), plain, self.targets, self.groups).value == 0.5
        assert skill_kept(self.answers([0.5] * 4), plain, self.targets, self.groups).value == 0

    def test_within_networks_compare_no_pictures_of_two_of_them(self) -> None:
        truth = np.array([False, True, False, True])
        scores = np.array([0.1, 0.2, 0.8, 0.9])
        assert metrics.roc_auc(truth, scores) == 0.75
        assert auc_within(truth, scores, np.array([0, 0, 1, 1])) == 1
        assert auc_within(truth, scores, np.array([0, 1, 1, 0])) == 0.5
        assert np.isnan(auc_within(truth, scores, np.array([0, 1, 0, 1])))


class TestASample:
    @given(st.integers(1, 130))
    def test_holds_whole_patients_and_just_enough(self, count: int) -> None:
        drawn = draw(SAMPLES, count)
        assert np.array_equal(drawn, np.flatnonzero(np.isin(GROUPS, GROUPS[drawn])))
        assert min(count, 120) <= len(drawn) < count + 2 or len(drawn) == 120

    @given(st.integers(1, 120), st.integers(1, 120))
    def test_is_part_of_every_larger_one(self, few: int, many: int) -> None:
        assert set(draw(SAMPLES, min(few, many))) <= set(draw(SAMPLES, max(few, many)))

    @pytest.mark.parametrize(("target", "name"), [(0, "pneumonia"), (1, "normal")])
    def test_in_which_a_class_is_missing_is_refused(self, tmp_path: Path, target: int, name: str) -> None:
        samples = [replace(sample, target=target) for sample in SAMPLES]
        with pytest.raises(AuditError, match=f"no picture is {name} among the 120"):
            audit(write_model(tmp_path / "m.onnx"), samples, pictures(FRAME), SIZE)

    @pytest.mark.parametrize("target", [0, 1])
    def test_in_which_a_class_is_of_one_fold_only_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: int
    ) -> None:
        folds = np.arange(120) % 3
        monkeypatch.setattr("train.audit.open_fit", lambda *_, **__: SimpleNamespace(folds=folds))
        samples = [
            replace(sample, target=target if fold == 0 else 1 - target)
            for sample, fold in zip(SAMPLES, folds, strict=True)
        ]
        with pytest.raises(AuditError, match=r"of the 120 .* all of one class are of one fold: raise --limit"):
            audit(tmp_path, samples, pictures(FRAME), SIZE)


class TestTheCommand:
    def run(self, *arguments: object) -> str:
        result = CliRunner().invoke(app, ["audit", *map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    def test_shows_each_candidate_and_all_side_by_side_and_keeps_the_figures(
        self, tmp_path: Path, make_dataset: Callable[[int], Path]
    ) -> None:
        data = make_dataset(20)
        one, other = write_model(tmp_path / "one.onnx"), write_model(tmp_path / "other.onnx", looks_at=FRAME)
        shown = self.run(one, other, "--data", data, "--json", tmp_path / "audit.json")
        assert f"{one} (model file)" in shown
        assert "side by side" in shown
        for name in STRESSES:
            assert len(re.findall(rf"\n  {name} +[01]\.\d{{3}} \[", shown)) == 2
        assert len(re.findall(rf"\n  {re.escape(report.AIMS)}\n  plain AUC of at least 0\.993 ", shown)) == 2
        assert shown.startswith(f"{one} MAY HAVE BEEN TRAINED ON SOME OF THESE PICTURES, which would flatter it.\n")
        assert re.search(r"plain AUC of at least 0\.993 .* holds, perhaps no hold-out\n", shown)
        assert "only size           not measured" in shown
        kept = json.loads((tmp_path / "audit.json").read_text())
        assert [each["name"] for each in kept["candidates"]] == [str(one), str(other)]
        assert (kept["pictures"], kept["sample"]) == (120, 120)
        assert kept["candidates"][0]["figures"]["plain"]["auc"] == [1, 1, 1]

    def test_shows_true_proportions_of_the_pictures_whose_size_is_known(
        self, tmp_path: Path, make_dataset: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data, path = make_dataset(20), write_model(tmp_path / "m.onnx")
        known = [sample for sample in dataset.read_samples(data) if sample.path.stem.endswith("0")]
        rows = [f"{sample.path.name},{1400 + number},1000" for number, sample in enumerate(known)]
        (tmp_path / "sizes.csv").write_text("\n".join(["name,original_width,original_height", *rows]))
        proportions: list[float] = []

        def applying(name: str, *arguments: Any) -> np.ndarray:
            if name == PROPORTIONS:
                proportions.extend(arguments[-1])
            return apply(name, *arguments)

        monkeypatch.setattr("train.stress.apply", applying)
        shown = self.run(path, "--data", data, "--sizes", tmp_path / "sizes.csv", "--json", tmp_path / "audit.json")
        assert re.search(r"\n  true proportions +1\.000 \[", shown)
        assert proportions == pytest.approx([(1400 + number) / 1000 for number in range(len(known))])
        found = json.loads((tmp_path / "audit.json").read_text())
        assert "true proportions" in found["candidates"][0]["figures"]
        one_class = [row for row in rows if row.startswith("IM-")]
        (tmp_path / "sizes.csv").write_text("\n".join(["name,original_width,original_height", *one_class]))
        assert "\n  true proportions " not in self.run(path, "--data", data, "--sizes", tmp_path / "sizes.csv")

    def test_tells_a_folder_in_place_of_its_file_before_any_work(self, tmp_path: Path) -> None:
        with pytest.raises(AuditError, match=rf"--json {tmp_path} is a folder; name a file"):
            self.run("fast", "--data", tmp_path / "none", "--json", tmp_path)

    def test_says_in_its_first_line_that_figures_are_no_hold_out_figures(
        self, tmp_path: Path, make_dataset: Callable[[int], Path]
    ) -> None:
        data = make_dataset(20)
        samples = dataset.read_samples(data)
        digest = dataset.digest(samples, dataset.load_pixels(samples, dataset.SOURCE_SIZE))
        path = write_model(tmp_path / "m.onnx", data_sha256=digest)
        shown = self.run(path, "--data", data, "--limit", "100")
        assert shown.startswith(f"{path} WAS TRAINED ON THESE PICTURES: its figures are no hold-out figures.\n")
        assert "holds, no hold-out" in shown
        assert "plain and stressed: 100 pictures" in shown

    def test_knows_shipped_models_by_name(
        self, tmp_path: Path, make_dataset: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(models, "FOLDER", tmp_path / "shipped")
        (tmp_path / "shipped" / "quick").mkdir(parents=True)
        write_model(tmp_path / "shipped" / "quick" / "model.onnx")
        assert "\nquick (model file)\n" in self.run("quick", "--data", make_dataset(20), "--limit", "100")

    def test_tells_what_is_no_candidate(
        self,
        tmp_path: Path,
        make_dataset: Callable[[int], Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        data = make_dataset(2)
        monkeypatch.setattr(sys, "argv", ["train", "audit", str(tmp_path / "none"), "--data", str(data)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 1
        assert f"train: {tmp_path / 'none'}: cannot read the model" in capsys.readouterr().err


class TestTheCardsSection:
    IDENTITY: dict[str, object] = {  # noqa: RUF012
        "data": "ab", "folds": "cd", "settings": {"size": 32}, "read": {"size": 32, "int8": False}
    }  # fmt: skip

    def write(self, path: Path) -> Path:
        figure = Interval(0.9, 0.85, 0.95)
        figures = {name: dict.fromkeys([*report.COLUMNS, "auc_change"], figure) for name in STRESSES}
        found = Audit("runs/trial", True, self.IDENTITY, figures, dict.fromkeys(report.SKILL, figure), [CHECK])
        report.write_json([found], {}, 4000, 1500, path)
        return path

    def test_has_a_row_for_every_stress(self, tmp_path: Path) -> None:
        section = report.to_markdown(self.write(tmp_path / "audit.json"), self.IDENTITY)
        for name in STRESSES:
            assert f"| {name} | 0.900 (0.850 to 0.950) |" in section
        assert "4,000 pictures, the rest on 1,500" in section
        assert "logistic regression" not in section  # nothing was measured so
        assert section.endswith(f"\n\n{report.AIMS}\n\n- AUC of at least 0.8: 0.900 (0.850 to 0.950), holds.\n")

    def test_stands_between_figures_and_limits(self, tmp_path: Path) -> None:
        section = report.to_markdown(self.write(tmp_path / "audit.json"), self.IDENTITY)
        figures = {f"{kind}_{name}": (0.9, 0.8, 0.95) for kind in FULL for name in FIGURES | RELIABILITY}
        figures |= {f"{kind}_rejected": (0.9, 0.8, 0.95) for kind in ("plain", "stressed", "mild", *ALTERATIONS)}
        card = replace(CARD, figures=figures, outlier_threshold=2.0, unfamiliar_threshold=1.0)
        for part, headings in (("", ["The gate", "Limits"]), (section, ["The gate", "Audit", "Limits"])):
            write_card(card, Settings(), SAMPLES, "Drawn.", tmp_path / "CARD.md", audit=part)
            text = (tmp_path / "CARD.md").read_text()
            assert re.findall("^## (.*)", text, re.MULTILINE)[-len(headings) :] == headings
            assert "\n\n\n" not in text

    def test_is_made_of_no_other_fits_audit(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "audit.json")
        with pytest.raises(AuditError, match="holds no audit of this fit"):
            report.to_markdown(path, self.IDENTITY | {"data": "other"})
        with pytest.raises(AuditError, match="was audited at another size or precision"):
            report.to_markdown(path, self.IDENTITY | {"read": {"size": 192, "int8": True}})

    def test_is_made_of_nothing_else(self, tmp_path: Path) -> None:
        (tmp_path / "audit.json").write_text('{"some": "thing"}')
        for path in (tmp_path / "audit.json", tmp_path / "none.json"):
            with pytest.raises(AuditError, match="is no file of train audit --json"):
                report.to_markdown(path, self.IDENTITY)


class TestFiguresOfSeveralNetworks:
    """Of two networks, one scores all pictures higher than the other, and each its ill higher than its healthy."""

    targets = np.array([0, 1, 0, 2])
    patients = np.array(list("abcd"))

    @pytest.fixture
    def answers(self, monkeypatch: pytest.MonkeyPatch) -> Answers:
        def value(figure: Callable[[np.ndarray], float], groups: np.ndarray) -> Interval:
            return Interval(figure(np.arange(len(groups))), 0, 0)

        monkeypatch.setattr(metrics, "bootstrap", value)
        scores = np.array([0.1, 0.2, 0.8, 0.9])
        return Answers(np.arange(4), scores, scores >= 0.5, np.zeros(4), np.array([0, 0, 1, 1]))

    def test_rank_within_each_network(self, answers: Answers) -> None:
        figures = figures_of(answers, answers, self.targets, self.patients)
        assert figures["auc"].value == 0.75
        assert figures["auc_within"].value == 1

    def test_keep_the_skill_that_they_have_within_each_network(self, answers: Answers) -> None:
        assert skill_kept(answers, answers, self.targets, self.patients).value == 1


@pytest.mark.parametrize("name", ["frame only", "frame only, filled"])
@pytest.mark.parametrize("auc", [0.2, 0.9])
def test_a_frame_that_gives_the_class_away_is_found_whatever_it_is_filled_with(name: str, auc: float) -> None:
    def sure(value: float) -> Interval:
        return Interval(value, value, value)

    sound = {"auc": 1, "auc_within": 0.5, "auc_change": 0, "specificity_at_sensitivity_95": 1}
    stresses = ("plain", "stressed", "frame masked", "frame only", "frame only, filled")
    figures = {stress: {key: sure(value) for key, value in sound.items()} for stress in stresses}
    assert checks_of(figures)[2].holds
    figures[name]["auc_within"] = sure(auc)
    assert not checks_of(figures)[2].holds
