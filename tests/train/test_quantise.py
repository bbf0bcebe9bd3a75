from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from pneumoscan.card import Card
from pneumoscan.metrics import Interval
from pneumoscan.model import Model
from tests.tiny_model import write_model
from train import change
from train import quantise as quantisation
from train.__main__ import app
from train.calibrate import Calibration
from train.change import Change, Changes, Likeness
from train.errors import ExportError
from train.export import export
from train.gate import Limits, fit_gate
from train.graph import reader
from train.network import Network
from train.quantise import compare, quantise, sample

SIZE = 16
Made = tuple[Path, Path, Card]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise of 64 brightnesses."""
    random = np.random.default_rng(0)
    return np.stack([random.integers(0, 40, (SIZE, SIZE)) + 3 * k for k in range(64)]).astype(np.uint8)


@pytest.fixture(scope="module")
def made(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model in float32, what was made of it, and the card of that."""
    folder = tmp_path_factory.mktemp("quantise")
    torch.manual_seed(0)
    network = Network(SIZE, pretrained=False, network="lite0-9").eval()
    export(
        network,
        Calibration(1.0, (0.0, -0.4, 0.3), 0.61, (0.5, 0.7)),
        fit_gate(reader(network, SIZE), images),
        Limits(rejected=50.0, unfamiliar=1.5),
        {"plain_auc": Interval(0.9, 0.8, 1.0)},
        images,
        folder / "float.onnx",
        name="trial",
        version="0.1.0",
        data_sha256="ab",
        origin="Chance",
        source="Drawn.",
    )
    card = quantise(Model(folder / "float.onnx", "cpu"), images, folder / "small.onnx")
    return folder / "float.onnx", folder / "small.onnx", card


def test_the_file_meets_the_contract_and_says_what_it_is(made: Made, images: np.ndarray) -> None:
    source, path, card = made
    model = Model(path, "cpu")
    assert (model.card.name, model.card.version) == ("trial-int8", "0.1.0")
    assert model.card.to_json() == card.to_json()
    assert card.threshold_method.endswith("by trial in float32")
    assert model.predict(images[:3], heatmaps=True).heatmaps.shape == (3, 1, 1)
    assert path.stat().st_size < 0.6 * source.stat().st_size
    assert sorted(path.parent.iterdir()) == [source, path]


def test_golden_pictures_have_what_they_score_now(made: Made) -> None:
    assert Model(made[1], "cpu").self_test() < 1e-5


def test_the_card_has_no_figures_of_the_source(made: Made, images: np.ndarray, tmp_path: Path) -> None:
    assert Model(made[0], "cpu").card.figures == {"plain_auc": [0.9, 0.8, 1.0]}
    assert made[2].figures == {}
    measured = {"plain_auc": Interval(0.87654, 0.8, 0.9)}
    assert quantise(Model(made[0], "cpu"), images, tmp_path / "m.onnx", figures=measured).figures == {
        "plain_auc": (0.8765, 0.8, 0.9)
    }


def test_probabilities_and_heat_are_aligned_alike(
    made: Made, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {}
    for name, (temperature, offsets) in {"as it was": (1.0, (0, 0, 0)), "aligned": (0.5, (0, 1.0, -2.0))}.items():
        found = Calibration(temperature, offsets, 0.5, (0.5, 0.5))
        monkeypatch.setattr(quantisation, "align_rounded", lambda *_, found=found: found)
        quantise(Model(made[0], "cpu"), images, tmp_path / "m.onnx")
        scores[name] = Model(tmp_path / "m.onnx", "cpu").predict(images[:8], heatmaps=True)
    expected = found.probabilities(np.log(scores["as it was"].probabilities))
    assert scores["aligned"].probabilities == pytest.approx(expected, abs=1e-5)
    assert scores["aligned"].heatmaps[:, 0, 0] == pytest.approx(1 - expected[:, 0], abs=1e-5)  # of the only cell


def test_scores_hardly_differ(made: Made, images: np.ndarray) -> None:
    found = compare(Model(made[0], "cpu"), Model(made[1], "cpu"), images)
    assert 0 < found.mean <= found.largest < 0.05
    expected = np.abs(Model(made[0], "cpu").predict(images).probabilities[:, 0]
                      - Model(made[1], "cpu").predict(images).probabilities[:, 0]).max()  # fmt: skip
    assert found.largest == pytest.approx(expected, abs=1e-4)


def test_a_model_is_just_like_itself(made: Made, images: np.ndarray) -> None:
    model = Model(made[0], "cpu")
    found = compare(model, model, images)
    assert (found.largest, found.mean) == (0, 0)
    assert (found.same_label, found.same_review, found.same_refusal) == (1, 1, 1)
    assert found.refused[0] == found.refused[1]


def test_only_the_networks_convolutions_have_weights_in_8_bits(made: Made) -> None:
    graph = onnx.load(made[1]).graph
    stored = {each.name for each in graph.initializer if each.data_type == onnx.TensorProto.INT8}
    restored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in stored}
    users = [node for node in graph.node if restored & set(node.input)]
    assert {node.op_type for node in users} == {"Conv"}
    assert len(users) == len([node for node in graph.node if node.op_type == "Conv"]) - 2  # the first, the heatmap's


def test_weights_have_seven_bits_unless_eight_are_asked_for(made: Made, images: np.ndarray, tmp_path: Path) -> None:
    quantise(Model(made[0], "cpu"), images, tmp_path / "eight.onnx", reduce_range=False)
    largest = [
        max(np.abs(onnx.numpy_helper.to_array(each).astype(int)).max()
            for each in onnx.load(path).graph.initializer
            if each.data_type == onnx.TensorProto.INT8)
        for path in (made[1], tmp_path / "eight.onnx")
    ]  # fmt: skip
    assert largest == [64, 127]


def test_chest_xrays_keep_their_outlier_scores_on_average(made: Made, images: np.ndarray) -> None:
    before, after = (np.median(Model(path, "cpu").predict(images).outlier_scores) for path in made[:2])
    assert after == pytest.approx(before, abs=0.3)


def test_what_cannot_be_quantised_is_told(tiny_model: Path, made: Made, images: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no convolutions in float32"):
        quantise(Model(tiny_model, "cpu"), images, tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="has no convolutions in float32"):
        quantise(Model(made[1], "cpu"), images, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_calibration_and_comparison_share_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "CALIBRATION", 6)
    pixels = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8) + 100
    first, others = sample(pixels, 16)
    assert (first.shape, others.shape) == ((12, 16, 16), (28, 16, 16))
    assert sorted([*first[:6, 0, 0], *others[:14, 0, 0]]) == list(range(100, 120))
    assert (first[6:, 0, 0] == 0).all()  # stressed: the frame is black


def test_the_command_tells_how_far_the_scores_are(
    made: Made, make_dataset: Callable[[int], Path], tmp_path: Path
) -> None:
    arguments = ["quantise", str(made[0]), "--data", str(make_dataset(2)), "--out", str(tmp_path / "new" / "m.onnx")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "12 other pictures, half of them stressed" in result.output
    assert "trial-int8 0.1.0" in result.output
    assert Model(tmp_path / "new" / "m.onnx", "cpu").card.name == "trial-int8"


def test_the_command_puts_what_it_measured_of_the_fit_into_the_card(
    made: Made, make_dataset: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(run: Path, samples: list, pixels: np.ndarray, size: int, *, reduce_range: bool) -> Changes:
        assert (run, len(samples), len(pixels), size, reduce_range) == (tmp_path / "run", 12, 12, SIZE, False)
        figure = Change(Interval(0.9, 0.8, 0.95), Interval(0.7, 0.6, 0.8), Interval(-0.2, -0.3, -0.1))
        return Changes({"plain_auc": figure}, {"as it was": Likeness(0.99, 0.01, 0.1)})

    monkeypatch.setattr(change, "measure", measure)
    arguments = ["quantise", str(made[0]), "--data", str(make_dataset(2)), "--out", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(app, [*arguments, "--run", str(tmp_path / "run"), "--no-reduce-range"])
    assert result.exit_code == 0, result.output
    assert Model(tmp_path / "m.onnx", "cpu").card.figures == {"plain_auc": [0.7, 0.6, 0.8]}
    assert (
        "| plain_auc | 0.900 (0.800 to 0.950) | 0.700 (0.600 to 0.800) | -0.2000 (-0.3000 to -0.1000) |"
        in result.output
    )
    assert "| as it was | 0.9900 | 0.0100 | 0.100 |" in result.output


def test_the_command_asks_for_a_model(make_dataset: Callable[[int], Path], tmp_path: Path) -> None:
    gone = write_model(tmp_path / "m.onnx", metadata=None)
    arguments = ["quantise", str(gone), "--data", str(make_dataset(1)), "--out", str(tmp_path / "n.onnx")]
    assert "has no metadata" in str(CliRunner().invoke(app, arguments).exception)
