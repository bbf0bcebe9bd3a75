from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from pneumoscan import metrics
from train import change, dataset
from train.calibrate import out_of_fold_figures
from train.change import compare, measure
from train.dataset import Sample
from train.errors import FitError
from train.network import Network
from train.rounding import rounded
from train.settings import Settings, identify
from train.validate import out_of_fold

COUNT = 600
TARGETS = np.arange(COUNT) % 3
FOLDS = np.arange(COUNT) % 2
GROUPS = np.arange(COUNT).astype(str)
SAMPLES = [Sample(Path(f"{k}.png"), k % 3, f"patient{k}") for k in range(48)]
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 32, 32)).astype(np.uint8)
Logits = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "resamples", partial(metrics.resamples, rounds=50))


def simulate(seed: int, noise: float = 2.0) -> Logits:
    """Logits that tell the classes apart, more or less."""
    random = np.random.default_rng(seed)
    return {name: 3 * np.eye(3)[TARGETS] + random.normal(0, noise, (COUNT, 3)) for name in ("plain", "stressed")}


def compared(before: Logits, after: Logits) -> change.Changes:
    """Networks that were trained on the pictures of the other fold, and say the same of them as out of fold."""
    trained_on = {fold: (before["plain"][1 - fold :: 2], after["plain"][1 - fold :: 2]) for fold in (0, 1)}
    return compare(before, after, trained_on, TARGETS, FOLDS, GROUPS)


def test_what_was_not_changed_has_the_same_figures() -> None:
    logits = simulate(0)
    found = compared(logits, logits)
    assert {name: each.difference.value for name, each in found.figures.items()} == pytest.approx(
        dict.fromkeys(found.figures, 0), abs=0.003
    )
    for how in ("as it was", "fitted anew"):
        assert (found.likeness[how].same_label, found.likeness[how].largest) == (1, 0)


def test_the_figures_before_are_those_of_the_fit() -> None:
    logits = simulate(0)
    expected = out_of_fold_figures(logits, TARGETS, FOLDS, GROUPS)
    found = compared(logits, simulate(1)).figures
    for name in ("auc", "sensitivity", "specificity", "specificity_at_sensitivity_90"):
        assert found[f"stressed_{name}"].before.value == pytest.approx(expected[f"stressed_{name}"].value)


def test_a_shift_and_a_scale_are_undone() -> None:
    before = simulate(0)
    after = {name: (each + np.array([0, 2.0, -1.0])) * 1.7 for name, each in before.items()}
    found = compared(before, after)
    assert found.likeness["as it was"].mean > 0.05
    assert found.likeness["aligned"].mean < 0.01
    assert found.likeness["aligned"].same_label > 0.99
    assert found.likeness["fitted anew"].mean < 1e-3
    assert found.figures["plain_sensitivity"].difference.value == pytest.approx(0, abs=0.01)


def test_what_rounding_costs_has_an_interval_over_the_same_patients() -> None:
    before = simulate(0)
    random = np.random.default_rng(1)
    after = {name: each + random.normal(0, 2, each.shape) for name, each in before.items()}
    found = compared(before, after).figures["plain_auc"]
    assert found.difference.value == pytest.approx(found.after.value - found.before.value)
    assert found.difference.low < found.difference.value < found.difference.high < 0
    assert found.difference.high - found.difference.low < found.after.high - found.after.low


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of `PIXELS`: two folds with random weights."""
    run = tmp_path_factory.mktemp("run")
    settings = Settings(size=32, folds=2, network="compact")
    identity = identify(SAMPLES, PIXELS, settings, dataset.assign_folds(SAMPLES, 2, 0))
    torch.manual_seed(0)
    for part in ("fold0", "fold1", "all"):
        (run / part).mkdir()
        weights = Network(32, pretrained=False, network="compact").state_dict()
        torch.save({"weights": weights, **identity}, run / part / "weights.pt")
    return run


def test_each_network_is_rounded_by_what_it_was_trained_on_and_asked_of_the_rest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrating, compared = [], []
    monkeypatch.setattr(
        change, "rounded", lambda *given, **options: calibrating.append(given[2]) or rounded(*given, **options)
    )
    monkeypatch.setattr(change, "compare", lambda *given: compared.extend(given))
    measure(run, SAMPLES, PIXELS, 32)

    folds = dataset.assign_folds(SAMPLES, 2, 0)
    for fold, images in enumerate(calibrating):
        plain = {each.tobytes() for each in images[: len(images) // 2]}
        assert plain == {each.tobytes() for each in PIXELS[folds != fold]}
    before, after, trained_on, targets, _, groups = compared
    identity = identify(SAMPLES, PIXELS, Settings(size=32, folds=2, network="compact"), folds)
    expected = out_of_fold(run, PIXELS, folds, 32, identity).logits
    for name in ("plain", "stressed"):
        assert before[name] == pytest.approx(expected[name], abs=1e-4)
        assert 0 < np.abs(after[name] - before[name]).max() < 0.5 * np.ptp(before[name])
    assert [len(each) for pair in trained_on.values() for each in pair] == [48] * 4
    assert list(targets) == [each.target for each in SAMPLES]
    assert list(groups) == [each.group for each in SAMPLES]


def test_a_fit_of_other_pictures_is_refused(run: Path) -> None:
    with pytest.raises(FitError, match="was made with other data"):
        measure(run, SAMPLES, 255 - PIXELS, 32)
