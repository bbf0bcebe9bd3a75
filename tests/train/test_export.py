import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from pneumoscan import Scanner
from pneumoscan.metrics import Interval
from pneumoscan.model import METADATA_KEY, Card, Model
from train import dataset
from train.calibrate import Calibration, out_of_fold_figures
from train.card import write_card
from train.errors import ExportError
from train.export import export
from train.fit import Settings
from train.network import Network

CALIBRATION = Calibration(0.7, (0.0, -0.4, 0.3), 0.61, (0.5, 0.7))
FIGURES = {"plain_auc": Interval(0.99, 0.98, 0.995)}


@pytest.fixture
def images() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:64]
    return np.stack([(x * (k + 1) + y * 3 + k * 7) % 256 for k in range(32)]).astype(np.uint8)


def write(path: Path, images: np.ndarray) -> Card:
    return export(Network(64), CALIBRATION, FIGURES, images, path, name="trial", version="0.1.0", data_sha256="ab")


def test_the_file_meets_the_contract_and_says_what_it_is(tmp_path: Path, images: np.ndarray) -> None:
    card = write(tmp_path / "m.onnx", images)
    model = Model(tmp_path / "m.onnx", "cpu")
    assert model.card.to_json() == card.to_json()
    assert (card.threshold, card.review_band, card.input_size) == (0.61, (0.5, 0.7), 64)
    assert card.figures == {"plain_auc": (0.99, 0.98, 0.995)}
    assert model.self_test() < 1e-4
    probabilities = model.predict(images[:5]).probabilities
    assert probabilities.shape == (5, 3)
    assert probabilities.sum(1) == pytest.approx(np.ones(5), abs=1e-5)
    heatmap = model.heatmap(images[:5])
    assert heatmap.shape == (5, 2, 2)
    assert 0 <= heatmap.min() <= heatmap.max() <= 1
    properties = {each.key: each.value for each in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(properties[METADATA_KEY])["name"] == "trial"


def test_the_calibration_is_inside_the_file(tmp_path: Path, images: np.ndarray) -> None:
    from train.network import predict_logits

    network = Network(64)
    export(network, CALIBRATION, FIGURES, images, tmp_path / "m.onnx", name="n", version="1", data_sha256="")
    expected = CALIBRATION.probabilities(predict_logits(network, images))
    assert Model(tmp_path / "m.onnx", "cpu").predict(images).probabilities == pytest.approx(expected, abs=1e-4)


def test_a_file_that_scores_differently_is_not_written(
    tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = Model.predict
    monkeypatch.setattr(
        Model, "predict", lambda self, batch: predict(self, batch)._replace(probabilities=np.zeros((len(batch), 3)))
    )
    with pytest.raises(ExportError, match=r"differ by .* on a batch of 1"):
        write(tmp_path / "m.onnx", images)
    assert not (tmp_path / "m.onnx").exists()


def test_the_scanner_takes_the_file(tmp_path: Path, images: np.ndarray, make_dataset: Callable[[int], Path]) -> None:
    write(tmp_path / "m.onnx", images)
    records = list(Scanner(tmp_path / "m.onnx", device="cpu").scan([make_dataset(1)]))
    assert [(record.status, record.model) for record in records] == [("ok", "trial-0.1.0")] * 6


def test_the_card_tells_figures_data_and_limits(
    tmp_path: Path, images: np.ndarray, make_dataset: Callable[[int], Path]
) -> None:
    samples = dataset.read_samples(make_dataset(20))
    targets = np.array([sample.target for sample in samples])
    logits = np.random.default_rng(0).normal(size=(len(targets), 3))
    groups = np.array([sample.group for sample in samples])
    figures = out_of_fold_figures({"plain": logits, "stressed": logits}, targets, np.arange(len(targets)) % 2, groups)
    card = export(
        Network(64), CALIBRATION, figures, images, tmp_path / "m.onnx", name="trial", version="0.1.0", data_sha256="ab"
    )
    write_card(card, Settings(), samples, tmp_path / "CARD.md")
    text = (tmp_path / "CARD.md").read_text()
    value, low, high = card.figures["stressed_specificity"]
    assert f"{value:.3f} ({low:.3f} to {high:.3f}) |" in text
    assert "# Model card: trial 0.1.0" in text
    assert "120 pictures of 60 patients (40 normal, 40 bacterial, 40 viral)" in text
    for phrase in ("not a medical device", "CC BY 4.0", "Threshold **0.61**", "Review band **0.5 to 0.7**"):
        assert phrase in text
