"""An evaluation on standard output: tables in 80 columns, in which names are inert whatever they hold, or JSON."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pneumoscan.evaluation import Evaluation, Figure, Verdicts
from pneumoscan.evaluation_words import OF_SCORES, left_out, notes, opening, shown, threshold, written
from pneumoscan.formats import printable
from pneumoscan.labels import Labelled, Pair, Pairing
from pneumoscan.records import Label

SHOWN = 5
"""Paths of each kind of problem that are reported; all of them are in the JSON."""


def as_text(pairing: Pairing, evaluation: Evaluation) -> str:
    """All of it; with colours and the terminal's width where standard output is one."""
    text = StringIO()
    is_terminal = sys.stdout.isatty()
    console = Console(file=text, highlight=False, force_terminal=is_terminal or None, width=None if is_terminal else 80)
    _show_pairing(console, pairing)
    console.print()
    _heading(console, "Whatever the threshold")
    console.print(_figures(evaluation.figures, OF_SCORES))
    console.print()
    recorded, *others = evaluation.at
    _heading(console, f"At the threshold {threshold(recorded)}, {recorded.origin}")
    for table in (_confusion(recorded), _report(recorded), _figures(recorded.figures, shown(recorded))):
        console.print(table)
        console.print()
    for start in range(0, len(others), 2):  # as many as fit beside each other
        _heading(console, "At other thresholds")
        console.print(_comparison(others[start : start + 2]))
        console.print()
    for note in (*notes(pairing, evaluation), "Research use only; not a medical device."):
        console.print(Text(note))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _heading(console: Console, words: str) -> None:
    console.print(Text(words, "bold"))


def _show_pairing(console: Console, pairing: Pairing) -> None:
    """How many pictures there are of what, and what became of those that have no figures."""
    for sentence in opening(pairing):
        console.print(Text(printable(sentence)))
    for what, each in left_out(pairing).items():
        _list(console, what, each)
    if pairing.repeated:
        console.print(Text(f"{pairing.repeated:,} records replaced by later ones of the same path."))


def _list(console: Console, what: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(Text(f"{len(lines):,} {what}", "yellow"))
        more = [f"… and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
        for line in (*lines[:SHOWN], *more):
            console.print(Padding(Text(printable(line)), (0, 0, 0, 2)))


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    return table


def _figures(figures: dict[str, Figure], names: dict[str, str]) -> Padding:
    table = _table("", "value (95 % interval)", "of")
    for name, words in names.items():
        each = figures[name]
        table.add_row(words, written(each), f"{each.cases:,} {each.of}")
    return Padding(table, (0, 0, 0, 2))


def _comparison(sections: Sequence[Verdicts]) -> Padding:
    table = _table("", *(threshold(each) for each in sections))
    for name in sections[0].confusion:
        table.add_row(name.replace("_", " ") + "s", *(f"{each.confusion[name]:,}" for each in sections))
    for name, words in shown(sections[0]).items():
        table.add_row(words, *(written(each.figures[name]) for each in sections))
    return Padding(table, (0, 0, 0, 2))


def _confusion(verdicts: Verdicts) -> Padding:
    table = _table("", "called NORMAL", "called PNEUMONIA")
    for column in table.columns[1:]:
        column.justify = "right"
    counts = verdicts.confusion
    table.add_row("is NORMAL", f"{counts['true_negative']:,}", f"{counts['false_positive']:,}")
    table.add_row("is PNEUMONIA", f"{counts['false_negative']:,}", f"{counts['true_positive']:,}")
    return Padding(table, (0, 0, 0, 2))


def _report(verdicts: Verdicts) -> Padding:
    report = verdicts.report()
    table = _table("", *report)
    for name, words in {"precision": "precision", "recall": "recall", "f1": "F1"}.items():
        table.add_row(words, *(written(each[name]) for each in report.values()))
    table.add_row("pictures", *(f"{each['recall'].cases:,}" for each in report.values()))
    return Padding(table, (0, 0, 0, 2))


def as_json(pairing: Pairing, evaluation: Evaluation) -> str:
    """All of it as a JSON object; every list of paths in full."""

    def by_class(labelled: Iterable[Labelled]) -> dict[str, int]:
        counts = Counter(each.label for each in labelled)
        return {label: counts[label] for label in Label}

    def troubles(pairs: list[Pair]) -> list[dict[str, str | None]]:
        return [
            {"path": each.path, "label": each.label, "error": record.error, "message": record.message}
            for each, record in pairs
        ]

    labelled = pairing.labelled
    whole = {
        "models": sorted({f"{each.record.model} {each.record.model_sha256}" for each in pairing.scored}),
        "labelled": by_class(labelled),
        "scored": by_class(each.labelled for each in pairing.scored),
        "patients": len({each.group for each in labelled}),
        "rejected": troubles(pairing.rejected),
        "errors": troubles(pairing.failed),
        "without_record": [each.path for each in pairing.without_record],
        "without_label": pairing.without_label,
        "records_replaced": pairing.repeated,
        "figures": {name: asdict(figure) for name, figure in evaluation.figures.items()},
        "at": [
            asdict(each) | {"report": {k: {n: asdict(f) for n, f in row.items()} for k, row in each.report().items()}}
            for each in evaluation.at
        ],
        "notice": "Research use only; not a medical device.",
    }
    return json.dumps(whole, indent=2) + "\n"
