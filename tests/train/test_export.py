import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import torch

from pneumoscan import Scanner, models
from pneumoscan.card import METADATA_KEY, Card
from pneumoscan.metrics import Interval
from pneumoscan.model import Model
from tests.conftest import ROOT
from train import dataset
from train import export as exporting
from train.alter import ALTERATIONS
from train.calibrate import Calibration
from train.card import FIGURES as CARD_FIGURES
from train.card import KERMANY, RELIABILITY, write_card
from train.errors import ExportError
from train.export import export, shortened
from train.gate import Limits, fit_gate, score
from train.graph import Read, reader, reading_graph
from train.network import Network, predict_logits
from train.quantise import quantised
from train.settings import Settings

CALIBRATION = Calibration(0.7, (0.0, -0.4, 0.3), 0.61239, (0.51239, 0.70001))
FIGURES = {"plain_auc": Interval(0.99, 0.98, 0.995)}
LIMITS = Limits(rejected=50.00001, unfamiliar=1.50001)

SAMPLES = [dataset.Sample(Path(f"{k}.png"), k % 3, f"patient{k}") for k in range(6)]


class Exported(NamedTuple):
    path: Path
    card: Card
    network: Network
    read: Read
    """The network as it was calibrated."""


def complete(card: Card) -> Card:
    """The card with every figure."""
    figures = {
        f"{kind}_{name}": (0.9, 0.8, 0.95) for kind in ("plain", "stressed") for name in CARD_FIGURES | RELIABILITY
    }
    shares = {f"{kind}_{what}" for kind in ("plain", "stressed", "mild") for what in ("rejected", "unfamiliar")}
    figures |= dict.fromkeys(shares | {f"{kind}_rejected" for kind in ALTERATIONS}, (0.01, 0.0, 0.02))
    return replace(card, figures=figures)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:64]
    return np.stack([(x * (k + 1) + y * 3 + k * 7) % 256 for k in range(32)]).astype(np.uint8)


def write(path: Path, images: np.ndarray, *, int8: bool = False, network: str = "lite0-3") -> Exported:
    torch.manual_seed(0)
    trained = Network(64, network=network).eval()
    graph = reading_graph(trained, 64)
    read = reader(quantised(graph, "logits", images) if int8 else graph)
    card = export(
        trained,
        read,
        CALIBRATION,
        fit_gate(read, images),
        LIMITS,
        FIGURES,
        images,
        path,
        range_images=images if int8 else None,
        name="trial",
        version="0.1.0",
        data_sha256="ab",
        origin="EfficientNet-Lite0 from ImageNet weights",
        source="Drawn.",
    )
    return Exported(path, card, trained, read)


@pytest.fixture(scope="module")
def exported(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return write(tmp_path_factory.mktemp("export") / "m.onnx", images, network="compact")


def test_the_file_meets_the_contract_and_says_what_it_is(exported: Exported, images: np.ndarray) -> None:
    path, card = exported.path, exported.card
    model = Model(path, "cpu")
    assert model.card.to_json() == card.to_json()
    assert (card.threshold, card.review_band, card.input_size) == (0.6123, (0.5123, 0.7001), 64)  # none is narrower
    assert card.licence == (
        "Apache-2.0. Network: EfficientNet-Lite0 from ImageNet weights, Apache-2.0. Training data: Drawn."
    )
    assert card.figures == {"plain_auc": (0.99, 0.98, 0.995)}
    assert model.self_test() < 1e-4
    probabilities = model.predict(images[:5]).probabilities
    assert probabilities.shape == (5, 3)
    assert probabilities.sum(1) == pytest.approx(np.ones(5), abs=1e-5)
    heatmap = model.predict(images[:5], heatmaps=True).heatmaps
    assert heatmap.shape == (5, 2, 2)
    assert 0 <= heatmap.min() <= heatmap.max() <= 1
    properties = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert json.loads(properties[METADATA_KEY])["name"] == "trial"


@pytest.mark.parametrize(
    ("probability", "whole", "short"),
    [
        (0.61278, math.floor, 0.6127),
        (0.61272, math.ceil, 0.6128),
        (0.012345678, math.floor, 0.01234),
        (0.99999731234, math.floor, 0.999997312),
        (3e-6, math.ceil, 3e-6),
        (0.0, math.ceil, 0.0),
        (1.0, math.floor, 1.0),
    ],
)
def test_thresholds_are_shortened_so_that_nothing_that_reached_one_falls_below_it(
    probability: float, whole: Callable[[float], int], short: float
) -> None:
    found = shortened(probability, whole)
    assert found == pytest.approx(short, abs=1e-15)
    assert found <= probability if whole is math.floor else found >= probability


def test_the_file_tells_nothing_of_the_machine_that_made_it(exported: Exported) -> None:
    content = exported.path.read_bytes()
    for trace in (str(ROOT), sys.prefix, "site-packages", "stack_trace"):
        assert trace.encode() not in content


def test_the_calibration_is_inside_the_file(exported: Exported, images: np.ndarray) -> None:
    expected = CALIBRATION.probabilities(predict_logits(exported.network, images))
    assert Model(exported.path, "cpu").predict(images).probabilities == pytest.approx(expected, abs=1e-4)


def test_the_gate_is_inside_the_file(exported: Exported, images: np.ndarray) -> None:
    card = exported.card
    assert (card.outlier_threshold, card.unfamiliar_threshold) == (50.0001, 1.5001)  # no more than said lie above
    scores = Model(exported.path, "cpu").predict(images).outlier_scores
    gate = fit_gate(exported.read, images)
    assert scores == pytest.approx(score(gate, exported.read(images).texture), abs=1e-3)


def test_exporting_again_gives_the_same_bytes(images: np.ndarray, tmp_path: Path) -> None:
    first, again = (write(tmp_path / name, images).path.read_bytes() for name in ("first.onnx", "again.onnx"))
    assert again == first


@pytest.fixture(scope="module")
def small(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return write(tmp_path_factory.mktemp("int8") / "m.onnx", images, int8=True, network="compact")


class TestConvolutionsIn8Bits:
    def test_make_a_smaller_file_of_the_same_contract(self, small: Exported, exported: Exported) -> None:
        model = Model(small.path, "cpu")
        assert model.card.to_json() == small.card.to_json()
        assert small.path.stat().st_size < 0.4 * exported.path.stat().st_size
        assert {path.name for path in small.path.parent.iterdir()} == {small.path.name, f"{small.path.name}.sha256"}
        assert models.recorded_digest(small.path) == model.sha256

    def test_score_nearly_as_those_in_float32_and_golden_pictures_as_the_file(
        self, small: Exported, exported: Exported, images: np.ndarray
    ) -> None:
        model, before = Model(small.path, "cpu"), Model(exported.path, "cpu").predict(images, heatmaps=True)
        found = model.predict(images, heatmaps=True)
        for name in ("probabilities", "heatmaps"):
            one, other = (getattr(each, name) - getattr(each, name).mean(0) for each in (before, found))
            alike, shuffled = (np.corrcoef(one.ravel(), each.ravel())[0, 1] for each in (other, np.roll(other, 16, 0)))
            assert shuffled < 0.5, name
            assert 0.9 < alike < 1, name
        assert model.self_test() < 1e-4
        assert [each["probabilities"] for each in small.card.golden] != [
            each["probabilities"] for each in exported.card.golden
        ]

    def test_are_what_calibration_and_gate_were_fitted_on(self, small: Exported, images: np.ndarray) -> None:
        seen, found = small.read(images), Model(small.path, "cpu").predict(images)
        assert found.probabilities == pytest.approx(CALIBRATION.probabilities(seen.logits), abs=1e-4)
        assert found.outlier_scores == pytest.approx(score(fit_gate(small.read, images), seen.texture), abs=1e-3)

    def test_are_told_on_the_card(self, exported: Exported, tmp_path: Path) -> None:
        shown = []
        for int8 in (False, True):
            write_card(complete(exported.card), Settings(), SAMPLES, "Drawn.", tmp_path / "CARD.md", int8=int8)
            shown.append("are quantised to 8 bits" in (tmp_path / "CARD.md").read_text())
        assert shown == [False, True]

    def test_a_file_that_scores_otherwise_is_not_written(
        self, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def quantised_otherwise(model: onnx.ModelProto, output: str, range_images: np.ndarray) -> onnx.ModelProto:
            return quantised(model, output, range_images // 2)

        monkeypatch.setattr(exporting, "quantised", quantised_otherwise)
        with pytest.raises(ExportError, match=r"of the file and of the network differ by .* on a batch of 1"):
            write(tmp_path / "m.onnx", images, int8=True)
        assert not list(tmp_path.iterdir())


def test_a_file_that_scores_differently_is_not_written(
    tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Model.predict
    monkeypatch.setattr(
        Model,
        "predict",
        lambda self, batch, **options: predict(self, batch, **options)._replace(
            probabilities=np.zeros((len(batch), 3))
        ),
    )
    with pytest.raises(ExportError, match=r"differ by .* on a batch of 1"):
        write(tmp_path / "m.onnx", images)
    assert not list(tmp_path.iterdir())


def test_the_scanner_takes_the_file(exported: Exported, make_dataset: Callable[[int], Path]) -> None:
    records = list(Scanner(exported.path, device="cpu").scan([make_dataset(1)]))
    assert [(record.status, record.model) for record in records] == [("ok", "trial-0.1.0")] * 6


def test_the_card_tells_figures_data_and_limits(
    exported: Exported, tmp_path: Path, make_dataset: Callable[[int], Path]
) -> None:
    samples = dataset.read_samples(make_dataset(20))
    special = {"stressed_specificity": (0.91234, 0.85, 0.93), "upside_down_rejected": (0.99, 0.98, 1.0)}
    card = complete(exported.card)
    card = replace(card, figures=card.figures | special)
    write_card(card, Settings(network="lite0-9"), samples, "Drawn.", tmp_path / "CARD.md")
    text = (tmp_path / "CARD.md").read_text()
    assert "| specificity at the threshold | 0.900 (0.800 to 0.950) | 0.912 (0.850 to 0.930) |" in text
    assert "# Model card: trial 0.1.0" in text
    assert "120 pictures of 60 patients, as far as is known (40 normal, 40 bacterial, 40 viral)" in text
    for phrase in (
        "not a medical device",
        "normal, 40 bacterial, 40 viral). Drawn.",
        "Network: the first 9 blocks of EfficientNet-Lite0 from ImageNet weights, all layers fine-tuned",
        "Threshold **0.6123**",
        "Review band **0.5123 to 0.7001**",
        "Above **50.0001** a picture is rejected",
        "Above **1.5001** it is scored",
        "| mildly changed | 0.010 (0.000 to 0.020) | 0.010 (0.000 to 0.020) |",
        "| upside down | 0.990 (0.980 to 1.000) |  |",
    ):
        assert phrase in text
    assert "held-out fold" not in text


def test_the_card_tells_subtypes_by_fold_where_they_are_known(exported: Exported, tmp_path: Path) -> None:
    card = complete(exported.card)
    of_folds = {
        f"{kind}_subtype_{figure}_fold_{fold}": (value + fold / 10, 0.6, 0.9)
        for kind, figure, value in (
            ("plain", "auc", 0.61),
            ("stressed", "auc", 0.62),
            ("plain", "accuracy", 0.63),
            ("stressed", "accuracy", 0.64),
        )
        for fold in range(2)
    }
    card = replace(card, figures=card.figures | of_folds)
    write_card(card, Settings(folds=2), SAMPLES, "Drawn.", tmp_path / "CARD.md")
    text = (tmp_path / "CARD.md").read_text()
    for row in (
        "| 1 | 0.610 (0.600 to 0.900) | 0.620 (0.600 to 0.900) | 0.630 (0.600 to 0.900) | 0.640 (0.600 to 0.900) |",
        "| 2 | 0.710 (0.600 to 0.900) | 0.720 (0.600 to 0.900) | 0.730 (0.600 to 0.900) | 0.740 (0.600 to 0.900) |",
    ):
        assert f"\n{row}\n" in text


def card_of(source: str, card: Card, path: Path) -> str:
    """The words of a card, with all that it may say."""
    settings = Settings(teacher_share=0.6, teacher="ab", balance_texture=True)
    write_card(complete(card), settings, SAMPLES, source, path)
    return " ".join(path.read_text().split())


@pytest.mark.parametrize(
    ("learned", "told"),
    [(0, "of the same data say. 4 patient-wise folds"), (3, "of the same data say. In 3 more epochs the network")],
)
def test_the_card_tells_of_labels_in_doubt_and_whether_they_were_learned(
    exported: Exported, tmp_path: Path, learned: int, told: str
) -> None:
    doubtful = [replace(sample, doubtful=sample.target == 2) for sample in SAMPLES]
    settings = Settings(doubting_epochs=learned, teacher_share=0.5, teacher="ab")
    write_card(complete(exported.card), settings, doubtful, "Drawn.", tmp_path / "CARD.md")
    text = " ".join((tmp_path / "CARD.md").read_text().split())
    assert "Of 2 of the pneumonias the labels of kind are in doubt" in text
    assert told in text
    assert ("of teachers only how likely that is" in text) == ("it rises there" in text) == (learned > 0)
    if learned:
        write_card(
            complete(exported.card), replace(settings, teacher_share=0), doubtful, "Drawn.", tmp_path / "CARD.md"
        )
        assert "only that they are pneumonias. The loss" in " ".join((tmp_path / "CARD.md").read_text().split())
    assert "in doubt: in the order" not in card_of("Drawn.", exported.card, tmp_path / "CARD.md")


def test_the_card_tells_of_all_epochs_where_no_label_is_in_doubt(exported: Exported, tmp_path: Path) -> None:
    write_card(complete(exported.card), Settings(doubting_epochs=3), SAMPLES, "Drawn.", tmp_path / "CARD.md")
    assert "3 more epochs followed at a higher rate" in (tmp_path / "CARD.md").read_text()


def test_the_card_of_other_data_does_not_say_what_is_known_of_the_published_data(
    exported: Exported, tmp_path: Path
) -> None:
    published, own = (card_of(source, exported.card, tmp_path / "CARD.md") for source in (KERMANY, "My own."))
    for phrase in (
        "as the training copies were",
        "see the models' change log",
        "labels for it are noisy",
        "and of adults, were not",
        "which are rare in these data",
        "children of Kermany et al.",
    ):
        assert phrase in published
        assert phrase not in own
    assert "Kermany" not in own
    assert "learned from others (distillation" in own


def test_the_card_tells_how_many_pictures_the_gate_was_really_fitted_on(exported: Exported, tmp_path: Path) -> None:
    assert "Mahalanobis distance to 6 training pictures" in card_of("Drawn.", exported.card, tmp_path / "CARD.md")
