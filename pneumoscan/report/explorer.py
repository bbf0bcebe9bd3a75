"""The threshold explorer: scores counted finely enough for every figure at every threshold, however many they are."""

from collections.abc import Sequence

import numpy as np

from pneumoscan.evaluation import Cases
from pneumoscan.metrics import bins_of

STEPS = 10_000
"""Thresholds from 0 to 1 at which the counts are exact, besides those that are named."""
BARS = 50
"""Of the histogram."""


def score_counts(cases: Cases, thresholds: Sequence[float] = ()) -> dict[str, list[float] | list[int]]:
    """How many normal pictures and pneumonias there are from one threshold up to the next.

    Figures at any k / `STEPS` and at the named thresholds follow exactly, since no score changes sides.

    Args:
        cases: any number.
        thresholds: others that must be exact.

    Returns:
        `at`, the thresholds from which something is counted, ascending, at most `STEPS` + 1 and those named; `normal`
        and `ill`, the counts from each up to the next.
    """
    edges = np.unique([*(np.arange(STEPS + 1) / STEPS), *thresholds])
    places = np.searchsorted(edges, cases.scores, side="right") - 1
    normal, ill = (np.bincount(places[of], minlength=len(edges)) for of in (~cases.truth, cases.truth))
    there = (normal + ill).nonzero()
    return {"at": edges[there].tolist(), "normal": normal[there].tolist(), "ill": ill[there].tolist()}


def histogram(cases: Cases, recorded: float | None) -> str:
    """Bars of pneumonias upwards and of normal pictures downwards, as HTML; `evaluation.js` moves the threshold.

    Heights are square roots of counts, so that the few in the middle are seen beside the many at both ends.
    """
    width, half, bottom = 500, 70, 22  # in units of the drawing
    bins = bins_of(cases.scores, BARS)
    counts = {
        "pneumonia": np.bincount(bins[cases.truth], minlength=BARS),
        "normal": np.bincount(bins[~cases.truth], minlength=BARS),
    }
    highest = max(int(each.max()) for each in counts.values())
    step = width / BARS
    bars = []
    for kind, each in counts.items():
        for i in map(int, each.nonzero()[0]):
            size = max(2.0, float(np.sqrt(each[i] / highest)) * (half - 4))
            top = half - size if kind == "pneumonia" else half
            bars.append(
                f'<rect class="{kind}" x="{i * step + 0.75:.2f}" y="{top:.2f}" '
                f'width="{step - 1.5:.2f}" height="{size:.2f}">'
                f"<title>{i / BARS:.2f} to {(i + 1) / BARS:.2f}: {each[i]:,} {kind}</title></rect>"
            )
    mark = "" if recorded is None else f'<path class="recorded" d="M{recorded * width:.2f} 0v{2 * half}"/>'
    ticks = "".join(
        f'<text x="{x * width:.0f}" y="{2 * half + 15}" text-anchor="{anchor}">{x:g}</text>'
        for x, anchor in ((0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1, "end"))
    )
    return (
        f'<svg class="plot" viewBox="0 0 {width} {2 * half + bottom}" role="img" aria-label="Histogram of scores: '
        f'pneumonias upwards, normal pictures downwards; at most {highest:,} in one bar">'
        f'<rect id="called" class="called" x="{width}" y="0" width="0" height="{2 * half}"/>{"".join(bars)}'
        f'<line class="axis" x1="0" x2="{width}" y1="{half}" y2="{half}"/>{mark}'
        f'<line id="line" class="threshold" y1="0" y2="{2 * half}"/>'
        f"{ticks}</svg>"
    )
