"""The page of an evaluation: its pictures and plots are made here, and the file is written."""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from pneumoscan.atomic import replace_with
from pneumoscan.cli.exits import complain
from pneumoscan.evaluation import Cases, Evaluation
from pneumoscan.heatmap import Heat
from pneumoscan.labels import Pair, Pairing
from pneumoscan.plots import as_svg
from pneumoscan.report.evaluation import render
from pneumoscan.report.mistakes import worst
from pneumoscan.report.pictures import NoPictureError, heat_layer, thumbnails
from pneumoscan.scan import Scanner, available_cores


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
    mistakes = worst(pairing.scored)
    shown = [each for kind in mistakes for each in kind]
    pictures = _pictures(shown)
    remarks = _add_heat(shown, pictures, heat, scorer)
    rest = iter(pictures)
    parts = tuple(list(islice(rest, len(kind))) for kind in mistakes)
    content = render(
        pairing,
        cases,
        evaluation,
        as_svg(cases, evaluation),
        mistakes,
        (parts[0], parts[1]),
        facts=facts,
        remarks=remarks,
    )
    try:
        replace_with(Path(os.path.realpath(target)), content)
    except OSError as error:
        complain(f"cannot write {target}: {error.strerror}")
        return False
    if not quiet:
        complain(f"wrote {target} ({len(content) / 1e6:.1f} MB)")
    return True


def _pictures(mistakes: Sequence[Pair]) -> list[dict[str, str]]:
    """For each mistake what the page holds of its picture."""
    made = thumbnails((each.record for each in mistakes), Path(), available_cores())
    return [{"missing": str(each)} if isinstance(each, NoPictureError) else {"image": each} for each in made]


def _add_heat(
    mistakes: Sequence[Pair],
    pictures: Sequence[dict[str, str]],
    heat: Mapping[str, Heat],
    scorer: Callable[[], Scanner] | None,
) -> list[str]:
    """Adds heat layers to pictures that are shown; what is to be said of those that get none."""
    wanted = []
    for (_, record), picture in zip(mistakes, pictures, strict=True):
        if "image" in picture and record.path in heat:
            picture["heat"] = heat_layer(heat[record.path])
        elif "image" in picture:
            wanted.append((record, picture))
    if not wanted or scorer is None:
        return []
    scanner = scorer()
    if not scanner.model.has_heatmap:
        return []
    fitting = [each for each in wanted if each[0].model_sha256 == scanner.model.sha256]
    again = scanner.scan_pictures((record.path for record, _ in fitting), walk=False)
    for (record, picture), seen in zip(fitting, again, strict=True):
        if seen.heatmap is not None and seen.record.modified == record.modified:
            picture["heat"] = heat_layer(seen.heatmap)
    foreign = len(wanted) - len(fitting)
    if foreign == 1:
        return ["1 picture has no heatmap: another model scored it."]
    return [f"{foreign:,} pictures have no heatmap: another model scored them."] if foreign else []
