"""An evaluation as tables for people, in 80 columns; names are shown inert, whatever they hold."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pneumoscan.evaluation import NO_INTERVAL, Evaluation, Figure, Verdicts
from pneumoscan.formats import printable
from pneumoscan.labels import Pair, Pairing
from pneumoscan.records import Label, Subtype

SHOWN = 5
"""Paths of each kind of problem that are told; all of them are in the JSON."""

OPTIMISTIC = "*"

OF_SCORES = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "calibration_error": "ECE",
    "brier": "Brier score",
    "subtype_auc": "AUC, viral against bacterial",
    "review": "flagged for review",
}
OF_VERDICTS = {
    "sensitivity": "sensitivity",
    "sensitivity_bacterial": "  bacterial pneumonia",
    "sensitivity_viral": "  viral pneumonia",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "accuracy": "accuracy",
    "accuracy_of_all": "  with unscored as wrong",
    "f1": "F1",
    "mcc": "MCC",
    "errors_flagged": "wrong verdicts flagged",
}
"""Names of the figures for people, in their order."""


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
    _heading(console, f"At the threshold {_threshold(recorded)}, {recorded.origin}")
    for table in (_confusion(recorded), _report(recorded), _figures(recorded.figures, _shown(recorded))):
        console.print(table)
        console.print()
    for start in range(0, len(others), 2):  # as many as fit beside each other
        _heading(console, "At other thresholds")
        console.print(_comparison(others[start : start + 2]))
        console.print()
    for note in _notes(pairing, evaluation):
        console.print(Text(note))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _heading(console: Console, words: str) -> None:
    console.print(Text(words, "bold"))


def _show_pairing(console: Console, pairing: Pairing) -> None:
    """How many pictures there are of what, and what became of those that have no figures."""
    labelled = pairing.labelled
    kinds = Counter(each.subtype or each.label for each in labelled)
    patients = len({each.group for each in labelled})
    console.print(
        Text(
            f"{len(labelled):,} labelled pictures: {kinds[Label.NORMAL]:,} normal, "
            f"{len(labelled) - kinds[Label.NORMAL]:,} pneumonia ({kinds[Subtype.BACTERIAL]:,} bacterial, "
            f"{kinds[Subtype.VIRAL]:,} viral); {patients:,} patients, as far as is known."
        )
    )
    models = sorted({each.record.model for each in pairing.scored})
    console.print(
        Text(
            f"{len(pairing.scored):,} scored by {printable(', '.join(models))}; "
            f"{len(pairing.rejected):,} rejected, {len(pairing.failed):,} failed. "
            "Only what was scored has figures, unless they say otherwise."
        )
    )
    _list(console, "rejected", [_trouble(each) for each in pairing.rejected])
    _list(console, "failed", [_trouble(each) for each in pairing.failed])
    _list(console, "labelled, but without a record", [each.path for each in pairing.without_record])
    _list(console, "without a label, and left out", pairing.without_label)
    if pairing.repeated:
        console.print(Text(f"{pairing.repeated:,} records replaced by later ones of the same path."))


def _trouble(pair: Pair) -> str:
    return f"{pair.labelled.path} ({pair.labelled.label}): {pair.record.error}: {pair.record.message}"


def _list(console: Console, what: str, paths: Sequence[str]) -> None:
    if paths:
        console.print(Text(f"{len(paths):,} {what}", "yellow"))
        more = [f"… and {len(paths) - SHOWN:,} more"] if len(paths) > SHOWN else []
        for line in (*paths[:SHOWN], *more):
            console.print(Padding(Text(printable(line)), (0, 0, 0, 2)))


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    return table


def _figures(figures: dict[str, Figure], names: dict[str, str]) -> Padding:
    table = _table("", "value (95 % interval)", "of")
    for name, words in names.items():
        each = figures[name]
        table.add_row(words, _cell(each), f"{each.cases:,} {each.of}")
    return Padding(table, (0, 0, 0, 2))


def _comparison(sections: Sequence[Verdicts]) -> Padding:
    table = _table("", *(_threshold(each) for each in sections))
    for name in sections[0].confusion:
        table.add_row(name.replace("_", " ") + "s", *(f"{each.confusion[name]:,}" for each in sections))
    for name, words in _shown(sections[0]).items():
        table.add_row(words, *(_cell(each.figures[name]) for each in sections))
    return Padding(table, (0, 0, 0, 2))


def _shown(verdicts: Verdicts) -> dict[str, str]:
    """The figures at a threshold; where everything was scored, accuracy needs no second denominator."""
    same = verdicts.figures["accuracy"].cases == verdicts.figures["accuracy_of_all"].cases
    return {name: words for name, words in OF_VERDICTS.items() if not (same and name == "accuracy_of_all")}


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
        table.add_row(words, *(_cell(each[name]) for each in report.values()))
    table.add_row("pictures", *(f"{each['recall'].cases:,}" for each in report.values()))
    return Padding(table, (0, 0, 0, 2))


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return f"- ({figure.reason})"
    if figure.low is None:
        return f"{figure.value:.3f} ({figure.reason})"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _threshold(verdicts: Verdicts) -> str:
    """With a mark where figures are optimistic."""
    words = "of each record" if verdicts.threshold is None else f"{verdicts.threshold:.4g}"
    return f"{words} {OPTIMISTIC}" if verdicts.same_data else words


def _all(evaluation: Evaluation) -> Iterable[dict[str, Figure]]:
    return (evaluation.figures, *(each.figures for each in evaluation.at))


def _notes(pairing: Pairing, evaluation: Evaluation) -> Iterable[str]:
    yield (
        "Intervals: Wilson for shares of counted pictures; bootstrap over patients for AUC, ECE, Brier score, F1 and "
        "MCC. PPV, NPV, accuracy, F1 and PR AUC hold for this share of pneumonia only."
    )
    for each in evaluation.at:
        if each.same_data:
            yield (
                f"{OPTIMISTIC} The highest threshold with {each.origin}: chosen on what it is measured on, so that its "
                "figures are optimistic."
            )
    if len({each.record.model_sha256 for each in pairing.scored}) > 1:
        yield "Several models made the records: no figure is that of one of them."
    if any(each.reason == NO_INTERVAL for figures in _all(evaluation) for each in figures.values()):
        yield "No interval: all resamples agree, which is no certainty."
    yield "Research use only; not a medical device."
