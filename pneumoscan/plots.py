"""An evaluation as pictures: ROC, precision and recall, reliability, confusion, scores. Needs matplotlib.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; the classes also differ in line or hatching.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumoscan import metrics
from pneumoscan.atomic import replace_with
from pneumoscan.curves import GRID, band, precision_on_grid, roc_on_grid
from pneumoscan.evaluation import Cases, Evaluation, Figure, Verdicts
from pneumoscan.evaluation_words import written
from pneumoscan.metrics import FloatArray

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import NullLocator, StrMethodFormatter
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plots need matplotlib: pip install 'pneumoscan[evaluate]'", name=error.name) from error

BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
BINS = 10
"""Of the reliability diagram."""
LOWEST = 0.08
"""Share below which the number of a bin stands above its point: below it, it would stand on the axis."""
ZOOM, ZOOM_FROM = 0.2, 0.95
"""Side of the corner that is enlarged, and area under a curve from which on it is."""
COUNTS = (0, *(digit * 10**power for power in range(9) for digit in (1, 3)))
STYLE: dict[str, object] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "pneumoscan",
}


def draw(cases: Cases, evaluation: Evaluation, folder: Path, format: str, *, rounds: int = 1000) -> list[Path]:
    """Draws what can be drawn: curves only where there are both classes.

    Args:
        cases: at least one.
        evaluation: of these cases.
        folder: where the files go; those of the same names are replaced.
        format: `png` or `svg`.
        rounds: resamples for the bands around curves.

    Returns:
        The files.

    Raises:
        OSError: a file cannot be written.
    """
    files = []
    for name, plot in _plots(cases, evaluation, rounds).items():
        files.append(folder / f"{name}.{format}")
        replace_with(files[-1], _rendered(plot, _note(cases), format, {}))
    return files


def as_svg(cases: Cases, evaluation: Evaluation, *, rounds: int = 1000) -> dict[str, str]:
    """Draws what `draw` does, by name, as SVG of which the letters are text and the ground is transparent."""
    style = {"svg.fonttype": "none", "figure.facecolor": "none", "axes.facecolor": "none"}
    plots = _plots(cases, evaluation, rounds)
    return {name: _rendered(plot, "", "svg", style).decode() for name, plot in plots.items()}


def _plots(cases: Cases, evaluation: Evaluation, rounds: int) -> dict[str, Callable[[Canvas], None]]:
    kinds: dict[str, Callable[[Canvas], None]] = {
        "reliability": lambda canvas: _reliability(canvas, cases, evaluation),
        "confusion": lambda canvas: _confusion(canvas, evaluation.at[0]),
        "scores": lambda canvas: _scores(canvas, cases, evaluation.at[0]),
    }
    if cases.truth.any() and not cases.truth.all():
        kinds |= {
            "roc": lambda canvas: _roc(canvas, cases, evaluation, rounds),
            "precision-recall": lambda canvas: _precision_recall(canvas, cases, evaluation, rounds),
        }
    return kinds


def _note(cases: Cases) -> str:
    return f"{len(cases):,} pictures of {len(np.unique(cases.groups)):,} patients. Research use only."


def _rendered(plot: Callable[[Canvas], None], note: str, format: str, style: Mapping[str, object]) -> bytes:
    """Draws a picture, the same for the same figures, whatever style the user or the working directory has set."""
    data = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**STYLE, **style})
        canvas = Canvas(figsize=(5.6, 6), layout=ConstrainedLayoutEngine(rect=(0, 0, 1, 0.965)))
        plot(canvas)
        canvas.text(0.99, 0.99, note, fontsize=7.5, color=GREY, ha="right", va="top")
        canvas.savefig(data, format=format, dpi=150, metadata={"Date": None} if format == "svg" else {})
    return data.getvalue()


def _roc(canvas: Canvas, cases: Cases, evaluation: Evaluation, rounds: int) -> None:
    false, true, _ = roc_curve(cases.truth, cases.scores)
    interval = band(cases, roc_on_grid, rounds)

    def paint(axes: Axes) -> None:
        _shade(axes, interval)
        axes.plot(false, true, color=BLUE, linewidth=2, label="ROC")
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
        _mark(axes, evaluation, lambda figures: (1 - _value(figures["specificity"]), _value(figures["sensitivity"])))

    axes = _square(canvas, paint)
    if _value(evaluation.figures["roc_auc"]) >= ZOOM_FROM:
        _zoom(axes, paint, left=0, place=(0.4, 0.2, 0.55, 0.55))
    axes.set_title(f"ROC: AUC {written(evaluation.figures['roc_auc'])}")
    axes.set(xlabel="1 - specificity (false positive rate)", ylabel="sensitivity (true positive rate)")


def _precision_recall(canvas: Canvas, cases: Cases, evaluation: Evaluation, rounds: int) -> None:
    precision, recall, _ = precision_recall_curve(cases.truth, cases.scores)
    interval, share = band(cases, precision_on_grid, rounds), cases.truth.mean()

    def paint(axes: Axes) -> None:
        _shade(axes, interval)
        axes.plot(recall, precision, color=BLUE, linewidth=2, drawstyle="steps-post", label="precision")
        axes.axhline(share, color=GREY, linestyle=":", linewidth=1, label=f"chance ({share:.0%} are PNEUMONIA)")
        _mark(axes, evaluation, lambda figures: (_value(figures["sensitivity"]), _value(figures["ppv"])))

    axes = _square(canvas, paint)
    if _value(evaluation.figures["pr_auc"]) >= ZOOM_FROM:
        _zoom(axes, paint, left=1 - ZOOM, place=(0.12, 0.12, 0.55, 0.55))
    axes.set_title(f"Precision and recall: AUC {written(evaluation.figures['pr_auc'])}")
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)")


def _shade(axes: Axes, band: FloatArray) -> None:
    axes.fill_between(GRID, *band, color=BLUE, alpha=0.2, linewidth=0, label="95 % band, pointwise")


def _mark(axes: Axes, evaluation: Evaluation, place: Callable[[dict[str, Figure]], tuple[float, float]]) -> None:
    """Puts a mark where each threshold lies on a curve, if that part of it is shown."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for index, verdicts in enumerate(evaluation.at):
        x, y = place(verdicts.figures)
        if x < left or x > right or y < bottom or y > top:  # it is not clipped, and would lie beside an enlarged corner
            continue
        axes.plot(
            x,
            y,
            linestyle="none",
            marker="oDsv^P*X"[index % 8],
            markersize=7,
            color=VERMILLION if index == 0 else "white",
            markeredgecolor=VERMILLION,
            zorder=5,
            clip_on=False,
            label=_threshold(verdicts),
        )


def _square(canvas: Canvas, paint: Callable[[Axes], None]) -> Axes:
    """Axes from 0 to 1, what is painted on them, and the legend below."""
    axes = canvas.add_subplot(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    paint(axes)
    canvas.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return axes


def _zoom(axes: Axes, paint: Callable[[Axes], None], *, left: float, place: tuple[float, float, float, float]) -> None:
    """Paints the upper corner, where the curve of a good model lies, again and larger."""
    inset = axes.inset_axes(
        place, xlim=(left - 0.004, left + ZOOM + 0.004), ylim=(1 - ZOOM, 1.004), zorder=6, facecolor="white"
    )
    inset.grid(color="0.92")
    paint(inset)
    inset.tick_params(labelsize=8)
    inset.locator_params(nbins=4)
    inset.spines[:].set_visible(True)
    inset.spines[:].set_color(GREY)
    inset.set_title("enlarged", fontsize=8, color=GREY)


def _threshold(verdicts: Verdicts) -> str:
    words = "thresholds" if verdicts.threshold is None else f"threshold {verdicts.threshold:.3g}"
    return f"{words}, {'optimistic' if verdicts.same_data else verdicts.origin}"


def _reliability(canvas: Canvas, cases: Cases, evaluation: Evaluation) -> None:
    bins = metrics.bins_of(cases.scores, BINS)
    inside = [bins == each for each in np.unique(bins)]
    scores = np.array([cases.scores[each].mean() for each in inside])
    shares = np.array([metrics.wilson(int(cases.truth[each].sum()), int(each.sum())) for each in inside])
    value, low, high = shares.T

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfect")
        reach = np.maximum(0, (value - low, high - value))
        label = "share of PNEUMONIA, 95 % interval"
        axes.errorbar(scores, value, reach, fmt="o", color=BLUE, capsize=3, clip_on=False, label=label)
        for each, x, y in zip(inside, scores, value, strict=True):
            axes.annotate(
                f"{each.sum():,}", (x, y), xytext=(6, 5 if y < LOWEST else -11), textcoords="offset points", fontsize=8
            )
        _threshold_line(axes, evaluation.at[0])

    axes = _square(canvas, paint)
    axes.set_title(
        f"Reliability: ECE of {metrics.CALIBRATION_BINS} bins {written(evaluation.figures['calibration_error'])}"
    )
    axes.set(
        xlabel=f"mean probability of pneumonia ({BINS} bins; small numbers: pictures)",
        ylabel="share that shows pneumonia",
    )


def _threshold_line(axes: Axes, verdicts: Verdicts) -> None:
    if verdicts.threshold is not None:
        axes.axvline(verdicts.threshold, color=VERMILLION, linestyle="--", linewidth=1.2, label=_threshold(verdicts))


def _confusion(canvas: Canvas, verdicts: Verdicts) -> None:
    axes = canvas.add_subplot()
    names = (("true_negative", "false_positive"), ("false_negative", "true_positive"))
    counts = np.array([[verdicts.confusion[name] for name in row] for row in names])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    for (row, column), count in np.ndenumerate(counts):
        share = f"\n{shares[row, column]:.1%} of {totals[row, 0]:,}" if totals[row, 0] else ""
        cell = ((column - 0.5, column + 0.5), row - 0.5, row + 0.5)
        axes.fill_between(*cell, color=BLUE, alpha=0.6 * shares[row, column], linewidth=0)
        axes.text(column, row, f"{count:,}{share}", ha="center", va="center", fontsize=13)
    classes = ("NORMAL", "PNEUMONIA")
    axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), aspect="equal")
    axes.set(xticks=(0, 1), xticklabels=classes, yticks=(0, 1), xlabel="verdict", ylabel="truth")
    axes.set_yticklabels(classes, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Confusion at {_threshold(verdicts)}")


def _scores(canvas: Canvas, cases: Cases, verdicts: Verdicts) -> None:
    kinds = {
        "normal pictures": (~cases.truth, BLUE),
        "bacterial pneumonias": (cases.truth & cases.bacterial, VERMILLION),
        "viral pneumonias": (cases.truth & cases.viral, PURPLE),
        "pneumonias of unknown subtype": (cases.truth & ~cases.bacterial & ~cases.viral, GREY),
    }
    there = {name: kind for name, kind in kinds.items() if kind[0].any()}
    rows = canvas.subplots(len(there), sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, (name, (inside, colour)) in zip(rows, there.items(), strict=True):
        axes.hist(cases.scores[inside], bins=25, range=(0, 1), color=colour)
        axes.set_title(f"Scores of {inside.sum():,} {name}", fontsize=10, loc="left")
        axes.set_yscale("symlog", linthresh=1)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks([tick for tick in COUNTS if tick <= max(1, axes.get_ylim()[1])])
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
        _threshold_line(axes, verdicts)
    canvas.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=8.5)
    rows[-1].set(xlabel="probability of pneumonia", xlim=(-0.01, 1.01))
    canvas.supylabel("pictures (logarithmic)", fontsize=10)


def _value(figure: Figure) -> float:
    return float("nan") if figure.value is None else figure.value
