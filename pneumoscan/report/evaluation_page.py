"""The page of an evaluation: headline, figures, threshold explorer, plots, gallery of mistakes, facts, as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template

from pneumoscan.evaluation import Cases, Evaluation, Figure, Verdicts
from pneumoscan.evaluation_words import OF_SCORES, left_out, notes, opening, shown, threshold, written
from pneumoscan.labels import Pair, Pairing
from pneumoscan.report.charts import inline
from pneumoscan.report.explorer import histogram, score_counts
from pneumoscan.report.mistakes import gallery
from pneumoscan.report.page import asset, list_of_facts, page, text

NAMED = 200
"""Pictures of each kind without figures that are named; all of them are in the JSON."""
PLOTS = ("roc", "precision-recall", "reliability", "scores", "confusion")
"""In the order in which they are shown."""
MISTAKES = {
    "false_positive": "called PNEUMONIA, though they show none",
    "false_negative": "called NORMAL, though they show pneumonia",
}
RUNS = 20
"""Different models and thresholds that are reported."""


def render(
    pairing: Pairing,
    cases: Cases,
    evaluation: Evaluation,
    plots: Mapping[str, str],
    mistakes: tuple[Sequence[Pair], Sequence[Pair]],
    pictures: tuple[Sequence[Mapping[str, str]], Sequence[Mapping[str, str]]],
    *,
    facts: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> bytes:
    """The page.

    Args:
        pairing: what became of every picture.
        cases: the scored ones.
        evaluation: of these.
        plots: SVG by name, as `pneumoscan.plots.as_svg` makes them.
        mistakes: false positives and false negatives to show.
        pictures: of these; see `mistakes.gallery`.
        facts: what else is to be told, by name.
        remarks: sentences on what the page does not show.
    """
    recorded = evaluation.at[0].threshold
    main = Template(asset("evaluation.html")).substitute(
        opening="".join(f"<p>{text(sentence)}</p>" for sentence in (*opening(pairing), _verdicts(pairing))),
        tiles=_tiles(pairing, evaluation),
        of_scores=_of_scores(evaluation),
        of_verdicts=_of_verdicts(evaluation.at),
        notes="".join(f"<p>{text(note)}</p>" for note in notes(pairing, evaluation)),
        histogram=histogram(cases, recorded),
        plots="".join(_plot(name, plots[name], evaluation) for name in PLOTS if name in plots),
        mistakes="".join(
            _gallery(what, evaluation.at[0].confusion[name], name.replace("_", " "), some, of)
            for (name, what), some, of in zip(MISTAKES.items(), mistakes, pictures, strict=True)
        ),
        remarks="".join(f'<p class="note">{text(remark)}</p>' for remark in remarks),
        left_out=_left_out(pairing),
        facts=_facts(pairing, facts),
    )
    thresholds = [each.threshold for each in evaluation.at if each.threshold is not None]
    data = {"explorer": score_counts(cases, thresholds) | {"recorded": recorded, "named": thresholds}}
    styles, scripts = ["viewer.css", "evaluation.css"], ["viewer.js", "evaluation.js"]
    return page("Evaluation", main, data=data, styles=styles, scripts=scripts)


def _runs(pairing: Pairing) -> list[tuple[str, str, float]]:
    """Models, their digests and thresholds of what was scored."""
    return sorted({(each.record.model, each.record.model_sha256, each.record.threshold) for each in pairing.scored})


def _verdicts(pairing: Pairing) -> str:
    """What the verdicts were made with, where that can be told in a sentence."""
    runs = _runs(pairing)
    if len(runs) > 1:
        return f"Verdicts are those of {len(runs):,} models or thresholds; see below."
    ((model, digest, threshold),) = runs
    return f"Verdicts are those of {model} (SHA-256 {digest[:12]}…) at the threshold {threshold:g}."


def _tiles(pairing: Pairing, evaluation: Evaluation) -> str:
    """The main numbers; what went wrong as plainly as what went right."""
    recorded = evaluation.at[0].figures
    tiles = [
        _tile(name, *_number(figure), f"of {figure.cases:,} {figure.of}")
        for name, figure in {
            "ROC AUC": evaluation.figures["roc_auc"],
            "sensitivity": recorded["sensitivity"],
            "specificity": recorded["specificity"],
            "accuracy": recorded["accuracy"],
        }.items()
    ]
    labelled = f"of {len(pairing.labelled):,} labelled"
    for name, pairs, why, kind in (
        ("rejected", pairing.rejected, "no chest X-ray to judge", "rejected"),
        ("failed", pairing.failed, "could not be scored", "error"),
    ):
        tiles.append(_tile(name, f"{len(pairs):,}", why, labelled, f"{kind} some" if pairs else kind))
    return "\n".join(tiles)


def _tile(label: str, number: str, interval: str, of: str, kind: str = "") -> str:
    return (
        f'<div class="tile figure {kind}"><span class="label">{label}</span><span class="number">{number}</span>'
        f'<span class="interval">{escape(interval)}</span><span class="interval">{escape(of)}</span></div>'
    )


def _number(figure: Figure) -> tuple[str, str]:
    value, _, interval = written(figure).partition(" ")
    return ("-" if figure.value is None else value), interval.strip("()")


def _of_scores(evaluation: Evaluation) -> str:
    rows = (_row(words, [evaluation.figures[name]], evaluation.figures[name]) for name, words in OF_SCORES.items())
    return "".join(rows)


def _row(words: str, figures: Iterable[Figure], first: Figure) -> str:
    """A row of a table: what it is, the figures with their intervals, and what the first one is about."""
    cells = []
    for figure in figures:
        number, interval = _number(figure)
        cells.append(f'<td><span class="value">{number}</span> <span class="interval">{escape(interval)}</span></td>')
    part = ' class="part"' if words.startswith(" ") else ""
    cells.insert(1, f'<td class="of">{first.cases:,} {escape(first.of)}</td>')
    return f'<tr{part}><th scope="row">{escape(words.strip())}</th>{"".join(cells)}</tr>'


def _of_verdicts(at: Sequence[Verdicts]) -> str:
    """The table of all thresholds: counts and figures, the recorded threshold first."""
    recorded, *others = at
    head = [
        f'<th scope="col">{escape(threshold(each))}<span class="interval">{escape(each.origin)}</span></th>'
        for each in at
    ]
    head.insert(1, '<th scope="col">of</th>')
    counts = "".join(
        f'<tr><th scope="row">{name.replace("_", " ")}s</th>'
        f'<td><span class="value">{recorded.confusion[name]:,}</span></td>'
        f'<td class="of">{_truly(recorded, name):,} {"normal" if name in _OF_NORMAL else "pneumonia"}</td>'
        + "".join(f'<td><span class="value">{each.confusion[name]:,}</span></td>' for each in others)
        + "</tr>"
        for name in recorded.confusion
    )
    names = shown(recorded) | {"f1_normal": "F1 of NORMAL"}
    figures = "".join(
        _row(words, (each.figures[name] for each in at), recorded.figures[name]) for name, words in names.items()
    )
    return f'<thead><tr><th scope="col">threshold</th>{"".join(head)}</tr></thead><tbody>{counts}{figures}</tbody>'


_OF_NORMAL = ("true_negative", "false_positive")


def _truly(verdicts: Verdicts, name: str) -> int:
    """How many pictures are truly of the class that this count is a part of."""
    return sum(count for each, count in verdicts.confusion.items() if (each in _OF_NORMAL) == (name in _OF_NORMAL))


def _plot(name: str, svg: str, evaluation: Evaluation) -> str:
    counts = evaluation.at[0].confusion
    told = {
        "roc": f"ROC curve: AUC {written(evaluation.figures['roc_auc'])}",
        "precision-recall": f"Precision-recall curve: AUC {written(evaluation.figures['pr_auc'])}",
        "reliability": f"Reliability: calibration error {written(evaluation.figures['calibration_error'])}",
        "scores": f"Histograms of scores: {sum(counts.values()):,} pictures",
        "confusion": "Confusion: " + ", ".join(f"{n:,} {each.replace('_', ' ')}s" for each, n in counts.items()),
    }
    return f'<div class="card">{inline(svg, name, told[name])}</div>'


def _gallery(what: str, total: int, name: str, mistakes: Sequence[Pair], pictures: Sequence[Mapping[str, str]]) -> str:
    """One kind of mistake: the surest of all of them."""
    if not total:
        return f'<h3>No {name}s</h3><p class="empty">No pictures were {what}.</p>'
    some = f", the {len(mistakes):,} surest of them" if len(mistakes) < total else ""
    return (
        f'<h3>{total:,} {name}{"s" if total > 1 else ""}</h3><p class="muted">Pictures {what}{some}; the surest first.'
        f'</p><div class="gallery">{gallery(mistakes, pictures)}</div>'
    )


def _left_out(pairing: Pairing) -> str:
    """The pictures without figures, by name."""
    parts = []
    for what, lines in left_out(pairing).items():
        if lines:
            more = [f"… and {len(lines) - NAMED:,} more"] if len(lines) > NAMED else []
            items = "".join(f"<li>{text(line)}</li>" for line in (*lines[:NAMED], *more))
            parts.append(f"<details><summary>{len(lines):,} {what}</summary><ul>{items}</ul></details>")
    return "".join(parts) or '<p class="muted">Everything that is labelled was scored.</p>'


def _facts(pairing: Pairing, facts: Mapping[str, str]) -> str:
    runs = _runs(pairing)
    told: list[tuple[str, str]] = []
    for model, digest, cut in runs[:RUNS]:
        told += [("Model", model), ("SHA-256", digest), ("Threshold", f"{cut:g}")]
    if len(runs) > RUNS:
        told.append(("Other models or thresholds", f"{len(runs) - RUNS:,}"))
    told.append(("Device", ", ".join(sorted({each.record.device or "unknown" for each in pairing.scored}))))
    if pairing.repeated:
        told.append(("Records replaced", f"{pairing.repeated:,}, by later ones of the same path"))
    told += facts.items()
    return list_of_facts(told)
