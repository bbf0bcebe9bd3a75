"""What the page of an evaluation is made of: counted scores, plots without styles, mistakes; and `--report`."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pneumoscan import evaluation, plots
from pneumoscan.cli import app, evaluation_page
from pneumoscan.cli.exits import Exit
from pneumoscan.evaluation import Cases
from pneumoscan.labels import Labelled, Pair
from pneumoscan.records import Label, Record
from pneumoscan.report.charts import inline
from pneumoscan.report.explorer import STEPS, score_counts
from pneumoscan.report.mistakes import SHOWN, worst
from tests.records import ILL, failed
from tests.test_evaluation import MIXED, cases

Flat = Callable[[str, int], Path]

SCORES = st.floats(0, 1).map(lambda score: round(score, 6))


class TestCountedScores:
    @given(
        st.lists(st.tuples(st.sampled_from("np"), SCORES), min_size=1, max_size=30),
        st.integers(0, STEPS).map(lambda step: step / STEPS) | st.just(0.30000049),
    )
    def test_tell_the_counts_at_every_threshold_exactly(self, rows: list[tuple[str, float]], threshold: float) -> None:
        some = cases(*rows)
        counted = {name: np.array(each) for name, each in score_counts(some, [0.30000049]).items()}
        above = counted["at"] >= threshold
        for name, of in (("normal", ~some.truth), ("ill", some.truth)):
            assert counted[name][above].sum() == (some.scores[of] >= threshold).sum()
            assert counted[name].sum() == of.sum()

    def test_are_few_however_many_pictures_there_are(self) -> None:
        random = np.random.default_rng(0)
        many = replace_arrays(MIXED, truth=random.random(100_000) < 0.5, scores=random.random(100_000))
        counted = score_counts(many, [0.00001])
        assert {len(each) for each in counted.values()} == {STEPS + 1}
        assert len(json.dumps(counted)) < 300_000

    def test_are_none_where_there_is_nothing_between_two_thresholds(self) -> None:
        assert score_counts(cases(("n", 0.25), ("p", 0.25), ("p", 0.75001))) == {
            "at": [0.25, 0.75], "normal": [1, 0], "ill": [1, 1],
        }  # fmt: skip


def replace_arrays(some: Cases, **changes: Any) -> Cases:
    return Cases(**{name: changes.get(name, getattr(some, name)) for name in Cases.__slots__})


class TestPlotsOnThePage:
    charts: ClassVar = [
        inline(svg, name, f"<{name}>")
        for name, svg in plots.as_svg(MIXED, evaluation.evaluate(MIXED, rounds=20), rounds=20).items()
    ]

    def test_hold_no_style_that_the_policy_forbids_and_nothing_to_load(self) -> None:
        assert len(self.charts) == 5
        for chart in self.charts:
            assert not re.search(r"<style|style=|<script|<metadata|http|<image|\son\w+=", chart)

    def test_share_no_ids_and_refer_only_to_their_own(self) -> None:
        found = [re.findall(r'\bid="([^"]+)"', chart) for chart in self.charts]
        every = [each for ids in found for each in ids]
        assert len(every) == len(set(every)) > 0
        for ids, chart in zip(found, self.charts, strict=True):
            assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', chart)) <= {
                pair for each in ids for pair in ((each, ""), ("", each))
            }

    def test_say_what_they_show_as_text(self) -> None:
        for chart in self.charts:
            root = ElementTree.fromstring(chart)
            assert root.get("role") == "img"
            assert root.get("aria-label") == root[0].text == f"<{root[0].text[1:-1]}>"
        assert "ROC: AUC 0.917" in "".join(self.charts)

    def test_are_painted_in_the_colours_of_the_page(self) -> None:
        for chart in self.charts:
            assert not re.search("#000000|#ffffff|white|black", chart)


def pair(path: str, shows: Label, probability: float) -> Pair:
    label = Label.PNEUMONIA if probability >= 0.5 else Label.NORMAL
    return Pair(Labelled(path, shows, None, path), replace(ILL, path=path, label=label, probability=probability))


class TestTheWorstMistakes:
    def test_are_the_wrong_verdicts_the_surest_first(self) -> None:
        pairs = [
            pair("a", Label.NORMAL, 0.6),
            pair("b", Label.NORMAL, 0.9),
            pair("c", Label.NORMAL, 0.1),
            pair("d", Label.PNEUMONIA, 0.4),
            pair("e", Label.PNEUMONIA, 0.01),
            pair("f", Label.PNEUMONIA, 0.9),
        ]
        positives, negatives = worst(pairs)
        assert ([each.record.path for each in positives], [each.record.path for each in negatives]) == (
            ["b", "a"],
            ["e", "d"],
        )

    def test_are_bounded(self) -> None:
        positives, negatives = worst(pair(str(i), Label.NORMAL, 0.5 + i / 200) for i in range(100))
        assert [each.record.path for each in positives] == [str(i) for i in range(99, 99 - SHOWN, -1)]
        assert negatives == []


@pytest.fixture
def place(flat: Flat, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled pictures, of which the tiny model says too much of `b` and too little of `d`, and their records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "evaluate", partial(evaluation.evaluate, rounds=20))
    monkeypatch.setattr(evaluation_page, "as_svg", partial(plots.as_svg, rounds=20))
    for name, brightness in {"NORMAL/a": 51, "NORMAL/b": 153, "PNEUMONIA/c": 204, "PNEUMONIA/d": 102}.items():
        flat(f"x/{name}.png", brightness)
    invoke("predict", "x", "-o", "out.jsonl", "--model", tiny_model, "--device", "cpu")
    return tmp_path


def invoke(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, " ".join(re.sub("[│╭╮╰╯─]", "", result.stderr).split())


def scan(model: Path, *arguments: object) -> tuple[int, str, str]:
    return invoke("evaluate", "x", "--model", model, "--device", "cpu", "--report", "eval.html", *arguments)


def recorded(*arguments: object) -> tuple[int, str, str]:
    return invoke("evaluate", "x", "--predictions", "out.jsonl", "--report", "eval.html", *arguments)


def heat(page: Path) -> list[str]:
    return re.findall(r'<image class="heat" href="data:image/png;base64,([^"]+)"', page.read_text())


class TestTheReport:
    def test_is_not_named_like_the_folder_of_plots(self, place: Path) -> None:
        code, stdout, stderr = recorded("--plots", place / "eval.html")
        assert (code, stdout) == (Exit.USAGE, "")
        assert "eval.html is named twice" in stderr
        assert not (place / "eval.html").exists()

    def test_says_what_the_terminal_does(self, place: Path, tiny_model: Path) -> None:
        code, stdout, stderr = scan(tiny_model)
        assert code == Exit.OK
        assert "wrote eval.html" in stderr
        html = (place / "eval.html").read_text()
        text = re.sub("<[^>]*>", " ", html.split("</header>")[1])
        shown, printed = re.sub(r"\s+", " ", text), re.sub(r"\s+", " ", stdout)
        for sentence in (
            "4 labelled pictures: 2 normal, 2 pneumonia (0 bacterial, 0 viral); 4 patients, as far as is known.",
            "4 scored by tiny-1.2.3; 0 rejected, 0 failed.",
            "Intervals: Wilson for shares of counted pictures",
        ):
            assert sentence in shown
            assert sentence in printed
        figures = re.findall(r"(\w[\w ]*?) (\d\.\d{3}) \((\d\.\d{3} to \d\.\d{3})\) ", printed)
        assert len(figures) > 15
        for *_, value, interval in figures:
            assert f"{value} {interval}" in shown
        assert "tiny-1.2.3" in shown and "at the threshold 0.5" in shown

    def test_is_whole_and_runs_nothing_but_its_own(self, place: Path) -> None:
        assert recorded()[0] == Exit.OK
        html = (place / "eval.html").read_text()
        assert html.endswith("</html>\n")
        assert "script-src 'sha256-" in html and "unsafe" not in html
        assert " style=" not in html
        assert "$" not in re.sub("(?s)<script.*?</script>", "", html)

    def test_leaves_the_figures_on_standard_output_as_they_are(self, place: Path) -> None:
        _, stdout, _ = recorded("--json")
        assert stdout == invoke("evaluate", "x", "--predictions", "out.jsonl", "--json")[1]

    def test_shows_where_evidence_was_found_in_a_scan_and_afterwards_alike_if_a_shipped_model_scored(
        self, place: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scan(tiny_model)
        scanned = heat(place / "eval.html")
        assert len(scanned) == 2
        (place / "models" / "small").mkdir(parents=True)
        shutil.copy(tiny_model, place / "models" / "small" / "model.onnx")
        monkeypatch.setattr("pneumoscan.models.FOLDER", place / "models")
        assert recorded()[0] == Exit.OK
        assert heat(place / "eval.html") == scanned

    @pytest.mark.parametrize("has_records", [False, True])
    def test_has_no_heatmaps_where_they_are_not_wanted(self, place: Path, tiny_model: Path, has_records: bool) -> None:
        code = recorded("--no-heatmaps")[0] if has_records else scan(tiny_model, "--no-heatmaps")[0]
        assert (code, heat(place / "eval.html")) == (Exit.OK, [])

    def test_says_that_another_model_made_the_records(self, place: Path) -> None:
        recorded("--device", "auto")
        assert heat(place / "eval.html") == []
        assert "No heatmap of 2 pictures: scored by another model." in (place / "eval.html").read_text()

    def test_says_which_pictures_are_gone(self, place: Path) -> None:
        (place / "x" / "NORMAL" / "b.png").rename(place / "b.png")
        (place / "labels.csv").write_text("path,label\nx/NORMAL/b.png,normal\nx/PNEUMONIA/c.png,viral\n")
        code, *_ = invoke("evaluate", "labels.csv", "--predictions", "out.jsonl", "--report", "eval.html")
        assert code == Exit.OK
        assert '<span class="xray missing">picture not found</span>' in (place / "eval.html").read_text()

    def test_counts_and_names_what_failed(self, place: Path) -> None:
        with (place / "out.jsonl").open("a") as file:
            file.write(json.dumps(line(failed("x/NORMAL/a.png", "the <file> is empty"))) + "\n")
        code, *_ = recorded()
        html = (place / "eval.html").read_text()
        assert code == Exit.INPUT_ERRORS
        assert (
            '<div class="tile figure error some"><span class="label">failed</span><span class="number">1</span>' in html
        )
        assert "x/NORMAL/a.png (NORMAL): empty_file: the &lt;file&gt; is empty" in html

    def test_has_no_curves_and_no_numbers_where_a_class_is_missing(self, place: Path) -> None:
        assert invoke("evaluate", "x/NORMAL", "--predictions", "out.jsonl", "--report", "eval.html")[0] == Exit.OK
        html = (place / "eval.html").read_text()
        assert 'ROC AUC</span><span class="number">-</span><span class="interval">needs both classes' in html
        assert 'aria-label="ROC' not in html

    def test_of_records_with_several_thresholds_begins_at_none_of_them(self, place: Path, tiny_model: Path) -> None:
        options = ("--model", tiny_model, "--device", "cpu", "--threshold", "0.3")
        invoke("predict", "x", "-o", "other.jsonl", *options)
        lines = (place / "out.jsonl").read_text().splitlines()
        lines[0] = (place / "other.jsonl").read_text().splitlines()[0]
        (place / "out.jsonl").write_text("".join(f"{each}\n" for each in lines))
        assert recorded()[0] == Exit.OK
        html = (place / "eval.html").read_text()
        assert '"recorded":null' in html
        assert "Verdicts are those of 2 models or thresholds; see below." in html

    @pytest.mark.parametrize(
        ("target", "problem"),
        [("eval.txt", "name the page .html"), ("none/eval.html", "no directory"), ("x.html", "cannot be written")],
    )
    def test_that_cannot_be_is_refused_before_the_scan(
        self, place: Path, tiny_model: Path, target: str, problem: str
    ) -> None:
        (place / "x.html").mkdir()
        code, stdout, stderr = invoke("evaluate", "x", "--model", tiny_model, "--report", target)
        assert (code, stdout) == (Exit.USAGE, "")
        assert problem in stderr

    def test_that_cannot_be_written_leaves_the_figures_the_older_page_and_a_code(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (place / "eval.html").write_text("older")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pneumoscan.atomic.os.replace", full)
        code, stdout, stderr = recorded()
        assert code == Exit.INPUT_ERRORS
        assert "sensitivity" in stdout
        assert "cannot write eval.html: No space left on device" in stderr
        assert (place / "eval.html").read_text() == "older"
        assert not list(place.glob(".eval*"))


def line(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__slots__}
