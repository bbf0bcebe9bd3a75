from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.axes
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from pneumoscan import curves, evaluation, plots
from pneumoscan.evaluation import Cases
from pneumoscan.metrics import Ranking
from tests.test_evaluation import MIXED, cases

evaluate = partial(evaluation.evaluate, rounds=20)
draw = partial(plots.draw, rounds=20)
ONLY_NORMAL = cases(("n", 0.1), ("n", 0.9))


def texts(path: Path) -> str:
    """What an SVG says, which matplotlib keeps in comments beside the letters' shapes."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    elements = ElementTree.parse(path, parser).iter()
    return "\n".join(str(each.text).strip() for each in elements if each.tag is ElementTree.Comment)


def drawn(some: Cases, folder: Path) -> dict[str, str]:
    return {path.stem: texts(path) for path in draw(some, evaluate(some), folder, "svg")}


def reliability(some: Cases) -> mpl.axes.Axes:
    """The reliability diagram, laid out."""
    canvas = mpl.figure.Figure(figsize=(5.6, 6), layout="constrained")
    plots._reliability(canvas, some, evaluate(some))
    canvas.canvas.draw()
    return canvas.axes[0]


def test_every_plot_is_a_picture_that_is_not_blank(tmp_path: Path) -> None:
    written = draw(MIXED, evaluate(MIXED), tmp_path, "png")
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert {path.name for path in written} == {
        "roc.png", "precision-recall.png", "reliability.png", "confusion.png", "scores.png",
    }  # fmt: skip
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 800
            assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_plots_say_what_they_show_of_how_many_and_where_the_threshold_lies(tmp_path: Path) -> None:
    said = drawn(MIXED, tmp_path)
    assert "ROC: AUC 0.917" in said["roc"]
    assert "sensitivity (true positive rate)" in said["roc"]
    assert "Precision and recall: AUC 0.950" in said["precision-recall"]
    assert "Reliability: ECE of 15 bins" in said["reliability"]
    assert "Scores of 3 normal pictures" in said["scores"]
    assert "Scores of 2 viral pneumonias" in said["scores"]
    assert "66.7% of 3" in said["confusion"]
    for text in said.values():
        assert "threshold 0.5, as recorded" in text
        assert "7 pictures of 7 patients. Research use only." in text


def test_a_threshold_that_was_chosen_on_the_same_pictures_is_marked(tmp_path: Path) -> None:
    assert "threshold 0.4, optimistic" in drawn(MIXED, tmp_path)["roc"]


def test_the_corner_of_a_curve_is_enlarged_only_where_a_good_one_lies(tmp_path: Path) -> None:
    good = cases(("n", 0.1), ("n", 0.2), ("p", 0.8), ("p", 0.9))
    assert "enlarged" in drawn(good, tmp_path)["roc"]
    assert "enlarged" not in drawn(MIXED, tmp_path)["roc"]


def test_the_enlarged_corner_hides_what_lies_behind_it_also_where_the_ground_is_transparent() -> None:
    good = cases(("n", 0.1), ("n", 0.2), ("p", 0.8), ("p", 0.9))
    for name in ("roc", "precision-recall"):
        svg = ElementTree.fromstring(plots.as_svg(good, evaluate(good), rounds=20)[name])
        grounds = [path.get("style", "") for group in svg.iter() if group.get("id", "").startswith("patch_")
                   for path in group if "stroke" not in path.get("style", "")]  # fmt: skip
        assert sum("fill: #ffffff" in ground for ground in grounds) == 1


def test_numbers_of_pictures_stand_above_the_axis(tmp_path: Path) -> None:
    some = cases(*[("n", 0.04)] * 40, ("p", 0.9), ("p", 0.95))
    axes = reliability(some)
    bottom = axes.transAxes.transform((0, 0))[1]
    assert [text.get_text() for text in axes.texts] == ["40", "2"]
    assert all(text.get_window_extent().y0 >= bottom for text in axes.texts)


def test_a_threshold_outside_the_enlarged_corner_leaves_room_for_the_plot(tmp_path: Path) -> None:
    assert "enlarged" in drawn(cases(("n", 0.6), ("p", 0.8)), tmp_path)["roc"]  # matplotlib would warn


def test_there_are_no_curves_of_a_single_class(tmp_path: Path) -> None:
    assert set(drawn(ONLY_NORMAL, tmp_path)) == {"reliability", "confusion", "scores"}


def test_records_with_several_thresholds_have_no_line_for_one(tmp_path: Path) -> None:
    several = Cases(*(getattr(MIXED, name) for name in MIXED.__slots__[:-1]), thresholds=(0.2, 0.5))
    assert "Confusion at thresholds, as recorded" in drawn(several, tmp_path)["confusion"]
    assert "threshold" not in drawn(several, tmp_path)["scores"]


@pytest.mark.parametrize("format", ["png", "svg"])
def test_the_same_figures_give_the_same_bytes(tmp_path: Path, format: str) -> None:
    first = [path.read_bytes() for path in draw(MIXED, evaluate(MIXED), tmp_path, format)]
    assert first == [path.read_bytes() for path in draw(MIXED, evaluate(MIXED), tmp_path, format)]


def test_a_style_set_by_user_or_working_directory_changes_nothing(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in draw(MIXED, evaluate(MIXED), tmp_path, "svg")]
    with mpl.rc_context({"text.usetex": True, "lines.linewidth": 9, "figure.facecolor": "red"}):
        assert first == [path.read_bytes() for path in draw(MIXED, evaluate(MIXED), tmp_path, "svg")]


def test_the_band_encloses_the_curve_and_narrows_with_more_patients() -> None:
    rows = [("n", 0.1), ("n", 0.3), ("n", 0.7), ("p", 0.2), ("p", 0.6), ("p", 0.9)]

    def width(some: Cases) -> float:
        low, high = curves.band(some, curves.roc_on_grid, rounds=200)
        curve = curves.roc_on_grid(*Ranking(some.truth, some.scores).counts())
        assert (low <= curve + 1e-9).all()
        assert (curve <= high + 1e-9).all()
        return float((high - low).mean())

    assert width(cases(*rows * 20)) < width(cases(*rows * 4)) < 1


def test_curves_on_the_grid_are_those_of_every_threshold() -> None:
    truth, scores = np.array([False, True, False, True]), np.array([0.1, 0.4, 0.5, 0.8])
    counts = Ranking(truth, scores).counts()
    roc, precision = curves.roc_on_grid(*counts), curves.precision_on_grid(*counts)
    assert (roc[0], roc[50], roc[99], roc[100], roc[200]) == (0.5, 0.5, 0.5, 1, 1)
    assert (precision[0], precision[100], precision[101], precision[200]) == pytest.approx((1, 1, 2 / 3, 2 / 3))
