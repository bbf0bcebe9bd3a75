"""What a page is made of: which records, which pictures, which policy; and the commands that make one."""

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from pneumoscan import Scanner, models
from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit
from pneumoscan.cli.pages import ScanPage, write_page
from pneumoscan.cli.recorded import latest
from pneumoscan.formats import Format, to_json
from pneumoscan.records import Record
from pneumoscan.report import pictures
from pneumoscan.report import worklist as limits
from pneumoscan.report.page import asset, page
from pneumoscan.report.worklist import Worklist
from tests.records import ILL, failed, scored

Run = Callable[..., subprocess.CompletedProcess[str]]
Flat = Callable[[str, int], Path]
Scan = Callable[[str], Path]


def data_of(html: str, name: str = "records") -> Any:
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


class TestAWorklist:
    def test_puts_the_most_urgent_first_then_what_was_rejected_then_errors(self) -> None:
        worklist = Worklist()
        for record in (failed("x"), scored("a", 0.2), scored("b", 0.9), scored("c", 0.1, review=True)):
            worklist.add(record)
        assert [entry.record.path for entry in worklist.entries()] == ["b", "c", "a", "x"]

    @pytest.fixture
    def small(self, monkeypatch: pytest.MonkeyPatch) -> Worklist:
        monkeypatch.setattr(limits, "SCORED_SHOWN", 3)
        monkeypatch.setattr(limits, "TROUBLES_SHOWN", 2)
        return Worklist()

    def test_of_too_many_keeps_the_most_urgent_and_counts_all(self, small: Worklist) -> None:
        for number in range(10):
            small.add(scored(f"{number}", number / 10, review=number == 1))
            small.add(failed(f"broken {number}"))
        paths = [entry.record.path for entry in small.entries()]
        assert paths == ["9", "8", "7", "broken 0", "broken 1"]
        assert small.total == 20
        assert (small.counts["PNEUMONIA"], small.counts["NORMAL"], small.counts["error"]) == (5, 5, 10)
        assert sum(map(sum, small.bins.values())) == 10
        assert small.left_out() == {"scored": (3, 10), "error": (2, 10)}

    def test_never_leaves_out_what_is_to_be_reviewed_for_what_is_normal(self, small: Worklist) -> None:
        for path, probability, review in (("a", 0.4, False), ("b", 0.1, True), ("c", 0.3, False), ("d", 0.45, False)):
            small.add(scored(path, probability, review=review))
        assert [entry.record.path for entry in small.entries()] == ["b", "d", "a"]

    def test_keeps_no_heatmap_of_very_many_cells(self) -> None:
        worklist = Worklist()
        for size in (7, 224):
            worklist.add(scored(str(size), 0.9), np.ones((size, size), np.float32))
        assert {entry.record.path: entry.heat is not None for entry in worklist.entries()} == {"7": True, "224": False}

    def test_tells_few_of_very_many_models(self) -> None:
        worklist = Worklist()
        for number in range(30):
            worklist.add(replace(ILL, model=f"m-{number}"))
        assert (len(worklist.runs), worklist.unmentioned_runs) == (20, 10)


class TestAPage:
    @given(st.text())
    def test_holds_data_that_comes_back_as_it_was_and_cannot_end_its_element(self, text: str) -> None:
        html = page("Title", "", data={"records": [text]}).decode()
        assert data_of(html) == [text]
        (block,) = re.findall(r'id="records">(.*?)</script>', html, re.DOTALL)
        assert "<" not in block and block.isascii()

    @given(st.text())
    def test_shows_its_title_as_text(self, title: str) -> None:
        head = page(title, "").decode().split("<title>")[1].split("</title>")[0]
        assert "<" not in head

    def test_runs_and_styles_with_its_own_code_alone(self) -> None:
        html = page("Title", "", styles=["worklist.css"], scripts=["worklist.js"]).decode()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
        directives = dict(each.split(" ", 1) for each in policy.split("; "))
        for kind, tag in (("script-src", "script"), ("style-src", "style")):
            digests = {
                f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
                for code in re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
            }
            assert set(directives.pop(kind).split()) == digests
        assert directives == {
            "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["page.css", "page.js", "worklist.css", "worklist.html", "worklist.js"])
    def test_names_no_other_place(self, name: str) -> None:
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\((?!#)", asset(name))


@pytest.fixture
def report(run: Run, tiny_model: Path) -> Run:
    return lambda *arguments, **options: run("report", "--model", tiny_model, "--device", "cpu", *arguments, **options)


@pytest.fixture
def predict(run: Run, tiny_model: Path) -> Run:
    return lambda *arguments, **options: run("predict", "--model", tiny_model, "--device", "cpu", *arguments, **options)


@pytest.fixture
def scan(flat: Flat, predict: Run, tmp_path: Path) -> Scan:
    """Scans a sound, an ill and a broken picture into a file of that name."""

    def scan(name: str) -> Path:
        flat("x/ill.png", 204)
        flat("x/sound.png", 51)
        (tmp_path / "x" / "broken.png").touch()
        assert predict("x", "-o", name, cwd=tmp_path).returncode == Exit.INPUT_ERRORS
        return tmp_path / name

    return scan


def with_small_files_only() -> None:
    """For a new process: none of its files has room for a page, or for many records."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))


def rows_of(file: Path) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in data_of(file.read_text())}


class TestTheCommandReport:
    @pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
    def test_makes_a_page_of_every_format(self, report: Run, scan: Scan, tmp_path: Path, suffix: str) -> None:
        if suffix == "parquet":
            pytest.importorskip("pyarrow")
        result = report(scan(f"o.{suffix}").name, "-o", "r.html", cwd=tmp_path)
        assert (result.returncode, result.stdout) == (Exit.OK, "")
        assert re.search(r"^pneumoscan: wrote r\.html \(\d\d kB\)$", result.stderr, re.MULTILINE)
        rows = rows_of(tmp_path / "r.html")
        assert list(rows) == ["x/ill.png", "x/sound.png", "x/broken.png"]
        assert rows["x/ill.png"]["image"].startswith("data:image/webp;base64,")
        assert rows["x/ill.png"]["heat"].startswith("data:image/png;base64,")
        assert "heat" not in rows["x/sound.png"]
        assert "image" not in rows["x/broken.png"]
        assert rows["x/broken.png"]["message"] == "the file is empty"

    def test_embeds_small_pictures_of_the_same_shape(self, report: Run, scan: Scan, tmp_path: Path) -> None:
        report(scan("o.csv").name, "-o", "r.html", cwd=tmp_path)
        data = rows_of(tmp_path / "r.html")["x/ill.png"]["image"].split(",")[1]
        (tmp_path / "t.webp").write_bytes(base64.b64decode(data))
        with Image.open(tmp_path / "t.webp") as picture:
            assert picture.size == (512, 384)
            assert picture.convert("L").getpixel((9, 9)) == pytest.approx(204, abs=2)

    def test_finds_pictures_below_the_root(self, report: Run, scan: Scan, tmp_path: Path) -> None:
        predictions = scan("o.csv")
        (tmp_path / "elsewhere").mkdir()
        cwd = tmp_path / "elsewhere"
        result = report(predictions, "-o", "r.html", cwd=cwd)
        assert result.returncode == Exit.OK
        assert "no picture is where its record says" in result.stderr
        assert rows_of(cwd / "r.html")["x/ill.png"]["missing"] == "picture not found"
        assert "no picture" not in report(predictions, "-o", "r.html", "--root", "..", cwd=cwd).stderr
        assert {"image", "heat"} <= set(rows_of(cwd / "r.html")["x/ill.png"])

    def test_shows_no_picture_that_is_another_one_by_now(self, report: Run, scan: Scan, tmp_path: Path) -> None:
        predictions = scan("o.csv")
        os.utime(tmp_path / "x" / "ill.png", (0, 0))
        report(predictions, "-o", "r.html", cwd=tmp_path)
        row = rows_of(tmp_path / "r.html")["x/ill.png"]
        assert row["missing"] == "picture changed since it was scored"
        assert "heat" not in row

    @pytest.mark.parametrize("number", ["none", "0"])
    def test_embeds_none_if_so_asked(self, report: Run, scan: Scan, tmp_path: Path, number: str) -> None:
        report(scan("o.csv"), "-o", "r.html", "--thumbnails", number, cwd=tmp_path)
        assert not [row for row in rows_of(tmp_path / "r.html").values() if "image" in row or "missing" in row]

    def test_embeds_the_most_urgent_and_says_so(self, report: Run, scan: Scan, tmp_path: Path) -> None:
        report(scan("o.csv"), "-o", "r.html", "--thumbnails", "1", cwd=tmp_path)
        assert [path for path, row in rows_of(tmp_path / "r.html").items() if "image" in row] == ["x/ill.png"]
        assert "Only the 1 most urgent rows have their picture." in (tmp_path / "r.html").read_text()

    def test_says_nothing_of_the_most_urgent_where_no_picture_is_left(
        self, report: Run, scan: Scan, tmp_path: Path
    ) -> None:
        predictions = scan("o.csv")
        (tmp_path / "x").rename(tmp_path / "moved")
        report(predictions, "-o", "r.html", "--thumbnails", "1", cwd=tmp_path)
        assert "rows have their picture" not in (tmp_path / "r.html").read_text()

    def test_links_pictures_from_where_the_page_lies(self, report: Run, scan: Scan, tmp_path: Path) -> None:
        predictions = scan("o.csv")
        (tmp_path / "pages").mkdir()
        report(predictions, "-o", "pages/r.html", "--images", "link", cwd=tmp_path)
        assert rows_of(tmp_path / "pages" / "r.html")["x/ill.png"]["image"] == "./../x/ill.png"
        assert "img-src data: 'self' file:;" in (tmp_path / "pages" / "r.html").read_text()

    def test_shows_no_heatmaps_of_another_model(self, run: Run, scan: Scan, tmp_path: Path) -> None:
        predictions = scan("o.csv")
        assert run("report", predictions, "-o", "r.html", "--device", "cpu", cwd=tmp_path).returncode == Exit.OK
        assert not [row for row in rows_of(tmp_path / "r.html").values() if "heat" in row]
        assert "No heatmap of 1 picture: scored by another model." in (tmp_path / "r.html").read_text()

    def test_shows_heatmaps_of_pictures_as_large_as_those_that_were_scanned(
        self, run: Run, predict: Run, tiny_model: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "x").mkdir()
        Image.new("L", (9000, 7500), 204).save(tmp_path / "x" / "large.png")
        assert predict("x", "-o", "o.jsonl", "--max-pixels", 10**8, cwd=tmp_path).returncode == Exit.OK
        run("report", "o.jsonl", "-o", "r.html", "--device", "cpu", "--model", tiny_model, cwd=tmp_path)
        assert {"image", "heat"} <= rows_of(tmp_path / "r.html")["x/large.png"].keys()

    def test_says_which_heatmaps_could_not_be_made(
        self, scan: Scan, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scan("o.csv")
        monkeypatch.chdir(tmp_path)
        make = pictures.thumbnail

        def thumbnail(record: Record, root: Path) -> str:
            made = make(record, root)
            os.utime(root / record.path, (1, 1))
            return made

        monkeypatch.setattr(pictures, "thumbnail", thumbnail)
        arguments = ["report", "o.csv", "-o", "r.html", "--device", "cpu", "--model", str(tiny_model)]
        assert CliRunner().invoke(app, arguments).exit_code == Exit.OK
        assert "No heatmap of 1 picture: changed, or unreadable by now." in (tmp_path / "r.html").read_text()

    def test_shows_heatmaps_of_whichever_shipped_model_made_the_records(
        self, scan: Scan, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scan("o.csv")
        (tmp_path / "models" / "small").mkdir(parents=True)
        shutil.copy(tiny_model, tmp_path / "models" / "small" / "model.onnx")
        monkeypatch.setattr(models, "FOLDER", tmp_path / "models")
        monkeypatch.chdir(tmp_path)
        assert CliRunner().invoke(app, ["report", "o.csv", "-o", "r.html", "--device", "cpu"]).exit_code == Exit.OK
        assert [path for path, row in rows_of(tmp_path / "r.html").items() if "heat" in row] == ["x/ill.png"]

    def test_scores_nothing_if_so_asked(self, run: Run, scan: Scan, tmp_path: Path) -> None:
        result = run("report", scan("o.csv"), "-o", "r.html", "--no-heatmaps", "--model", "gone.onnx", cwd=tmp_path)
        assert result.returncode == Exit.OK

    def test_takes_the_last_record_of_a_path(self, report: Run, tmp_path: Path) -> None:
        (tmp_path / "o.jsonl").write_bytes(b"".join(to_json(scored("a.png", p)) + b"\n" for p in (0.9, 0.3)))
        report(tmp_path / "o.jsonl", "-o", "r.html", cwd=tmp_path)
        assert [row["probability"] for row in data_of((tmp_path / "r.html").read_text())] == [0.3]

    def test_shows_all_records_of_a_file_that_a_run_replaces_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By one in which other places hold the same records, as when a run ends that went on with it."""
        lines = [to_json(scored(f"{k}.png", 0.9)) + b"\n" for k in range(4)]
        file = tmp_path / "o.jsonl"
        file.write_bytes(b"".join([*lines, lines[0]]))
        found = latest(file, "FILE")
        first = next(found)
        (tmp_path / "new").write_bytes(b"".join(lines[::-1]))
        (tmp_path / "new").replace(file)
        assert sorted([first.path, *(record.path for record in found)]) == [f"{k}.png" for k in range(4)]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_reads_records_from_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "o.jsonl")
        content = b"".join(to_json(scored("a.png", p)) + b"\n" for p in (0.9, 0.3))
        writer = threading.Thread(target=(tmp_path / "o.jsonl").write_bytes, args=[content])
        writer.start()
        assert [record.probability for record in latest(tmp_path / "o.jsonl", "FILE")] == [0.3]
        writer.join()

    def test_shows_pictures_that_are_larger_than_most_may_be(
        self, report: Run, predict: Run, tmp_path: Path, flat: Flat
    ) -> None:
        Image.new("L", (8100, 8000), 204).save(flat("x/large.png", 204))
        assert predict("x", "-o", "o.csv", "--max-pixels", "65000000", cwd=tmp_path).returncode == Exit.OK
        report(tmp_path / "o.csv", "-o", "r.html", "--no-heatmaps", cwd=tmp_path)
        assert "image" in rows_of(tmp_path / "r.html")["x/large.png"]

    def test_leaves_the_older_page_where_the_new_one_cannot_be_written(
        self, report: Run, scan: Scan, tmp_path: Path
    ) -> None:
        predictions = scan("o.csv")
        (tmp_path / "r.html").write_text("older")
        result = report(predictions, "-o", "r.html", cwd=tmp_path, preexec_fn=with_small_files_only)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "pneumoscan: cannot write r.html: File too large" in result.stderr
        assert (tmp_path / "r.html").read_text() == "older"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("o.csv", "-o", "r.txt"), "r.txt: name the page .html"),
            (("o.csv", "-o", "no/r.html"), "there is no directory no"),
            (("gone.csv", "-o", "r.html"), "cannot read gone.csv"),
            (("o.txt", "-o", "r.html"), "o.txt is none of"),
            (("o.csv", "-o", "r.html", "--thumbnails", "-1"), "'-1' is neither a number from 0 nor none"),
            (("o.csv", "-o", "r.html", "--thumbnails", "few"), "'few' is neither a number from 0 nor none"),
            (("o.csv", "-o", "r.html", "--root", "no"), "there is no directory no"),
            (("x/ill.png", "-o", "r.html"), "x/ill.png is none of"),
        ],
    )
    def test_says_what_is_wrong(
        self, report: Run, scan: Scan, tmp_path: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        scan("o.csv")
        result = report(*arguments, cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert message in " ".join(result.stderr.replace("│", "").split())
        assert not (tmp_path / "r.html").exists()

    def test_has_nothing_to_show_of_no_records(self, report: Run, tmp_path: Path) -> None:
        (tmp_path / "o.jsonl").touch()
        assert report("o.jsonl", "-o", "r.html", cwd=tmp_path).returncode == Exit.NOTHING_TO_SCAN


class TestThePageOfAScan:
    def test_says_that_the_scan_was_stopped(self, tmp_path: Path) -> None:
        scan_page = ScanPage(tmp_path / "r.html", {}, resume=False)
        scan_page.add(ILL, None)
        assert scan_page.write(Scanner(device="cpu"), 1.0, is_stopped=True, quiet=True)
        assert "The scan was stopped before its end" in (tmp_path / "r.html").read_text()

    def test_copes_with_a_model_whose_outlier_score_is_no_number(self, tmp_path: Path) -> None:
        worklist = Worklist()
        worklist.add(replace(ILL, outlier_score=float("nan")), np.full((7, 7), np.nan, np.float32))
        assert write_page(worklist, tmp_path / "r.html", tmp_path, None, {}, quiet=True)
        assert "outlier_score" not in data_of((tmp_path / "r.html").read_text())[0]

    def test_is_as_private_as_the_older_one(self, tmp_path: Path) -> None:
        (tmp_path / "r.html").touch(0o600)
        worklist = Worklist()
        worklist.add(ILL)
        write_page(worklist, tmp_path / "r.html", tmp_path, None, {}, quiet=True)
        assert (tmp_path / "r.html").stat().st_mode & 0o777 == 0o600


class TestPredictWithAReport:
    def test_makes_records_and_a_page_with_heatmaps_in_one_run(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        result = predict(flat("a.png", 204), flat("b.png", 51), "--report", tmp_path / "r.html")
        assert result.returncode == Exit.OK
        assert [json.loads(line)["probability"] for line in result.stdout.splitlines()] == [0.8, 0.2]
        rows = rows_of(tmp_path / "r.html")
        assert [{"image", "heat"} <= set(row) for row in rows.values()] == [True, True]
        assert "Scan took" in (tmp_path / "r.html").read_text()

    def test_gives_the_same_records_as_without(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        (tmp_path / "x" / "b.png").touch()
        predict("x", "-o", "plain.csv", cwd=tmp_path)
        predict("x", "-o", "with.csv", "--report", "r.html", cwd=tmp_path)
        assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "with.csv").read_bytes()

    def test_has_earlier_records_too_when_it_goes_on(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        predict("x", "-o", "o.jsonl", cwd=tmp_path)
        flat("x/b.png", 153)
        result = predict("x", "-o", "o.jsonl", "--resume", "--report", "r.html", cwd=tmp_path)
        assert "1 scanned" in result.stderr
        assert ["heat" in row for row in rows_of(tmp_path / "r.html").values()] == [True, True]

    def test_has_them_whatever_the_output_is_called_and_goes_on_beside(
        self, predict: Run, flat: Flat, tmp_path: Path
    ) -> None:
        flat("x/a.png", 204)
        outputs = ("-o", os.devnull, "-o", "o.txt", "--format", "jsonl")
        predict("x", *outputs, cwd=tmp_path)
        result = predict("x", *outputs, "--resume", "--report", "r.html", cwd=tmp_path)
        assert (result.returncode, list(rows_of(tmp_path / "r.html"))) == (Exit.OK, ["x/a.png"])

    @pytest.mark.parametrize(("code", "made"), [(errno.ENOENT, True), (errno.ESTALE, False)])
    def test_that_goes_on_with_records_out_of_reach_is_not_made_in_silence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, made: bool
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        made_of = ScanPage(tmp_path / "r.html", {tmp_path / "o.jsonl": Format.JSONL}, resume=True)
        monkeypatch.setattr("pneumoscan.cli.pages.os.stat", fail)
        monkeypatch.setattr(Path, "open", fail)
        assert made_of.write(mock.Mock(), 0, is_stopped=False, quiet=True) == made
        assert ("cannot read" in capsys.readouterr().err) != made

    def test_does_not_scan_its_own_page(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        arguments = ("x", "--include", "*", "--report", "x/r.html")
        first, second = (predict(*arguments, cwd=tmp_path) for _ in range(2))
        assert (second.returncode, second.stdout) == (Exit.OK, first.stdout)

    def test_keeps_the_records_where_the_page_cannot_be_written(self, predict: Run, flat: Flat, tmp_path: Path) -> None:
        arguments = flat("a.png", 204), "-o", tmp_path / "o.csv", "--report", tmp_path / "r.html"
        result = predict(*arguments, preexec_fn=with_small_files_only)
        assert result.returncode == Exit.INPUT_ERRORS
        assert "cannot write" in result.stderr
        assert "PNEUMONIA" in (tmp_path / "o.csv").read_text()

    def test_goes_on_for_the_page_when_nobody_reads_the_records(
        self, flat: Flat, tiny_model: Path, tmp_path: Path, many: Callable[[int], Path]
    ) -> None:
        folder = many(300)
        script = f"{sys.executable} -m pneumoscan predict {folder} --model {tiny_model} -q --report r.html | head -1"
        subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True)
        assert len(rows_of(tmp_path / "r.html")) == 300

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--report", "r.txt"), "name the page .html"),
            (("-o", "r.html", "-f", "csv", "--report", "r.html"), "r.html is named twice"),
            (("--report", "picture.html"), "picture.html is a picture, which would be lost"),
        ],
    )
    def test_says_what_is_wrong_before_it_scans(
        self, predict: Run, flat: Flat, tmp_path: Path, arguments: tuple[str, ...], message: str
    ) -> None:
        shutil.copy(flat("a.png", 204), tmp_path / "picture.html")
        result = predict("a.png", *arguments, cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert message in " ".join(result.stderr.replace("│", "").split())
        assert result.stdout == ""


def test_a_scan_that_ends_before_its_first_record_leaves_the_older_page(
    predict: Run, flat: Flat, tmp_path: Path
) -> None:
    flat("a.png", 51)
    (tmp_path / "list").write_bytes(b"\0a.png\n")  # no list of lines: nothing of it is read
    (tmp_path / "r.html").write_text("older")
    result = predict("--files-from", "list", "--report", "r.html", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (Exit.INPUT_ERRORS, "")
    assert (tmp_path / "r.html").read_text() == "older"
