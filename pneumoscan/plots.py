"""An evaluation as pictures: ROC, precision and recall, reliability, confusion, scores. Needs matplotlib.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; the classes also differ in line or hatching.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumoscan import metrics
from pneumoscan.evaluation import Cases, Evaluation, Figure, Verdicts
from pneumoscan.metrics import BoolArray, FloatArray

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.ticker import ScalarFormatter
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("plots need matplotlib: pip install 'pneumoscan[evaluate]'", name=error.name) from error

BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
BINS = 10
"""Of the reliability diagram."""
GRID = np.linspace(0, 1, 201)
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "pneumoscan"}

_Curve = Callable[[BoolArray, FloatArray], FloatArray]


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
    kinds: dict[str, Callable[[Axes], None]] = {
        "reliability": lambda axes: _reliability(axes, cases, evaluation),
        "confusion": lambda axes: _confusion(axes, evaluation.at[0]),
        "scores": lambda axes: _scores(axes, cases, evaluation),
    }
    if cases.truth.any() and not cases.truth.all():
        kinds = {
            "roc": lambda axes: _roc(axes, cases, evaluation, rounds),
            "precision-recall": lambda axes: _precision_recall(axes, cases, evaluation, rounds),
        } | kinds
    note = f"{len(cases):,} pictures of {len(np.unique(cases.groups)):,} patients. Research use only."
    return [_save(_canvas(plot, note), folder / f"{name}.{format}") for name, plot in kinds.items()]


def _canvas(plot: Callable[[Axes], None], note: str) -> Canvas:
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(5.6, 5.2), layout="constrained")
        plot(canvas.add_subplot())
        canvas.supxlabel(note, fontsize=8, color=GREY, x=0.99, ha="right")
        return canvas


def _save(canvas: Canvas, path: Path) -> Path:
    """Writes a picture, whole or not at all, and the same for the same figures."""
    data = io.BytesIO()
    format = path.suffix[1:]
    with mpl.rc_context(STYLE):
        canvas.savefig(data, format=format, dpi=150, metadata={"Date": None} if format == "svg" else {})
    growing = path.with_name(f".{path.name}.partial")
    growing.write_bytes(data.getvalue())
    os.replace(growing, path)
    return path


def _band(axes: Axes, cases: Cases, curve: _Curve, rounds: int) -> None:
    """Shades the pointwise 95 % interval, over resampled patients, of a curve that is evaluated on `GRID`."""
    draws = [
        curve(cases.truth[at], cases.scores[at])
        for at in metrics.resamples(cases.groups, rounds=rounds)
        if cases.truth[at].any() and not cases.truth[at].all()
    ]
    low, high = np.percentile(draws, (2.5, 97.5), axis=0)
    axes.fill_between(GRID, low, high, color=BLUE, alpha=0.2, linewidth=0, label="95 % band, pointwise")


def _roc(axes: Axes, cases: Cases, evaluation: Evaluation, rounds: int) -> None:
    def on_grid(truth: BoolArray, scores: FloatArray) -> FloatArray:
        false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
        last = np.searchsorted(false, GRID, side="right") - 1  # the highest point of each vertical step
        return np.asarray(true[last])

    false, true, _ = roc_curve(cases.truth, cases.scores)
    _band(axes, cases, on_grid, rounds)
    axes.plot(false, true, color=BLUE, linewidth=2, drawstyle="steps-post", label="ROC")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
    _mark(axes, evaluation, lambda figures: (1 - _value(figures["specificity"]), _value(figures["sensitivity"])))
    axes.set(
        title=f"ROC: AUC {_words(evaluation.figures['roc_auc'])}",
        xlabel="1 - specificity (false positive rate)",
        ylabel="sensitivity (true positive rate)",
    )
    _square(axes, "lower right")


def _precision_recall(axes: Axes, cases: Cases, evaluation: Evaluation, rounds: int) -> None:
    def on_grid(truth: BoolArray, scores: FloatArray) -> FloatArray:
        precision, recall, _ = precision_recall_curve(truth, scores)
        return np.asarray(precision[np.searchsorted(-recall, -GRID, side="right") - 1])

    precision, recall, _ = precision_recall_curve(cases.truth, cases.scores)
    _band(axes, cases, on_grid, rounds)
    axes.plot(recall, precision, color=BLUE, linewidth=2, drawstyle="steps-post", label="precision")
    share = cases.truth.mean()
    axes.axhline(share, color=GREY, linestyle=":", linewidth=1, label=f"chance ({share:.0%} are PNEUMONIA)")
    _mark(axes, evaluation, lambda figures: (_value(figures["sensitivity"]), _value(figures["ppv"])))
    axes.set(
        title=f"Precision and recall: AUC {_words(evaluation.figures['pr_auc'])}",
        xlabel="recall (sensitivity)",
        ylabel="precision (PPV)",
    )
    _square(axes, "lower left")


def _mark(axes: Axes, evaluation: Evaluation, place: Callable[[dict[str, Figure]], tuple[float, float]]) -> None:
    """Puts a mark where each threshold lies on a curve."""
    for index, verdicts in enumerate(evaluation.at[:4]):
        axes.plot(
            *place(verdicts.figures),
            linestyle="none",
            marker="oDsv"[index],
            markersize=8,
            zorder=5,
            clip_on=False,
            color=VERMILLION if index == 0 else "white",
            markeredgecolor=VERMILLION,
            label=_threshold(verdicts),
        )


def _threshold(verdicts: Verdicts) -> str:
    words = "thresholds" if verdicts.threshold is None else f"threshold {verdicts.threshold:.3g}"
    return f"{words}, optimistic" if verdicts.same_data else f"{words} {verdicts.origin}"


def _square(axes: Axes, legend: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc=legend, frameon=False, fontsize=9)


def _reliability(axes: Axes, cases: Cases, evaluation: Evaluation) -> None:
    where = np.minimum((cases.scores * BINS).astype(int), BINS - 1)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfect")
    for each in np.unique(where):
        inside = where == each
        share, low, high = metrics.wilson(int(cases.truth[inside].sum()), int(inside.sum()))
        score = cases.scores[inside].mean()
        label = "share of PNEUMONIA, 95 % interval" if each == where.min() else None
        reach = [[max(0, share - low)], [max(0, high - share)]]
        axes.errorbar(
            score, share, reach, color=BLUE, marker="o", capsize=3, clip_on=False, linestyle="none", label=label
        )
        axes.annotate(f"{inside.sum():,}", (score, share), xytext=(7, -3), textcoords="offset points", fontsize=8)
    axes.set(
        title=f"Reliability: ECE {_words(evaluation.figures['calibration_error'])}",
        xlabel=f"mean probability of pneumonia ({BINS} equal bins; numbers: pictures)",
        ylabel="share that shows pneumonia",
    )
    _threshold_line(axes, evaluation.at[0])
    _square(axes, "upper left")


def _threshold_line(axes: Axes, verdicts: Verdicts) -> None:
    if verdicts.threshold is not None:
        axes.axvline(verdicts.threshold, color=VERMILLION, linestyle="--", linewidth=1.2, label=_threshold(verdicts))


def _confusion(axes: Axes, verdicts: Verdicts) -> None:
    names = (("true_negative", "false_positive"), ("false_negative", "true_positive"))
    counts = np.array([[verdicts.confusion[name] for name in row] for row in names])
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = f"\n{shares[row, column]:.1%} of {totals[row, 0]:,}" if totals[row, 0] else ""
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}{share}", ha="center", va="center", color=colour, fontsize=13)
    classes = ("NORMAL", "PNEUMONIA")
    axes.set(xticks=(0, 1), xticklabels=classes, yticks=(0, 1), xlabel="verdict", ylabel="truth")
    axes.set_yticklabels(classes, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Confusion at {_threshold(verdicts)}")


def _scores(axes: Axes, cases: Cases, evaluation: Evaluation) -> None:
    unknown = cases.truth & ~cases.bacterial & ~cases.viral
    kinds = {
        "normal": (~cases.truth, BLUE, "-"),
        "bacterial pneumonia": (cases.bacterial, VERMILLION, "--"),
        "viral pneumonia": (cases.viral, PURPLE, "-."),
        "pneumonia": (unknown, "black", ":"),
    }
    for name, (inside, colour, line) in kinds.items():
        if inside.any():
            counts, edges = np.histogram(cases.scores[inside], bins=25, range=(0, 1))
            axes.stairs(counts, edges, color=colour, linestyle=line, linewidth=1.8, label=f"{name} ({inside.sum():,})")
    _threshold_line(axes, evaluation.at[0])
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set(title="Scores", xlabel="probability of pneumonia", ylabel="pictures (logarithmic)", xlim=(-0.01, 1.01))
    axes.legend(loc="upper center", frameon=False, fontsize=9)


def _value(figure: Figure) -> float:
    return float("nan") if figure.value is None else figure.value


def _words(figure: Figure) -> str:
    if figure.value is None or figure.low is None:
        return "-" if figure.value is None else f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
