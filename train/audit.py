"""What a model relies on: its figures on pictures that it was not trained on, plain and under each stress.

A plain hold-out cannot rank models, since frame and format give the class away in it. Owns the figures of an audit, and
what must hold of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscan import metrics, models
from pneumoscan.metrics import Interval
from train import dataset, stress
from train.calibrate import specificity_at
from train.candidates import FULL, Answers, Positions, ask_fit, ask_model
from train.dataset import Sample
from train.errors import AuditError
from train.fitted import open_fit
from train.texture import find_soft

SAMPLE = 1500
"""About so many pictures are scored under the stresses that are not in `FULL`."""
SAMPLE_SEED = 1
SENSITIVITY = 0.95
"""Sensitivity at which specificities are compared."""
SOFT_NORMALS = "soft normals"
"""With all pneumonias, but of the normal pictures only those that are as soft."""
FRAME_ONLY = ("frame only", "frame only, filled")
KEPT = ("lungs removed", "lungs removed, filled", "frame masked")
"""Stresses for which the share of the skill that they leave is reported."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        what: a sentence with the limit in it.
        figure: what was measured.
        holds: whether the measured value, not its interval, keeps the limit.
    """

    what: str
    figure: Interval
    holds: bool


@dataclass(frozen=True, slots=True)
class Audit:
    """The figures of one candidate.

    Attributes:
        name: as it was given on the command line.
        held_out: True for a fit; of a file False when it was trained on exactly these pictures, and None when not: its
            card holds but one digest, so that it may have been trained on some of them.
        identity: of the fit as it is read (see `train.fitted.Fitted`), or name, version and digest of a model file.
        figures: by stress, and for those of `FULL` also with no other normal pictures than soft ones (see
            `train.texture.find_soft`), then by name: auc, auc_within (see `auc_within`), auc_change (against plain on
            the same pictures), slope (see `discrimination_slope`), sensitivity, specificity,
            specificity_at_sensitivity_95, subtype_auc.
        kept: by stress, the share of the skill on plain pictures that is left (see `skill_kept`).
        checks: what must hold.
    """

    name: str
    held_out: bool | None
    identity: dict[str, object]
    figures: dict[str, dict[str, Interval]]
    kept: dict[str, Interval]
    checks: list[Check]


def audit(
    candidate: str | Path,
    samples: list[Sample],
    pixels: NDArray[np.uint8],
    size: int,
    limit: int | None = None,
    *,
    int8: bool = False,
    sizes: NDArray[np.floating] | None = None,
) -> Audit:
    """Scores a candidate and works out its figures.

    Args:
        candidate: folder of a finished fit, or an `.onnx` file of the contract, or the name of a shipped model (see
            `pneumoscan.models.find`).
        samples: N pictures' labels and groups.
        pixels: uint8 [N, H, W], as training keeps them (see `train.dataset`).
        size: side at which the networks of a fit are scored; a file knows its own.
        limit: about so many pictures in all, whole patients drawn at random; None for all.
        int8: whether the networks of a fit have convolutions in 8 bits (see `train.quantise`).
        sizes: float [N, 2], original width and height, not a number where unknown (see `train.shortcuts.read_sizes`).
            Pictures whose size is known are also scored in their true proportions.

    Raises:
        AuditError: no such candidate, a file of another contract, or a class without pictures.
        FitError: a fit that is not finished, or was made from other pictures or patients.
    """
    pictures, few = draw_both(samples, limit)
    bench = {name: pictures if name in FULL else few for name in stress.STRESSES}
    labels = dataset.labels_of(samples)
    groups = np.array([each.group for each in samples])
    ratios = None if sizes is None else sizes[:, 0] / sizes[:, 1]
    if ratios is not None:
        known = pictures[np.isfinite(ratios[pictures])]
        if (labels[known] > 0).any() and (labels[known] == 0).any():
            bench[stress.PROPORTIONS] = known
    for name, members in (("normal", labels == 0), ("pneumonia", labels > 0)):
        if not members[few].any():
            raise AuditError(f"no picture is {name} among the {len(few)} that are audited")
    place = models.find(candidate)
    if place.is_dir():
        held_out: bool | None = True
        fit = open_fit(place, samples, pixels, size, int8=int8)
        if dataset.lack_a_class(fit.folds[pictures], labels[pictures] > 0):
            raise AuditError(
                f"of the {len(pictures)} pictures that are audited, all of one class are of one fold: raise --limit"
            )
        answers, identity = ask_fit(fit, bench, ratios), fit.read_identity
    else:
        answers, model = ask_model(place, pixels, bench, ratios)
        held_out = False if model.card.data_sha256 == dataset.digest(samples, pixels) else None
        identity = {"name": model.card.name, "version": model.card.version, "sha256": model.sha256}
    soft = find_soft(pixels[pictures], labels[pictures] > 0)
    hardest = pictures[soft | (labels[pictures] > 0)]
    if soft.any():
        answers |= {f"{name}, {SOFT_NORMALS}": answers[name].of(hardest) for name in FULL}
    figures = {name: figures_of(answer, answers["plain"], labels, groups) for name, answer in answers.items()}
    kept = {name: skill_kept(answers[name], answers["plain"], labels, groups) for name in KEPT}
    return Audit(str(candidate), held_out, identity, figures, kept, checks_of(figures))


def draw_both(samples: list[Sample], limit: int | None) -> tuple[Positions, Positions]:
    """Positions of the pictures that are scored under the stresses of `FULL`, and of those under all others."""
    pictures = draw(samples, limit)
    return pictures, draw(samples, min(SAMPLE, len(pictures)))


def draw(samples: list[Sample], count: int | None) -> Positions:
    """Ascending positions of about `count` pictures: whole patients in one fixed random order, until there are enough.

    A smaller sample is part of every larger one.
    """
    groups = np.array([sample.group for sample in samples])
    if count is None or count >= len(samples):
        return np.arange(len(samples))
    _, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(SAMPLE_SEED).permutation(members.max() + 1)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    taken = np.bincount(members)[order].cumsum() - np.bincount(members)[order] < count
    return np.flatnonzero(taken[rank[members]])


def figures_of(
    answers: Answers, plain: Answers, labels: NDArray[np.intp], groups: NDArray[np.str_]
) -> dict[str, Interval]:
    """The figures of a stress (see `Audit`), each with its 95 % interval.

    Args:
        answers, plain: under that stress, and of at least the same pictures as they are.
        labels, groups: [N], of all pictures of the data, what they show (see `train.dataset.labels_of`), and patients.
    """
    of_answers, who = labels[answers.pictures], groups[answers.pictures]
    truth, told = of_answers > 0, dataset.tells_kind(of_answers)
    before, scores = _same_pictures(plain, answers), answers.scores
    viral, hint = of_answers[told] == 2, answers.viral[told]
    return {
        "auc": metrics.bootstrap(lambda at: metrics.roc_auc(truth[at], scores[at]), who),
        "auc_within": metrics.bootstrap(lambda at: auc_within(truth[at], scores[at], answers.networks[at]), who),
        "auc_change": metrics.bootstrap(
            lambda at: metrics.roc_auc(truth[at], scores[at]) - metrics.roc_auc(truth[at], before[at]), who
        ),
        "slope": metrics.bootstrap(lambda at: discrimination_slope(truth[at], scores[at]), who),
        "sensitivity": metrics.sensitivity(truth, answers.verdicts),
        "specificity": metrics.specificity(truth, answers.verdicts),
        "specificity_at_sensitivity_95": metrics.bootstrap(
            lambda at: specificity_at(SENSITIVITY, truth[at], scores[at]), who
        ),
        "subtype_auc": metrics.bootstrap(lambda at: metrics.roc_auc(viral[at], hint[at]), who[told]),
    }


def auc_within(truth: NDArray[np.bool_], scores: NDArray[np.floating], networks: NDArray[np.integer]) -> float:
    """AUC over those pairs of pictures [N] that the same network scored.

    Far from what they were trained on, the networks of a fit differ in level. That spoils the ranking of their pooled
    scores, and would hide what each of them makes of a frame.
    """
    pairs = won = 0.0
    for network in np.unique(networks):
        here = networks == network
        ill = int(truth[here].sum())
        weight = ill * (int(here.sum()) - ill)
        if weight:
            pairs += weight
            won += weight * metrics.roc_auc(truth[here], scores[here])
    return won / pairs if pairs else float("nan")


def discrimination_slope(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Mean probability [N] of the ill less that of the healthy (Yates, 1982): by how much they are told apart.

    An AUC ranks even scores that are all but equal; this shows that they are. Not a number when a class is missing.
    """
    if truth.all() or not truth.any():
        return float("nan")
    return float(scores[truth].mean() - scores[~truth].mean())


def skill_kept(answers: Answers, plain: Answers, labels: NDArray[np.intp], groups: NDArray[np.str_]) -> Interval:
    """Share of 2 AUC - 1 on plain pictures that a stress leaves on the same ones; arguments as of `figures_of`.

    The AUC is `auc_within`.
    """
    truth, before, scores = labels[answers.pictures] > 0, _same_pictures(plain, answers), answers.scores

    def kept(at: Positions) -> float:
        skill = 2 * auc_within(truth[at], before[at], answers.networks[at]) - 1
        left = 2 * auc_within(truth[at], scores[at], answers.networks[at]) - 1
        return left / skill if skill > 0 else float("nan")

    return metrics.bootstrap(kept, groups[answers.pictures])


def _same_pictures(plain: Answers, answers: Answers) -> NDArray[np.floating]:
    return plain.scores[np.isin(plain.pictures, answers.pictures)]


def checks_of(figures: Mapping[str, Mapping[str, Interval]]) -> list[Check]:
    """What must hold of a candidate's figures. An AUC of the frame far below 0.5 tells as much as one far above it."""
    auc = figures["plain"]["auc"]
    stressed = figures["stressed"]["specificity_at_sensitivity_95"]
    loss = figures["frame masked"]["auc_change"]
    frame = max((figures[name]["auc_within"] for name in FRAME_ONLY), key=lambda figure: abs(figure.value - 0.5))
    return [
        Check("plain AUC of at least 0.993", auc, auc.value >= 0.993),
        Check("stressed specificity of at least 0.90 at sensitivity 0.95", stressed, stressed.value >= 0.90),
        Check("AUC from the frame alone (within networks) from 0.30 to 0.70", frame, 0.30 <= frame.value <= 0.70),
        Check("AUC change without the frame of at least -0.005", loss, loss.value >= -0.005),
    ]
