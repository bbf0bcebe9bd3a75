"""From a finished fit to what is shipped: calibrated on its folds, as an ONNX file, with card and curves beside it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscan.card import Card
from train import compare, report
from train.align import align_shipped
from train.calibrate import Calibration, fit_calibration, out_of_fold_figures
from train.card import write_card
from train.curves import draw_curves
from train.dataset import Sample, assign_folds, resize
from train.export import export
from train.fit import parts
from train.gate import fit_gate, fit_limits, judge
from train.graph import reader
from train.network import describe
from train.settings import identify
from train.validate import load_network, load_settings, out_of_fold

KERMANY = (
    "All of the `train` folder of Kermany, Zhang, Goldbaum (2018), Labeled Optical Coherence Tomography (OCT) and "
    "Chest X-Ray Images for Classification, Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2, CC BY 4.0: children of 1 to "
    "5 years, anterior-posterior views, one hospital. The official `test` folder was not used for anything."
)
"""Source of the published data set, in either copy."""
COMPARED = 32
"""Pictures on which the file is held against the trained network."""


def release(
    samples: list[Sample],
    pixels: NDArray[np.uint8],
    run: Path,
    out: Path,
    *,
    size: int,
    name: str,
    version: str,
    source: str,
    audit: Path | None = None,
    comparison: Path | None = None,
) -> tuple[Card, Calibration]:
    """Writes the model file, and `CARD.md` and `curves.png` beside it.

    Args:
        samples, pixels: what was trained on (see `train.fit.fit`).
        run: folder of the finished fit.
        out: the `.onnx` file.
        size: side at which pictures are scanned, in pixels.
        name, version: of the model.
        source: of the pictures, with their licence; sentences.
        audit: what `train audit --json` wrote of this fit, for the card.
        comparison: the `compare.json` of `train compare`, for the card.

    Returns:
        The card that went into the file, and what the network's logits are calibrated with.

    Raises:
        FitError: not finished, or made from other pictures or patients.
        AuditError: `audit` or `comparison` is no such file, or of another fit.
        ExportError: the file does not score as the trained network does.
    """
    settings = load_settings(run)
    folds = assign_folds(samples, settings.folds, settings.seed)
    identity = identify(samples, pixels, settings, folds)
    section = report.to_markdown(audit, identity) if audit else ""
    candidates = compare.to_section(comparison) if comparison else ""
    network = load_network(run, "all", size, identity)
    logits, sound, altered = out_of_fold(run, pixels, folds, size, identity)
    targets = np.array([sample.target for sample in samples])
    groups = np.array([sample.group for sample in samples])
    unfamiliar, gate_figures = judge(sound, altered, folds)
    figures = out_of_fold_figures(logits, targets, folds, groups, {kind: unfamiliar[kind] for kind in logits})
    of_folds = fit_calibration(np.concatenate(list(logits.values())), np.tile(targets, len(logits)))
    calibration = align_shipped(of_folds, run, pixels, targets, folds, size, identity)
    some = np.linspace(0, len(samples) - 1, COMPARED).astype(int)
    out.parent.mkdir(parents=True, exist_ok=True)
    card = export(
        network,
        calibration,
        fit_gate(reader(network, size), resize(pixels, size)),
        fit_limits(sound),
        figures | gate_figures,
        resize(pixels[some], size),
        out,
        name=name,
        version=version,
        data_sha256=str(identity["data"]),
        origin=describe(settings.network),
        source=source,
    )
    draw_curves(run, parts(settings.folds), out.with_name("curves.png"))
    write_card(card, settings, samples, source, out.with_name("CARD.md"), audit=section, candidates=candidates)
    return card, calibration
