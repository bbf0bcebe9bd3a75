"""Candidates side by side: one change each of the same short fit, ranked by what they say under stress.

Short fits of small pictures on few folds: enough to rank recipes, far from the figures of a full fit.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscan import metrics
from pneumoscan.metrics import Interval
from train import report
from train.audit import SENSITIVITY, auc_within
from train.calibrate import Logits, specificity_at
from train.candidates import held_out_logits
from train.dataset import Sample, digest, tells_kind
from train.errors import AuditError
from train.fit import fit
from train.fitted import Fitted
from train.settings import Settings

BASE = Settings(size=128, epochs=3, blinding_epochs=0)
SCANNED = 1.4
"""Side at which pictures are scanned, in sides of the training crops: crops show everything larger."""
CANDIDATES: dict[str, dict[str, Any]] = {
    "base": {},
    "frames kept": {"foreign_frames": 0.0, "no_lungs": 0.0},
    "frames swapped only": {"no_lungs": 0.0},
    "frames swapped in 90 %": {"foreign_frames": 0.9},
    "lungs removed in 20 %": {"no_lungs": 0.2},
    "subtype smoothing 0.2": {"subtype_smoothing": 0.2},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "mixup 0.2": {"mixup": 0.2},
    "cutmix 1": {"cutmix": 1.0},
    "classes balanced": {"balance": True},
    "texture balanced": {"balance_texture": True},
    "detail changed by up to 2": {"detail": 0.7},
    "weights not averaged": {"average_decay": 0.0},
    "weights of the last quarter averaged alike": {"average_last": 0.25},
    "crops from 30 %": {"crop_area": 0.3},
    "not stretched": {"stretch": 1.0},
    "stretched by up to 1.7": {"stretch": 1.7},
    "crops of 160": {"size": 160},
    "crops of 192": {"size": 192},
    "crops of 224": {"size": 224},
    "Lite1": {"network": "lite1"},
    "9 of 16 blocks": {"network": "lite0-9"},
}
"""What each candidate changes of `BASE`."""
MIRRORED = {"mean of both mirror images": "base"}
"""Candidates that are not fitted: whose networks they are, which score each picture and its mirror image."""
WIDER, HIGHER = "aspect x 1.25", "aspect x 0.8"
VIEWS = ("plain", "stressed", WIDER, HIGHER, "frame masked", "frame only, filled", "lungs removed")
COLUMNS = {
    "auc": "AUC",
    "stressed_auc": "stressed AUC",
    "stressed_specificity": "stressed spec. at sens. 0.95",
    "misshapen_auc": "AUC, misshapen",
    "frame_masked_auc": "AUC, frame masked",
    "frame_only_auc": "AUC, frame only",
    "no_lungs_auc": "AUC, lungs removed",
    "subtype_auc": "subtype AUC",
}


def compare(
    names: Sequence[str], samples: list[Sample], pixels: NDArray[np.uint8], run: Path, folds: int, device: str
) -> dict[str, dict[str, Interval]]:
    """Fits each candidate on the first `folds` folds, goes on where it was stopped, and scores what was held out.

    Args:
        names: of `CANDIDATES` and `MIRRORED`.
        samples, pixels: as of `train.fit.fit`.
        run: folder of the fits; the figures go into `compare.json` there, beside those of earlier calls with other
            names or numbers of folds.
        folds: of `BASE.folds`, how many are fitted and scored.
        device: `cpu` or `cuda`.

    Returns:
        By candidate the figures of `COLUMNS`, with 95 % intervals by a bootstrap over patients.

    Raises:
        AuditError: `compare.json` cannot be read or written.
    """
    found = {}
    _recorded(run / "compare.json")  # which is reported at once, and not after a fit
    data = digest(samples, pixels)
    for name in names:
        fitted = MIRRORED.get(name, name)
        settings = replace(BASE, **CANDIDATES[fitted])
        out = run / fitted.replace(" ", "-").replace("%", "percent")
        fit(samples, pixels, settings, out, device=device, resume=True, only=[f"fold{fold}" for fold in range(folds)])
        found[name] = _figures(samples, pixels, settings, out, folds, mirrored=name in MIRRORED)
        _record(run / "compare.json", name, settings, data, folds, found[name])
    return found


def _figures(
    samples: list[Sample], pixels: NDArray[np.uint8], settings: Settings, out: Path, folds: int, *, mirrored: bool
) -> dict[str, Interval]:
    fitted = Fitted(out, settings, samples, pixels, round(settings.size * SCANNED / 32) * 32)
    pictures = np.flatnonzero(fitted.folds < folds)
    logits = held_out_logits(fitted, range(folds), dict.fromkeys(VIEWS, pictures), mirrored=mirrored)
    return figures_of(logits, fitted.labels[pictures], fitted.groups[pictures], fitted.folds[pictures])


def figures_of(
    logits: dict[str, Logits], labels: NDArray[np.intp], groups: NDArray[np.str_], networks: NDArray[np.integer]
) -> dict[str, Interval]:
    """The figures of `COLUMNS` from logits [N, 3] by view, labels [N], patients [N], and who scored each [N].

    Scores of several networks are compared within each of them only.
    """
    truth, told = labels > 0, tells_kind(labels)

    def auc(logits: Logits) -> Interval:
        score = _log_odds(logits)
        return metrics.bootstrap(lambda at: auc_within(truth[at], score[at], networks[at]), groups)

    def specificity(at: NDArray[np.intp], score: NDArray[np.floating]) -> float:
        here = [at[networks[at] == network] for network in np.unique(networks[at])]
        return float(np.mean([specificity_at(SENSITIVITY, truth[each], score[each]) for each in here]))

    misshapen = np.where(truth[:, None], logits[WIDER], logits[HIGHER])
    hint, viral, by = (logits["plain"][:, 2] - logits["plain"][:, 1])[told], labels[told] == 2, networks[told]
    return {
        "auc": auc(logits["plain"]),
        "stressed_auc": auc(logits["stressed"]),
        "stressed_specificity": metrics.bootstrap(partial(specificity, score=_log_odds(logits["stressed"])), groups),
        "misshapen_auc": auc(misshapen),
        "frame_masked_auc": auc(logits["frame masked"]),
        "frame_only_auc": auc(logits["frame only, filled"]),
        "no_lungs_auc": auc(logits["lungs removed"]),
        "subtype_auc": metrics.bootstrap(lambda at: auc_within(viral[at], hint[at], by[at]), groups[told]),
    }


def _log_odds(logits: Logits) -> NDArray[np.floating]:
    """Of pneumonia against normal, [N]: its order is that of the probability, without that one's rounding to 1."""
    odds: NDArray[np.floating] = np.logaddexp(logits[:, 1], logits[:, 2]) - logits[:, 0]
    return odds


def _record(path: Path, name: str, settings: Settings, data: str, folds: int, figures: dict[str, Interval]) -> None:
    content = _recorded(path)
    content[f"{name} ({folds})"] = {"settings": asdict(settings), "data": data, "folds": folds, "figures": figures}
    report.save(content, path)


def _recorded(path: Path) -> dict[str, Any]:
    """What earlier calls found, by candidate."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise AuditError(f"{path} cannot be read ({error}): delete it, and finished fits are scored again") from error
    if not isinstance(content, dict):
        raise AuditError(f"{path} is no compare.json: delete it, and finished fits are scored again")
    return content


def to_markdown(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """A table of candidates and their figures, values with the ends of their intervals, without those that all lack."""

    def figure(figures: Mapping[str, Sequence[float]], key: str) -> Interval:
        return Interval(*figures.get(key, [nan] * 3))

    told = [key for key in COLUMNS if not all(isnan(figure(each, key).value) for each in found.values())]
    lines = ["| | " + " | ".join(COLUMNS[key] for key in told) + " |", "|---|" + "---|" * len(told)]
    for name, figures in found.items():
        cells = (str(figure(figures, key)) for key in told)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_section(path: Path, data: str) -> str:
    """The section of a model card, from a `compare.json`.

    Args:
        path: of the file.
        data: digest of the pictures that the model was trained on (see `train.dataset.digest`).

    Raises:
        AuditError: no such file, another one, or one with candidates on other pictures.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        table = to_markdown({name: each["figures"] for name, each in content.items()})
        recipes = Counter((each["settings"]["epochs"], each["settings"]["size"]) for each in content.values())
        ((epochs, size), _), *_ = recipes.most_common(1)
        others = [name for name, each in content.items() if each.get("data") != data]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AuditError(f"{path} is no compare.json of train compare: {error!r}") from error
    if others:
        raise AuditError(
            f"{path} holds candidates that were not fitted on these pictures, or do not say on which: "
            f"{', '.join(others)}; run train compare on these again, or leave it out"
        )
    return f"""\
## Candidates

Recipes that differ in one thing from *base*, each by short fits ({epochs} epochs on crops of {size} x {size} pixels
unless its name says otherwise). Each was measured on the held-out patients of as many folds as stand behind its name.
95 % intervals by a bootstrap over patients. *Misshapen*: pneumonias a quarter wider and normal pictures a quarter
higher, against what a stretch tells of the class. Made by `python -m train compare`. Full fits score higher, and lean
more on frames.

{table}"""
