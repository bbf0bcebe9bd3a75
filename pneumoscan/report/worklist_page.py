"""The worklist's page: its numbers, its histogram and its facts as HTML, its rows as data for `worklist.js`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from string import Template
from typing import Any

from pneumoscan.formats import printable
from pneumoscan.heatmap import COLOURS, HOTTEST, OPACITY, evidence
from pneumoscan.records import Label, Record, Status
from pneumoscan.report.page import asset, list_of_facts, page, text
from pneumoscan.report.worklist import BINS, Entry, Run, Worklist

_SAME_FOR_ALL = ("model", "model_sha256", "threshold", "device", "schema")
_SHOWN = tuple(field.name for field in fields(Record) if field.name not in _SAME_FOR_ALL)


def render(
    worklist: Worklist,
    entries: Sequence[Entry],
    pictures: Sequence[Mapping[str, str]],
    *,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    linked_images: bool = False,
) -> bytes:
    """The page.

    Args:
        worklist: the counts.
        entries: the rows, in any order.
        pictures: for each row, the addresses of its `image` and its `heat` where there are such, or why there is no
            picture as `missing`.
        facts: what else is to be told of the run, by name.
        notes: sentences on what the page does not show.
        linked_images: whether the images are files.
    """
    runs = {run: number for number, run in enumerate(worklist.runs)}
    rows = [_row(entry.record, runs) | dict(picture) for entry, picture in zip(entries, pictures, strict=True)]
    main = Template(asset("worklist.html")).substitute(
        tiles=_tiles(worklist),
        histogram=_histogram(worklist),
        notes="".join(f'<p class="note">{text(note)}</p>' for note in notes),
        facts=_facts(worklist, facts),
        scale=_scale(),
    )
    data = {"records": rows, "runs": [run._asdict() for run in runs]}
    return page(
        "Worklist",
        main,
        data=data,
        styles=["viewer.css", "worklist.css"],
        scripts=["viewer.js", "worklist.js"],
        linked_images=linked_images,
    )


def _row(record: Record, runs: Mapping[Run, int]) -> dict[str, Any]:
    """What scripts need of a record; text is inert, and null, false and what is no number are left out."""
    values = {name: getattr(record, name) for name in _SHOWN}
    row = {
        name: printable(value) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value is not False and not (isinstance(value, float) and not math.isfinite(value))
    }
    number = runs.get(Run(record.model, record.model_sha256, record.threshold))
    return row | ({} if number is None else {"run": number}) | {"threshold": record.threshold}


def _tiles(worklist: Worklist) -> str:
    """The counts, each a button that shows these rows alone."""
    counts = worklist.counts
    tiles = (
        ("all", "scanned", worklist.total),
        ("pneumonia", "pneumonia", counts[Label.PNEUMONIA]),
        ("review", "to review", counts["review"]),
        ("normal", "normal", counts[Label.NORMAL]),
        ("rejected", "rejected", counts[Status.REJECTED]),
        ("error", "error" if counts[Status.ERROR] == 1 else "errors", counts[Status.ERROR]),
    )
    return "\n".join(
        f'<button type="button" class="tile {kind}" data-filter="{kind}" aria-pressed="{str(kind == "all").lower()}">'
        f'<span class="number">{count:,}</span>'
        f'<span class="label"><svg class="icon" aria-hidden="true"><use href="#icon-{kind}"/></svg>{name}</span>'
        "</button>"
        for kind, name, count in tiles
    )


def _histogram(worklist: Worklist) -> str:
    """Bars of both labels, one on the other, and a line at each threshold (few: one for each run)."""
    width, height, bottom = 500, 120, 24  # in units of the drawing
    normal, ill = worklist.bins[Label.NORMAL], worklist.bins[Label.PNEUMONIA]
    highest = max(map(sum, zip(normal, ill, strict=True)))
    step = width / BINS
    bars = []
    for i in range(BINS):
        top = float(height)
        for kind, count in (("normal", normal[i]), ("pneumonia", ill[i])):
            if count:
                size = max(1.5, count / highest * (height - 12))
                top -= size
                told = f"{i / BINS:.0%} to {(i + 1) / BINS:.0%}: {count:,} {kind}"
                bars.append(
                    f'<rect class="{kind}" x="{i * step + 0.75:.2f}" y="{top:.2f}" width="{step - 1.5:.2f}" '
                    f'height="{size:.2f}"><title>{told}</title></rect>'
                )
    thresholds = sorted({run.threshold for run in worklist.runs})
    lines = "".join(
        f'<line class="threshold" x1="{x:.2f}" x2="{x:.2f}" y1="0" y2="{height}"/>'
        f'<text class="threshold" x="{x + (-5 if x > width / 2 else 5):.2f}" y="10" '
        f'text-anchor="{"end" if x > width / 2 else "start"}">threshold {x / width:.1%}</text>'
        for x in (threshold * width for threshold in thresholds)
    )
    ticks = "".join(
        f'<text x="{x * width:.0f}" y="{height + 17}" text-anchor="{anchor}">{x:.0%}</text>'
        for x, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    told = f"{sum(normal):,} normal, {sum(ill):,} pneumonia; at most {highest:,} in one of {BINS} bars"
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height + bottom}" role="img" '
        f'aria-label="Histogram of the probability of pneumonia: {told}">'
        f'{"".join(bars)}<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>{lines}{ticks}</svg>'
    )


def _scale() -> str:
    """What the colours of a heatmap stand for, over grey as they are over an X-ray."""
    shares = (i / (len(COLOURS) - 1) for i in range(len(COLOURS)))
    stops = "".join(
        f'<stop offset="{share}" stop-color="rgb{tuple(map(int, colour))}" stop-opacity="{share * OPACITY}"/>'
        for share, colour in zip(shares, COLOURS, strict=True)
    )
    ticks = "".join(
        f'<text x="{320 * float(evidence(heat)):.0f}" y="23" text-anchor="middle">{heat:.{digits}%}</text>'
        for heat, digits in ((0.99, 0), (0.9999, 2))
    )
    return (
        '<svg class="scale" viewBox="0 0 320 26" role="img" aria-label="Colours of the heatmap, from even odds of '
        f'pneumonia to {HOTTEST:.4%}"><defs><linearGradient id="heat">{stops}</linearGradient></defs>'
        '<rect width="320" height="8" rx="4" fill="#6e6e6e"/>'
        f'<rect class="heat" width="320" height="8" rx="4" fill="url(#heat)"/><text y="23">even odds</text>{ticks}'
        f'<text x="320" y="23" text-anchor="end">{HOTTEST:.4%}</text></svg>'
    )


def _facts(worklist: Worklist, facts: Mapping[str, str]) -> str:
    """What produced the records, and when."""
    several = len(worklist.runs) > 1
    told: list[tuple[str, str]] = []
    for run, count in worklist.runs.most_common():
        which = f" of {count:,} pictures" if several else ""
        told.append((f"Model{which}", run.model))
        told.append(("SHA-256", run.model_sha256))
        told.append(("Threshold", f"{run.threshold:g}"))
    if worklist.unmentioned_runs:
        told.append(("Other models", f"of {worklist.unmentioned_runs:,} pictures"))
    told.append(("Device", ", ".join(sorted(worklist.devices)) or "none: nothing could be scored"))
    told += facts.items()
    return list_of_facts(told)
