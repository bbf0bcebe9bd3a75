"""What 8-bit convolutions cost a fit: the network of each fold, quantised as a model file is, on patients it never saw.

Ranges of maps, temperature and offsets come from pictures that the fold was trained on (see `train.quantise`), the
thresholds from the other folds in float32, as in the file that is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscan import metrics
from pneumoscan.metrics import Interval
from train import dataset, stress
from train.align import align_rounded
from train.calibrate import Calibration, Logits, fit_calibration_of_folds, judge_out_of_fold, specificity_at
from train.candidates import FULL
from train.dataset import CLASSES, Sample
from train.errors import ExportError
from train.graph import graph_reader, reading_graph
from train.quantise import CALIBRATION, SEED, views
from train.rounding import rounded
from train.settings import identify
from train.validate import STRESS_SEED, load_network, load_settings

OF_SCORES: dict[str, Callable[[NDArray[np.bool_], NDArray[np.floating]], float]] = {
    "auc": metrics.roc_auc,
    "specificity_at_sensitivity_95": partial(specificity_at, 0.95),
    "specificity_at_sensitivity_90": partial(specificity_at, 0.90),
}
OF_VERDICTS: dict[str, Callable[[NDArray[np.bool_], NDArray[np.bool_]], float]] = {
    "sensitivity": lambda truth, verdicts: float(verdicts[truth].mean()),
    "specificity": lambda truth, verdicts: float((~verdicts[~truth]).mean()),
}

_Judged = Mapping[str, tuple[NDArray[np.floating], NDArray[np.bool_]]]
"""By stress, probabilities of pneumonia and verdicts, [N]."""


class Change(NamedTuple):
    """A figure in float32, in 8 bits, and the difference, with intervals over the same resampled patients."""

    before: Interval
    after: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like the verdicts and probabilities of pneumonia are to those in float32, plain and stressed together.

    Attributes:
        same_label: share of the pictures.
        mean, largest: difference of the probabilities.
    """

    same_label: float
    mean: float
    largest: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What 8 bits cost.

    Attributes:
        figures: by names as of `train.calibrate.out_of_fold_figures`.
        likeness: in 8 bits with the calibration as it was, aligned as in the file, and fitted anew.
    """

    figures: dict[str, Change]
    likeness: dict[str, Likeness]


def measure(
    run: Path, samples: list[Sample], pixels: NDArray[np.uint8], size: int, *, reduce_range: bool = True
) -> Changes:
    """Quantises and scores the network of every fold.

    Args:
        run: folder of a finished fit.
        samples: N pictures' labels and groups.
        pixels: uint8 [N, H, W], as training keeps them.
        size: side at which pictures are scanned.
        reduce_range: weights have 7 bits.

    Raises:
        FitError: not finished, or made from other pictures or patients.
    """
    settings = load_settings(run)
    folds = dataset.assign_folds(samples, settings.folds, settings.seed)
    identity = identify(samples, pixels, settings, folds)
    before, after = ({name: np.empty((len(samples), len(CLASSES)), np.float32) for name in FULL} for _ in range(2))
    trained_on = {}
    for fold in range(settings.folds):
        graph = reading_graph(load_network(run, f"fold{fold}", size, identity), size)
        others = np.random.default_rng(SEED).permutation(np.flatnonzero(folds != fold))[:CALIBRATION]
        calibrating = views(pixels, others, size)
        smaller = rounded(graph, "logits", calibrating, reduce_range=reduce_range)
        if smaller is None:
            raise ExportError(f"{run} has no convolutions in float32")
        both = graph_reader(graph), graph_reader(smaller)
        trained_on[fold] = both[0](calibrating).logits, both[1](calibrating).logits
        here = np.flatnonzero(folds == fold)
        for name in FULL:
            images = stress.apply(name, pixels[here], size, STRESS_SEED, here)
            before[name][here], after[name][here] = (read(images).logits for read in both)
    targets = np.array([sample.target for sample in samples])
    return compare(before, after, trained_on, targets, folds, np.array([sample.group for sample in samples]))


def compare(
    before: Mapping[str, Logits],
    after: Mapping[str, Logits],
    trained_on: Mapping[int, tuple[Logits, Logits]],
    targets: NDArray[np.intp],
    folds: NDArray[np.integer],
    groups: NDArray[np.str_],
) -> Changes:
    """Compares out-of-fold logits in float32 with those in 8 bits.

    Args:
        before, after: float [N, 3] by stress.
        trained_on: by fold, logits [M, 3] before and after of pictures that its network was trained on.
        targets, folds, groups: [N], classes, folds in which the pictures were held out, and patients.
    """

    def judge(logits: Mapping[str, Logits], calibrations: Mapping[int, Calibration]) -> _Judged:
        return {name: judge_out_of_fold(each, calibrations, folds) for name, each in logits.items()}

    calibrations = fit_calibration_of_folds(before, targets, folds)
    aligned = {fold: align_rounded(calibrations[fold], *logits) for fold, logits in trained_on.items()}
    reference = judge(before, calibrations)
    judged = {
        "as it was": judge(after, calibrations),
        "aligned": judge(after, aligned),
        "fitted anew": judge(after, fit_calibration_of_folds(after, targets, folds)),
    }
    truth = targets > 0
    figures = {}
    for name in before:
        (scores, verdicts), (new_scores, new_verdicts) = reference[name], judged["aligned"][name]
        for key, of_scores in OF_SCORES.items():
            figures[f"{name}_{key}"] = _paired(of_scores, truth, scores, new_scores, groups)
        for key, of_verdicts in OF_VERDICTS.items():
            figures[f"{name}_{key}"] = _paired(of_verdicts, truth, verdicts, new_verdicts, groups)
    return Changes(figures, {how: _liken(reference, each) for how, each in judged.items()})


def to_markdown(found: Changes) -> str:
    """Two tables: of the figures, and of how like the probabilities are."""
    rows = ["| out of fold | float32 | 8 bits | difference |", "|---|---|---|---|"]
    for name, (before, after, difference) in found.figures.items():
        change = "{:+.4f} ({:+.4f} to {:+.4f})".format(*difference)
        rows.append(f"| {name} | {before} | {after} | {change} |")
    rows += ["", "| 8 bits, calibration | same label | mean difference | largest |", "|---|---|---|---|"]
    rows += [
        f"| {how} | {each.same_label:.4f} | {each.mean:.4f} | {each.largest:.3f} |"
        for how, each in found.likeness.items()
    ]
    return "\n".join(rows)


def _liken(one: _Judged, other: _Judged) -> Likeness:
    differences = np.abs([one[name][0] - other[name][0] for name in one])
    same = np.mean([one[name][1] == other[name][1] for name in one])
    return Likeness(float(same), float(differences.mean()), float(differences.max()))


def _paired(
    figure: Callable[[NDArray[np.bool_], NDArray[Any]], float],
    truth: NDArray[np.bool_],
    before: NDArray[Any],
    after: NDArray[Any],
    groups: NDArray[np.str_],
) -> Change:
    return Change(
        metrics.bootstrap(lambda at: figure(truth[at], before[at]), groups),
        metrics.bootstrap(lambda at: figure(truth[at], after[at]), groups),
        metrics.bootstrap(lambda at: figure(truth[at], after[at]) - figure(truth[at], before[at]), groups),
    )
