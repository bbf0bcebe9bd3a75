"""From a finished fit to what is shipped: calibrated on its folds, as an ONNX file, with card and curves beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from pneumoscan.atomic import replace_with
from pneumoscan.card import CLASSES, Card
from pneumoscan.formats import printable
from pneumoscan.metrics import Interval
from train import compare, report
from train.align import align_shipped
from train.calibrate import Calibration, fit_calibration, out_of_fold_figures
from train.card import KERMANY, write_card
from train.curves import draw_curves
from train.dataset import Sample, resize
from train.errors import ExportError
from train.export import export
from train.fit import parts
from train.fitted import open_fit
from train.gate import fit_gate, fit_limits, judge
from train.network import describe
from train.settings import WEIGHTS_LICENCE
from train.validate import out_of_fold

KERMANY_COUNTS = ((1341, 2530, 1345), (1349, 2538, 1345))
"""Pictures of each of `CLASSES` in the `train` folder of either copy; one has 16 of them in a folder `val`."""

COMPARED = 32
"""Pictures on which the file is held against the trained network."""


def source_of(samples: Sequence[Sample], data: Path) -> str:
    """Where pictures are from, unless one is told: the published data set only if there are as many of each class.

    Args:
        samples: what was trained on.
        data: the folder or CSV that they were read from.
    """
    counts = Counter(sample.target for sample in samples)
    of_classes = tuple(counts[target] for target in range(len(CLASSES)))
    if data.is_dir() and of_classes in KERMANY_COUNTS and sum(of_classes) == len(samples):
        return KERMANY
    return f"Pictures of the exporter's own, {'in' if data.is_dir() else 'listed in'} {printable(data.resolve().name)}."


def release(
    samples: list[Sample],
    pixels: NDArray[np.uint8],
    run: Path,
    out: Path,
    *,
    size: int,
    int8: bool = False,
    name: str = "",
    version: str,
    source: str,
    licence: str = WEIGHTS_LICENCE,
    audit: Path | None = None,
    comparison: Path | None = None,
) -> tuple[Card, Calibration]:
    """Writes the model file, and its digest, `CARD.md` and `curves.png` beside it.

    Args:
        samples, pixels: what was trained on (see `train.fit.fit`).
        run: folder of the finished fit.
        out: the `.onnx` file.
        size: side at which pictures are scanned, in pixels.
        int8: whether its convolutions are in 8 bits (see `train.quantise`), as then are those of the folds.
        name, version: of the model; without a name it has that of its network.
        source: of the pictures, with their licence; sentences.
        licence: of the weights; its name.
        audit: what `train audit --json` wrote of this fit, for the card.
        comparison: the `compare.json` of `train compare`, for the card.

    Returns:
        The card that went into the file, and what the network's logits are calibrated with.

    Raises:
        FitError: not finished, without logs, or made from other pictures or patients.
        AuditError: `audit` or `comparison` is no such file, or of another fit or other pictures.
        ExportError: the file does not score as the trained network does, or something cannot be written.
    """
    fit = open_fit(run, samples, pixels, size, int8=int8)
    section = report.to_markdown(audit, fit.read_identity) if audit else ""
    candidates = compare.to_section(comparison, str(fit.identity["data"])) if comparison else ""
    curves = draw_curves(run, parts(fit.settings.folds))
    logits, sound, altered = out_of_fold(fit)
    unfamiliar, gate_figures = judge(sound, altered, fit.folds)
    figures = out_of_fold_figures(
        logits, fit.labels, fit.folds, fit.groups, {kind: unfamiliar[kind] for kind in logits}
    )
    of_folds = fit_calibration(logits, fit.labels)
    calibration = align_shipped(of_folds, fit)
    some = np.linspace(0, len(samples) - 1, COMPARED).astype(int)
    read = fit.reader("all")
    try:
        card = export(
            fit.network("all"),
            read,
            calibration,
            fit_gate(read, resize(pixels, size)),
            fit_limits(sound),
            figures | gate_figures,
            resize(pixels[some], size),
            out,
            range_images=fit.range_images("all") if int8 else None,
            name=name or fit.settings.network,
            version=version,
            data_sha256=str(fit.identity["data"]),
            origin=describe(fit.settings.network),
            source=source,
            licence=licence,
        )
        replace_with(out.with_name("curves.png"), curves)
        write_card(
            card,
            fit.settings,
            samples,
            source,
            out.with_name("CARD.md"),
            int8=int8,
            audit=section,
            candidates=candidates,
        )
    except OSError as error:
        raise _unwritable(error, out) from error
    return card, calibration


def make_place(out: Path) -> None:
    """Makes the folder of a model file, and sees to it that the file, its card and its curves could be written there.

    Raises:
        ExportError: they could not.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise _unwritable(error, out.parent) from error
    for name in (out.name, "CARD.md", "curves.png"):
        if (place := out.with_name(name)).is_dir():
            raise ExportError(f"{place} is a folder; name another file with --out, or remove it")


def _unwritable(error: OSError, place: Path) -> ExportError:
    return ExportError(f"cannot write {error.filename or place}: {error.strerror or error}")


def find_weaknesses(figures: Mapping[str, tuple[float, float, float]]) -> list[str]:
    """Why a model is of little use, by the validation figures of its card; phrases, none of a model that may be."""
    found = [
        f"its {kind} AUC of {Interval(*figures[f'{kind}_auc'])} may be no better than chance"
        for kind in ("plain", "stressed")
        if not figures[f"{kind}_auc"][1] > 0.5  # not a number where there are too few patients
    ]
    flagged = figures["plain_review"][0]
    if flagged > 0.5:
        found.append(f"it flags {flagged:.0%} of the plain pictures for review")
    return found
