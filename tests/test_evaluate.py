"""`pneumoscan evaluate` as a whole."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from pneumoscan import evaluation, plots
from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit
from pneumoscan.formats import Format
from pneumoscan.records import ErrorCode, Label, Record
from pneumoscan.sinks import open_sink
from tests.conftest import ROOT
from tests.test_schema import FAILED, ILL, REJECTED

Run = Callable[..., subprocess.CompletedProcess[str]]


def record(path: str, probability: float, threshold: float = 0.5) -> Record:
    ill = probability >= threshold
    return replace(
        ILL,
        path=path,
        label=Label.PNEUMONIA if ill else Label.NORMAL,
        probability=probability,
        p_normal=1 - probability,
        p_bacterial=probability,
        p_viral=0.0,
        subtype=ILL.subtype if ill else None,
        review=False,
        threshold=threshold,
    )


RECORDS = [record("a.jpg", 0.25), record("b.jpg", 0.75), record("c.jpg", 0.875), record("d.jpg", 0.125)]
LABELS = "path,label,group\na.jpg,normal,1\nb.jpg,bacterial,2\nc.jpg,viral,3\nd.jpg,pneumonia,4\n"


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "evaluate", partial(evaluation.evaluate, rounds=50))
    monkeypatch.setattr(plots, "draw", partial(plots.draw, rounds=50))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with labels of four pictures and their records; of three pneumonias one is missed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text(LABELS)
    write(tmp_path / "out.jsonl", *RECORDS)
    return tmp_path


def write(target: Path, *records: Record) -> None:
    sink = open_sink(target, Format(target.suffix[1:]))
    for each in records:
        sink.write(each)
    sink.commit()


def evaluate(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, " ".join(re.sub("[│╭╮╰╯─]", "", result.stderr).split())


def as_object(*arguments: object, code: Exit = Exit.OK) -> dict[str, Any]:
    ended, stdout, _ = evaluate(*arguments, "--json")
    assert ended == code
    found: dict[str, Any] = json.loads(stdout)
    return found


class TestPredictions:
    @pytest.mark.parametrize("format", ["csv", "json", "jsonl", "parquet"])
    def test_of_every_format_are_read(self, place: Path, format: str) -> None:
        if format == "parquet":
            pytest.importorskip("pyarrow")
        write(place / f"predictions.{format}", *RECORDS)
        found = as_object("labels.csv", "--predictions", f"predictions.{format}")
        assert found["at"][0]["confusion"] == {
            "true_negative": 1,
            "false_positive": 0,
            "false_negative": 1,
            "true_positive": 2,
        }
        assert found["scored"] == {"NORMAL": 1, "PNEUMONIA": 3}

    def test_are_matched_by_path_and_what_has_no_match_is_counted_and_named(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS[:3], record("other.jpg", 0.5))
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.INPUT_ERRORS, "not everything that has a label was scored or rejected"
        assert "4 labelled pictures: 1 normal, 3 pneumonia (1 bacterial, 1 viral); 4 patients" in stdout
        assert "3 scored by tiny-1; 0 rejected, 0 failed." in stdout
        assert "1 labelled, but without a record\n  d.jpg\n" in stdout
        assert "1 without a label, and left out\n  other.jpg\n" in stdout
        found = as_object("labels.csv", "--predictions", "out.jsonl", code=Exit.INPUT_ERRORS)
        assert (found["without_record"], found["without_label"]) == (["d.jpg"], ["other.jpg"])

    def test_that_failed_or_were_rejected_are_counted_named_and_held_against_the_verdicts(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS[:2], replace(REJECTED, path="c.jpg"), replace(FAILED, path="d.jpg"))
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.INPUT_ERRORS
        assert "2 scored by tiny-1; 1 rejected, 1 failed." in stdout
        assert "1 rejected\n  c.jpg (PNEUMONIA): not_a_chest_xray: does not look like one\n" in stdout
        assert "1 failed\n  d.jpg (PNEUMONIA): not_found: there is no such file\n" in stdout
        assert re.search(r"accuracy +1\.000 .* 2 scored\n +with unscored as wrong +0\.500 .* 4 labelled\n", stdout)
        assert re.search(r"sensitivity +1\.000 .*\n +with unscored as wrong +0\.333 .* 3 labelled pneumonia\n", stdout)

    def test_that_were_rejected_are_no_errors(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS[:3], replace(REJECTED, path="d.jpg"))
        assert evaluate("labels.csv", "--predictions", "out.jsonl")[0] == Exit.OK

    def test_of_one_path_count_once_as_the_last(self, place: Path) -> None:
        write(place / "out.jsonl", replace(FAILED, path="a.jpg"), *RECORDS)
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.OK
        assert "1 records replaced by later ones of the same path." in stdout

    def test_without_a_label_are_no_errors(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS, record("other.jpg", 0.5))
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert (code, "1 without a label, and left out\n  other.jpg\n" in stdout) == (Exit.OK, True)

    @pytest.mark.parametrize("options", [[], ["--predictions", "out.csv"]])
    def test_are_no_labels_by_which_all_would_seem_right(self, place: Path, options: list[str]) -> None:
        write(place / "out.csv", *RECORDS)
        code, stdout, stderr = evaluate("out.csv", *options)
        assert (code, stdout) == (Exit.USAGE, "")
        assert "out.csv holds results of a scan, not labels" in stderr

    def test_have_relative_paths_from_the_root_that_is_named(self, place: Path) -> None:
        (place / "elsewhere").mkdir()
        (place / "labels.csv").rename(place / "elsewhere" / "labels.csv")
        labels = os.path.join("elsewhere", "labels.csv")
        assert evaluate(labels, "--predictions", "out.jsonl")[0] == Exit.NOTHING_TO_SCAN
        code, stdout, _ = evaluate(labels, "--predictions", "out.jsonl", "--root", "elsewhere")
        assert (code, "4 scored by tiny-1; 0 rejected, 0 failed." in stdout) == (Exit.OK, True)

    def test_have_no_root_that_is_not_there(self, place: Path) -> None:
        code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", "--root", "nowhere")
        assert (code, stdout, "there is no directory nowhere" in stderr) == (Exit.USAGE, "", True)

    def test_must_be_named_for_a_root(self, place: Path) -> None:
        code, stdout, stderr = evaluate("labels.csv", "--root", ".")
        assert (code, stdout, "goes with --predictions" in stderr) == (Exit.USAGE, "", True)

    def test_of_several_models_are_told(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS[:3], replace(RECORDS[3], model_sha256="ef" * 32))
        assert "Several models made the records" in evaluate("labels.csv", "--predictions", "out.jsonl")[1]

    def test_with_several_thresholds_keep_their_own_verdicts(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS[:3], record("d.jpg", 0.125, threshold=0.0625))
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.OK
        assert "At the threshold of each record, as recorded" in stdout
        assert re.search(r"sensitivity +1\.000", stdout)

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [
            ("out.jsonl", b'{"path": "a.jpg"}\n', "out.jsonl:1: status is missing"),
            ("out.jsonl", b'{"path": "a.jpg', "out.jsonl:1: the last record is torn"),
            ("out.csv", b"path,label\n", "out.csv:1: the columns are not those of this program"),
            ("out.json", b"{}", "out.json: not a JSON array"),
            ("out.txt", b"", "out.txt is none of .csv, .json, .jsonl, .ndjson, .parquet"),
        ],
    )
    def test_that_are_no_records_are_refused(self, place: Path, name: str, content: bytes, problem: str) -> None:
        (place / name).write_bytes(content)
        code, stdout, stderr = evaluate("labels.csv", "--predictions", name)
        assert (code, stdout) == (Exit.USAGE, "")
        assert problem in stderr

    def test_that_are_not_there_are_refused(self, place: Path) -> None:
        code, _, stderr = evaluate("labels.csv", "--predictions", "none.csv")
        assert code == Exit.USAGE
        assert "cannot read none.csv: No such file" in stderr

    @pytest.mark.parametrize("options", [["--device", "cpu"], ["--threshold", "0.5"], ["--model", "x.onnx"]])
    def test_exclude_the_options_of_a_scan(self, place: Path, options: list[str]) -> None:
        code, _, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", *options)
        assert code == Exit.USAGE
        assert "nothing is scanned" in stderr


class TestTheAnswer:
    def test_fits_80_columns_and_says_once_what_it_is_for(self, place: Path) -> None:
        code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert (code, stderr) == (Exit.OK, "")
        assert max(map(len, stdout.splitlines())) <= 80
        assert stdout.count("Research use only; not a medical device.") == 1
        assert "\x1b" not in stdout

    def test_names_value_interval_and_denominator(self, place: Path) -> None:
        _, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert re.search(r"^  sensitivity +0\.667 \(0\.208 to 0\.939\) +3 pneumonia$", stdout, re.MULTILINE)
        assert re.search(r"^  is PNEUMONIA +1 +2$", stdout, re.MULTILINE)
        assert re.search(r"^  precision +0\.500 \(.*\) +1\.000 \(.*\)$", stdout, re.MULTILINE)

    def test_marks_the_threshold_that_was_chosen_on_the_same_pictures(self, place: Path) -> None:
        _, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert re.search(r"^ +0\.125 \*$", stdout, re.MULTILINE)
        assert "* The highest threshold with sensitivity 0.95 on these pictures" in stdout
        assert "optimistic" in stdout

    def test_has_the_thresholds_that_were_named(self, place: Path) -> None:
        arguments = ("labels.csv", "--predictions", "out.jsonl", "--at", "0.3", "--at", "0.8", "--at", "0.1")
        _, stdout, _ = evaluate(*arguments)
        assert re.search(r"^ +0\.3 +0\.8$", stdout, re.MULTILINE)
        assert re.search(r"^ +0\.1$", stdout, re.MULTILINE)
        assert "optimistic" not in stdout
        assert [each["threshold"] for each in as_object(*arguments)["at"]] == [0.5, 0.3, 0.8, 0.1]

    @pytest.mark.parametrize("wrong", ["-0.1", "1.5", "nan"])
    def test_has_no_threshold_that_is_no_probability(self, place: Path, wrong: str) -> None:
        code, _, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", "--at", wrong)
        assert code == Exit.USAGE
        assert "between 0 and 1" in stderr

    def test_shows_what_needs_two_classes_as_missing_with_the_reason(self, place: Path) -> None:
        (place / "labels.csv").write_text("path,label\nb.jpg,viral\nd.jpg,viral\n")
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.OK
        assert re.search(r"ROC AUC +- \(needs both classes\) +2 scored\n", stdout)
        assert re.search(r"specificity +- \(there are none\) +0 normal\n", stdout)
        figure = as_object("labels.csv", "--predictions", "out.jsonl")["figures"]["roc_auc"]
        assert figure == {
            "value": None, "low": None, "high": None, "cases": 2, "of": "scored", "reason": "needs both classes",
        }  # fmt: skip

    def test_is_inert_whatever_the_names(self, place: Path) -> None:
        name = "\x1b[31m[red]\n.jpg"
        write(place / "out.jsonl", *RECORDS, replace(FAILED, path=name), replace(ILL, path=f"x{name}"))
        (place / "labels.csv").write_text(LABELS + f'"{name}",normal,\n')
        code, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.INPUT_ERRORS
        assert "\x1b" not in stdout
        assert r"\x1b[31m[red]\n.jpg (NORMAL): not_found" in stdout

    def test_is_short_however_many_pictures_have_no_label(self, place: Path) -> None:
        write(place / "out.jsonl", *RECORDS, *(record(f"x{number}.jpg", 0.5) for number in range(1234)))
        _, stdout, _ = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert "1,234 without a label, and left out" in stdout
        assert "… and 1,229 more" in stdout
        assert len(as_object("labels.csv", "--predictions", "out.jsonl")["without_label"]) == 1234


class TestNothingToEvaluate:
    def test_in_an_empty_folder(self, tmp_path: Path) -> None:
        code, stdout, stderr = evaluate(tmp_path)
        assert (code, stdout) == (Exit.NOTHING_TO_SCAN, "")
        assert "no pictures in" in stderr

    def test_in_a_folder_of_other_files_tells_of_them(self, tmp_path: Path) -> None:
        for name in ("NORMAL/a.dcm", "NORMAL/b.dcm", "PNEUMONIA/c"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        code, _, stderr = evaluate(tmp_path)
        assert code == Exit.NOTHING_TO_SCAN
        assert "skipped: 3 files not named as pictures (2 of .dcm, 1 of no suffix)" in stderr

    def test_without_labels_is_wrong_usage(self, tmp_path: Path) -> None:
        (tmp_path / "a.jpg").touch()
        code, _, stderr = evaluate(tmp_path)
        assert code == Exit.USAGE
        assert "NORMAL or PNEUMONIA" in stderr

    def test_where_no_record_is_of_a_labelled_picture_says_where_each_is(self, place: Path) -> None:
        write(place / "out.jsonl", record("elsewhere/a.jpg", 0.5))
        code, _, stderr = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.NOTHING_TO_SCAN
        assert f"a label is of {place}/a.jpg, a record of {place}/elsewhere/a.jpg" in stderr

    def test_where_every_picture_failed_says_why_the_first_did(self, place: Path) -> None:
        write(place / "out.jsonl", *(replace(FAILED, path=each.path) for each in RECORDS))
        code, _, stderr = evaluate("labels.csv", "--predictions", "out.jsonl")
        assert code == Exit.NOTHING_TO_SCAN
        assert "4 failed; a.jpg: there is no such file" in stderr

    def test_where_there_are_no_labels_at_all(self, tmp_path: Path) -> None:
        code, _, stderr = evaluate(tmp_path / "none")
        assert code == Exit.USAGE
        assert "No such file" in stderr


class TestScans:
    def test_score_the_labelled_pictures_of_a_folder_only(
        self, flat: Callable[[str, int], Path], tmp_path: Path, tiny_model: Path, run: Run
    ) -> None:
        for name, brightness in {"NORMAL/a.png": 51, "normal/b.png": 153, "pneumonia/c.png": 204, "d.png": 0}.items():
            flat(f"x/{name}", brightness)
        (tmp_path / "x" / "NORMAL" / "e.png").touch()
        result = run(
            "evaluate", tmp_path / "x", "--model", tiny_model, "--device", "cpu", "--threshold", "0.7", "--json"
        )
        found = json.loads(result.stdout)
        assert result.returncode == Exit.INPUT_ERRORS
        assert (found["labelled"], found["scored"]) == ({"NORMAL": 3, "PNEUMONIA": 1}, {"NORMAL": 2, "PNEUMONIA": 1})
        assert [(each["path"], each["error"]) for each in found["errors"]] == [
            (str(tmp_path / "x" / "NORMAL" / "e.png"), ErrorCode.EMPTY_FILE)
        ]
        assert found["without_label"] == [str(tmp_path / "x" / "d.png")]
        assert (found["at"][0]["threshold"], found["at"][0]["figures"]["accuracy"]["value"]) == (0.7, 1)

    def test_score_the_pictures_that_a_csv_names(
        self, flat: Callable[[str, int], Path], tmp_path: Path, tiny_model: Path, run: Run
    ) -> None:
        flat("x/a.png", 51)
        flat("x/b.png", 204)
        (tmp_path / "x" / "labels.csv").write_text("path,label\na.png,normal\nb.png,viral\n")
        result = run("evaluate", tmp_path / "x" / "labels.csv", "--model", tiny_model, "-q", "--json")
        assert (result.returncode, result.stderr) == (Exit.OK, "")  # not even that there is no GPU
        assert json.loads(result.stdout)["figures"]["roc_auc"]["value"] == 1

    def test_without_a_model_end_as_everywhere(self, place: Path) -> None:
        code, stdout, stderr = evaluate("labels.csv", "--model", "none.onnx")
        assert (code, stdout) == (Exit.UNAVAILABLE, "")
        assert "none.onnx" in stderr

    def test_that_are_interrupted_give_no_figures(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Interrupted:
            def scan(self, paths: list[str], *, walk: bool) -> Iterator[Record]:
                yield RECORDS[0]
                signal.raise_signal(signal.SIGINT)
                yield RECORDS[1]

        monkeypatch.setattr("pneumoscan.cli.stop.GRACE", 10**6)  # else it would end this very process
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        monkeypatch.setattr("pneumoscan.cli.evaluate.load_scanner", lambda *_, **__: Interrupted())
        try:
            code, stdout, _ = evaluate("labels.csv")
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert (code, stdout) == (Exit.INTERRUPTED, "")

    def test_that_are_interrupted_after_the_scan_give_none_either(
        self, place: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in "abcd":
            Image.new("L", (40, 30), 100).save(place / f"{name}.jpg", "PNG")
        monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        code, stdout, _ = evaluate("labels.csv", "--model", str(tiny_model), "--device", "cpu")
        assert (code, stdout) == (Exit.INTERRUPTED, "")


class TestPlots:
    def test_go_into_a_new_folder_and_are_named(self, place: Path) -> None:
        arguments = ("labels.csv", "--predictions", "out.jsonl", "--plots", "plots", "--plot-format", "svg")
        code, _, stderr = evaluate(*arguments)
        names = ["confusion.svg", "precision-recall.svg", "reliability.svg", "roc.svg", "scores.svg"]
        assert code == Exit.OK
        assert sorted(path.name for path in (place / "plots").iterdir()) == names
        assert all(f"plots/{name}" in stderr for name in names)
        assert evaluate(*arguments, "--quiet")[2] == ""

    @pytest.mark.parametrize(
        ("folder", "reason"),
        [
            ("none/plots", "No such file or directory"),
            ("labels.csv", "Not a directory"),
            ("dangling", "No such file or directory"),
            ("x" * 300, "File name too long"),
        ],
    )
    def test_that_cannot_have_a_folder_are_wrong_usage(self, place: Path, folder: str, reason: str) -> None:
        (place / "dangling").symlink_to("nowhere")
        code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", "--plots", folder)
        assert (code, stdout) == (Exit.USAGE, "")
        assert "cannot write to the folder" in stderr
        assert reason in " ".join(stderr.replace("│", " ").split())

    def test_leave_no_folder_where_there_is_nothing_to_evaluate(self, place: Path) -> None:
        (place / "none.csv").write_text("path,label\n")
        assert evaluate("none.csv", "--predictions", "out.jsonl", "--plots", "plots")[0] == Exit.NOTHING_TO_SCAN
        assert not (place / "plots").exists()

    def test_need_a_folder_to_have_a_format(self, place: Path) -> None:
        code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", "--plot-format", "svg")
        assert (code, stdout, "goes with --plots" in stderr) == (Exit.USAGE, "", True)

    def test_that_cannot_be_written_leave_the_figures_and_a_code(self, place: Path) -> None:
        (place / "plots" / "roc.png").mkdir(parents=True)
        code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", "--plots", "plots")
        assert code == Exit.INPUT_ERRORS
        assert "sensitivity" in stdout
        assert "cannot write" in stderr
        assert not list((place / "plots").glob(".*"))


@pytest.mark.parametrize(
    ("missing", "options"),
    [("sklearn.metrics", []), ("matplotlib", ["--plots", "plots"]), ("matplotlib", ["--report", "eval.html"])],
)
def test_a_missing_library_is_named_with_the_way_to_get_it(
    place: Path, missing: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    for name in ("evaluation", "plots"):
        monkeypatch.delitem(sys.modules, f"pneumoscan.{name}", raising=False)
    code, stdout, stderr = evaluate("labels.csv", "--predictions", "out.jsonl", *options)
    assert (code, stdout) == (Exit.USAGE, "")
    assert "pip install 'pneumoscan[evaluate]'" in stderr


def test_the_readme_shows_what_is_printed(dataset: Path, run: Run) -> None:
    readme = (ROOT / "README.md").read_text()
    command = "evaluate originals"
    (shown,) = re.findall(rf"```console\n\$ pneumoscan {command}\n(.*?)```", readme, re.DOTALL)
    result = run(*command.split(), "--device", "cpu", cwd=dataset, env=os.environ | {"PYTHONPATH": str(ROOT)})
    printed = result.stdout.splitlines()
    assert result.returncode == Exit.OK
    assert [line for line in shown.splitlines() if line not in (*printed, "…")] == []
