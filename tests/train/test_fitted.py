from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from train import dataset, fitted
from train.dataset import Sample
from train.errors import FitError
from train.fitted import Fitted, open_fit
from train.graph import reading_graph
from train.network import Network
from train.quantise import quantised
from train.settings import Settings, identify

SAMPLES = [Sample(Path(f"{k}.png"), k % 3, f"patient{k}") for k in range(48)]
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 32, 32)).astype(np.uint8)
SETTINGS = Settings(size=32, folds=2, network="lite0-3")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of two folds with random weights."""
    run = tmp_path_factory.mktemp("run")
    identity = identify(SAMPLES, PIXELS, SETTINGS, dataset.assign_folds(SAMPLES, 2, 0))
    torch.manual_seed(0)
    for part in ("fold0", "fold1", "all"):
        (run / part).mkdir()
        weights = Network(32, pretrained=False, network="lite0-3").state_dict()
        torch.save({"weights": weights, **identity}, run / part / "weights.pt")
    return run


@pytest.fixture
def fit(run: Path) -> Fitted:
    return open_fit(run, SAMPLES, PIXELS, 32, int8=True)


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    torch.manual_seed(0)
    return reading_graph(Network(32, pretrained=False, network="compact").eval(), 32)


def test_a_network_was_trained_on_what_its_fold_did_not_hold_out(fit: Fitted) -> None:
    assert fit.settings == SETTINGS
    for fold in (0, 1):
        assert sorted([*fit.trained_on(f"fold{fold}"), *np.flatnonzero(fit.folds == fold)]) == list(range(48))
    assert np.array_equal(fit.trained_on("all"), np.arange(48))


def test_figures_tell_how_networks_were_read(fit: Fitted) -> None:
    assert fit.read_identity != replace(fit, int8=False).read_identity
    assert fit.read_identity != replace(fit, size=64).read_identity
    assert fit.read_identity == fit.identity | {"read": {"size": 32, "int8": True}}


def test_in_8_bits_a_network_says_nearly_the_same(fit: Fitted) -> None:
    before, after = (replace(fit, int8=int8).reader("fold0")(PIXELS).logits for int8 in (False, True))
    assert 0 < np.abs(after - before).max() < 0.2 * before.std()


def test_ranges_are_found_on_what_the_network_was_trained_on_plain_and_stressed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted, "RANGE_PICTURES", 8)
    flat = np.arange(100, 148, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 32), np.uint8)
    fit = open_fit(run, SAMPLES, flat, 32)
    views = fit.range_images("fold1")
    assert views.shape == (16, 32, 32)
    assert set(views[:8, 0, 0] - 100) <= set(np.flatnonzero(fit.folds != 1))
    assert (views[8:, 0] == 0).all()  # stressed: the frame is black


def test_a_network_is_quantised_by_what_it_was_trained_on_alone(fit: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(fitted, "quantised", lambda *given: used.append(given[2]) or quantised(*given))
    fit.reader("fold1")
    assert np.array_equal(used[0], fit.range_images("fold1"))
    assert not np.array_equal(used[0], fit.range_images("all"))


def test_only_convolutions_have_weights_in_8_bits_and_use_7_where_sums_might_overflow(graph: onnx.ModelProto) -> None:
    found = quantised(graph, "logits", PIXELS).graph
    stored = {each.name: each for each in found.initializer if each.data_type == onnx.TensorProto.INT8}
    restored = {
        node.output[0]: stored[node.input[0]]
        for node in found.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    users = [node for node in found.node if restored.keys() & set(node.input)]
    assert {node.op_type for node in users} == {"Conv"}
    assert len(users) == len([node for node in found.node if node.op_type == "Conv"]) - 1  # the first
    largest: dict[bool, set[int]] = {False: set(), True: set()}
    for node in users:
        weights = onnx.numpy_helper.to_array(restored[node.input[1]]).astype(int)
        largest[weights.shape[1] == 1].add(np.abs(weights).max())
    assert largest == {False: {64}, True: {127}}


def test_a_fit_that_is_missing_or_of_other_pictures_is_told(fit: Fitted, tmp_path: Path) -> None:
    with pytest.raises(FitError, match="run or resume the fit first"):
        open_fit(tmp_path, SAMPLES, PIXELS, 32)
    with pytest.raises(FitError, match="was made from other pictures or labels"):
        open_fit(fit.run, SAMPLES, PIXELS + 1, 32).reader("fold0")
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "weights.pt").mkdir()
    with pytest.raises(FitError, match=r"cannot read .*weights.pt: Is a directory"):
        open_fit(tmp_path, SAMPLES, PIXELS, 32)
