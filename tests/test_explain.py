"""`explain`: a sheet for each picture, never over a picture, and a reason where there is none."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pneumoscan.cli.explain import _preview
from pneumoscan.explanation import WIDTH, explanation
from pneumoscan.overlay import headline
from pneumoscan.records import Label, Record, Status
from pneumoscan.scan import Scanner, Seen
from tests.tiny_model import CARD, SIZE, write_model

Flat = Callable[[str, int], Path]
Explain = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def explain(run: Explain, tiny_model: Path, tmp_path: Path) -> Explain:
    options = ["--model", tiny_model, "--device", "cpu"]
    return lambda *arguments, **settings: run("explain", *options, *arguments, **({"cwd": tmp_path} | settings))


def pngs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.is_dir())


class TestASheet:
    def test_goes_to_the_current_directory_unless_told(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        result = explain("x/a.png")
        assert (result.returncode, result.stdout) == (0, "")
        assert result.stderr == "pneumoscan: wrote a.png.explain.png\n"
        with Image.open(tmp_path / "a.png.explain.png") as sheet:
            assert (sheet.width, sheet.mode) == (WIDTH, "RGB")

    def test_goes_to_the_file_or_directory_that_is_named(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("a.jpg", 204)
        flat("a.png", 20)
        (tmp_path / "out").mkdir()
        assert explain("a.jpg", "-o", "one.png", "-q").stderr == ""
        assert explain("a.jpg", "a.png", "-o", "out").returncode == 0
        assert pngs(tmp_path / "out") == ["a.jpg.explain.png", "a.png.explain.png"]
        assert pngs(tmp_path) == ["a.jpg", "a.png", "one.png"]

    def test_of_a_rejected_picture_says_so(self, run: Explain, flat: Flat, tmp_path: Path) -> None:
        model = write_model(tmp_path / "gate.onnx", outlier_threshold=0.5)
        result = run("explain", "--model", model, "--device", "cpu", flat("a.png", 204), "-o", tmp_path / "s.png")
        assert (result.returncode, (tmp_path / "s.png").exists()) == (0, True)

    def test_is_drawn_by_a_model_without_heatmaps_too(self, run: Explain, flat: Flat, tmp_path: Path) -> None:
        model = write_model(tmp_path / "blind.onnx", has_heatmap=False)
        result = run("explain", "--model", model, "--device", "cpu", flat("a.png", 204), "-o", tmp_path / "s.png")
        assert (result.returncode, (tmp_path / "s.png").exists()) == (0, True)

    def test_is_missing_only_for_what_cannot_be_scored(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("good.png", 204)
        (tmp_path / "bad\x1b.png").write_text("hello")
        result = explain("bad\x1b.png", "gone.png", "good.png", "-o", ".")
        assert result.returncode == 1
        assert result.stderr.splitlines() == [
            "pneumoscan: bad\\x1b.png: not_an_image: the file is not a JPEG or PNG picture",
            "pneumoscan: gone.png: not_found: no such file",
            "pneumoscan: wrote good.png.explain.png",
        ]

    def test_of_what_the_program_has_drawn_is_refused(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("a.png", 204)
        explain("a.png", "-o", "sheet.png")
        result = explain("sheet.png")
        assert result.returncode == 1
        assert "sheet.png: not_a_chest_xray: drawn by pneumoscan" in result.stderr
        assert pngs(tmp_path) == ["a.png", "sheet.png"]

    def test_that_cannot_be_written_is_told(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("a.png", 204)
        (tmp_path / "a.png.explain.png").mkdir()
        result = explain("a.png")
        assert result.returncode == 1
        assert result.stderr == "pneumoscan: cannot write a.png.explain.png: Is a directory\n"
        assert pngs(tmp_path) == ["a.png"]

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
    def test_takes_the_place_of_no_pipe_or_device(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("a.png", 204)
        os.mkfifo(tmp_path / "pipe.png")
        result = explain("a.png", "-o", "pipe.png")
        assert (result.returncode, result.stderr) == (
            1,
            "pneumoscan: cannot write pipe.png: it is not a regular file\n",
        )
        assert (tmp_path / "pipe.png").is_fifo()

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_has_a_name_of_whatever_bytes_its_picture_has(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        name = os.fsdecode(b"\xff\n.png")
        flat("a.png", 204).rename(tmp_path / name)
        assert explain(name).returncode == 0
        assert (tmp_path / (name + ".explain.png")).exists()

    def test_has_a_shorter_name_where_that_of_its_picture_is_long(
        self, explain: Explain, flat: Flat, tmp_path: Path
    ) -> None:
        names = [letter * 250 + ".png" for letter in "ab"] + ["c" * 238 + ".png", "d" * 239 + ".png"]
        for name in names:
            flat("x.png", 204).rename(tmp_path / name)
        assert explain(*names).returncode == 0
        sheets = sorted(path.name for path in tmp_path.glob("*.explain.png"))
        assert [len(name) for name in sheets] == [255, 255, 254, 255]
        assert names[2] + ".explain.png" in sheets


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["a.png", "-o", "a.png"], "is a picture that is to be explained"),
            (["x/a.png", "-o", "link.png"], "is a picture that is to be explained"),
            (["a.png", "-o", "hard.png"], "is a picture that is to be explained"),
            (["a.png", "b.png", "-o", "new.png"], "which several pictures need"),
            (["a.png", "x/a.png"], "have the same name"),
            (["a.png", "-o", "b.png"], "b.png is a picture, which would be lost"),
            (["x"], "x is a directory: name pictures in it, as in x/*.jpeg"),
            (["a.png", "-o", "sheet.jpg"], "neither a directory nor named .png"),
            (["a.png", "-o", "no/sheet.png"], "there is no directory no"),
        ],
    )
    def test_are_told_and_leave_everything_as_it_was(
        self, explain: Explain, flat: Flat, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        before = [flat(name, 204).read_bytes() for name in ("a.png", "b.png", "x/a.png")]
        (tmp_path / "link.png").symlink_to("x/a.png")
        os.link(tmp_path / "a.png", tmp_path / "hard.png")
        result = explain(*arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in " ".join(result.stderr.replace("│", " ").split())
        assert pngs(tmp_path) == ["a.png", "b.png", "hard.png", "link.png"]
        assert [(tmp_path / name).read_bytes() for name in ("a.png", "b.png", "x/a.png")] == before

    def test_are_none_of_a_sheet_that_it_has_drawn_before(self, explain: Explain, flat: Flat, tmp_path: Path) -> None:
        flat("a.png", 204)
        assert [explain("a.png", "-o", "sheet.png").returncode for _ in range(2)] == [0, 0]

    def test_of_a_model_that_is_missing(self, run: Explain, flat: Flat, tmp_path: Path) -> None:
        result = run("explain", "--model", tmp_path / "gone.onnx", flat("a.png", 9), cwd=tmp_path)
        assert (result.returncode, "cannot read the model" in result.stderr) == (4, True)


class TestAPreview:
    def test_is_shown_on_a_terminal_unless_it_is_not_wanted(self, tiny_model: Path, flat: Flat, tmp_path: Path) -> None:
        pty = pytest.importorskip("pty")
        path = flat("a.png", 204)
        for option, shown in (("--preview", True), ("--no-preview", False)):
            master, slave = pty.openpty()
            command = [sys.executable, "-m", "pneumoscan", "explain", path, "--model", tiny_model, "-q", option]
            environment = os.environ | {"COLORTERM": "truecolor", "TERM": "xterm", "PYTHONUTF8": "1", "COLUMNS": "20"}
            with os.fdopen(master, "rb", buffering=0) as terminal:
                process = subprocess.Popen([*command, "-o", tmp_path / "s.png"], stdout=slave, env=environment)
                os.close(slave)
                output = b""
                try:
                    while chunk := terminal.read(65536):
                        output += chunk
                except OSError:  # how Linux says that the other end is closed
                    pass
                assert process.wait() == 0
            assert ("▀".encode() in output) == shown

    @pytest.mark.parametrize(
        "settings",
        [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm", "COLORTERM": ""}, {"PYTHONIOENCODING": "latin-1"}],
    )
    def test_is_not_shown_where_a_terminal_cannot(self, settings: dict[str, str]) -> None:
        pty = pytest.importorskip("pty")
        master, slave = pty.openpty()
        can = {"COLORTERM": "truecolor", "TERM": "xterm", "PYTHONUTF8": "1"}
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | can
        asked = [sys.executable, "-c", "import pneumoscan.cli.explain as e; print(e._can_preview())"]
        for each, answer in ((environment, b"True"), (environment | settings, b"False")):
            subprocess.run(asked, stdout=slave, env=each, check=True)
            assert os.read(master, 100).strip() == answer
        os.close(master)
        os.close(slave)

    def test_has_the_shape_of_the_picture(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        lines = _preview(seen("a.png", width=800, height=400)).splitlines()
        assert [line.count("▀") for line in lines] == [40] * 10


def seen(path: str, **changes: object) -> Seen:
    values = {
        "status": Status.OK, "label": Label.PNEUMONIA, "probability": 0.9, "p_normal": 0.1, "p_bacterial": 0.6,
        "p_viral": 0.3, "width": 80, "height": 40, "outlier_score": 0.2, **changes,
    }  # fmt: skip
    record = Record(path=path, model="tiny", model_sha256="0" * 64, threshold=0.5, **values)  # type: ignore[arg-type]
    return Seen(record, np.full((SIZE, SIZE), 90, np.uint8), np.ones((7, 7), np.float32))


class TestTheDrawing:
    @given(st.text(max_size=300), st.text(max_size=300))
    def test_bears_any_name_and_message(self, name: str, message: str) -> None:
        record, pixels, heat = seen(name + "\udcff", message=message)
        assert pixels is not None
        grey = np.zeros((4, 9), np.uint8)
        assert explanation(record, CARD, grey, pixels, heat).width == WIDTH

    @pytest.mark.parametrize("size", [(1, 700), (700, 1), (512, 512)])
    def test_bears_any_shape(self, size: tuple[int, int]) -> None:
        record, pixels, heat = seen("a.png")
        assert pixels is not None
        assert explanation(record, CARD, np.zeros(size, np.uint8), pixels, heat).width == WIDTH

    @pytest.mark.parametrize(
        ("score", "refused", "unfamiliar"),
        [(0.0, 0.0, None), (-3.0, -1.0, -2.0), (2.0, 1.0, -1.0), (math.nan, 1.0, None), (math.inf, 1.0, None)],
    )
    def test_bears_any_outlier_score_and_limits(self, score: float, refused: float, unfamiliar: float | None) -> None:
        record, pixels, heat = seen("a.png", outlier_score=score)
        assert pixels is not None
        card = replace(CARD, outlier_threshold=refused, unfamiliar_threshold=unfamiliar)
        assert explanation(record, card, pixels, pixels, heat).width == WIDTH

    def test_tells_the_review_band_up_to_the_threshold_that_was_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr("pneumoscan.explanation.write", lambda draw, place, text, *look: told.append(text))
        record, pixels, heat = seen("a.png")
        assert pixels is not None
        for threshold in (0.5, 0.2):
            explanation(replace(record, threshold=threshold), CARD, pixels, pixels, heat)
        assert [text for text in told if text.startswith("threshold 0")] == [
            "threshold 0.5; yellow: review, 0.4 to 0.6",
            "threshold 0.2; yellow: review, 0.2 to 0.6",
        ]

    def test_calls_no_probability_certain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[str] = []
        monkeypatch.setattr("pneumoscan.explanation.write", lambda draw, place, text, *look: told.append(text))
        record, pixels, heat = seen(
            "a.png", probability=0.99999, p_normal=0.00001, p_bacterial=0.99998, p_viral=0.00001
        )
        assert pixels is not None
        explanation(record, CARD, pixels, pixels, heat)
        assert [text for text in told if "%" in text] == [">99.9%", "<0.1%", ">99.9%", "<0.1%", ">99.9%"]
        assert headline(record)[0] == "PNEUMONIA >99.9%"

    def test_shows_no_heat_of_a_rejected_picture(self) -> None:
        record, pixels, heat = seen("a.png", status=Status.REJECTED, label=None, probability=None)
        assert pixels is not None
        grey = np.full((512, 512), 90, np.uint8)
        assert (explanation(record, CARD, grey, pixels, heat).crop((668, 128, 1268, 400)).convert("HSV")
                .getchannel("S").getextrema()) == (0, 0)  # fmt: skip
        shown = explanation(seen("a.png").record, CARD, grey, pixels, heat).crop((668, 128, 1268, 400))
        assert shown.convert("HSV").getchannel("S").getextrema()[1] > 100


def test_real_xrays_get_a_line_around_their_evidence(demo_images: list[Path]) -> None:
    scanner = Scanner(device="cpu")
    ((record, pixels, heat),) = scanner.scan_pictures(demo_images[-1:])
    assert pixels is not None and heat is not None and record.label is Label.PNEUMONIA
    sheet = explanation(record, scanner.model.card, pixels, pixels, heat).crop((668, 128, 1268, 728))
    assert (np.asarray(sheet) == 255).all(-1).sum() > 500
