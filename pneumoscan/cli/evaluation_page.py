"""The page of an evaluation: its pictures and plots are made here, and the file is written."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pneumoscan.cli.pages import add_heat, save_page
from pneumoscan.evaluation import Cases, Evaluation
from pneumoscan.heatmap import Heat
from pneumoscan.labels import Pairing
from pneumoscan.limits import available_cores
from pneumoscan.plots import as_svg
from pneumoscan.report.evaluation_page import render
from pneumoscan.report.mistakes import worst
from pneumoscan.report.pictures import thumbnails
from pneumoscan.scan import Scanner


def write_evaluation(
    target: Path,
    pairing: Pairing,
    cases: Cases,
    evaluation: Evaluation,
    facts: Mapping[str, str],
    heat: Mapping[str, Heat],
    scorer: Callable[[], Scanner] | None,
    quiet: bool,
) -> bool:
    """Makes the page and says so; whether it could be written.

    Args:
        target: the page.
        pairing: what became of every picture.
        cases: the scored ones.
        evaluation: of these.
        facts: what is to be told besides, by name.
        heat: heatmaps of wrong verdicts by the path of their record.
        scorer: loads what scores mistakes again that have no heatmap; None for no such thing.
        quiet: says nothing but that it failed.
    """
    positives, negatives = worst(pairing.scored)
    shown = [*positives, *negatives]
    pictures = list(thumbnails((each.record for each in shown), Path(), available_cores()))
    heated = [(record, heat.get(record.path), picture) for (_, record), picture in zip(shown, pictures, strict=True)]
    remarks = add_heat(heated, Path(), scorer, quiet)
    content = render(
        pairing,
        cases,
        evaluation,
        as_svg(cases, evaluation),
        (positives, negatives),
        (pictures[: len(positives)], pictures[len(positives) :]),
        facts=facts,
        remarks=remarks,
    )
    return save_page(target, content, quiet)
