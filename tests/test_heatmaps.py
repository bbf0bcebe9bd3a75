"""`predict --heatmaps`: overlays mirror the inputs, and whatever goes wrong with them, the records are safe."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pneumoscan import atomic, overlay, png, schema
from pneumoscan.cli import heatmaps
from pneumoscan.cli.heatmaps import Heatmaps
from pneumoscan.ledger import Settings
from pneumoscan.overlay_files import mirrored
from pneumoscan.records import Label, Record, Status
from pneumoscan.scan import Scanner, Seen
from tests.test_report import with_small_files_only
from tests.tiny_model import SIZE, write_model

Flat = Callable[[str, int], Path]
Predict = Callable[..., subprocess.CompletedProcess[str]]

PARTS = st.sampled_from(["a", "a.png", "a.png@", "a.PNG", "a.jpg", "a.jpg.png", "@up", "@@up", "@root", "..", "\udcff"])
PATHS = st.builds(lambda root, parts, name: root + "/".join([*parts, name]), st.sampled_from(["", "/"]),
                  st.lists(PARTS, max_size=3), PARTS.filter(lambda part: part != ".."))  # fmt: skip


@pytest.fixture
def predict(run: Predict, tiny_model: Path, tmp_path: Path) -> Predict:
    options = ["--model", tiny_model, "--device", "cpu", "--quiet"]
    return lambda *arguments, **settings: run("predict", *options, *arguments, **({"cwd": tmp_path} | settings))


def pictures(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


class TestThePlaceOfAnOverlay:
    @pytest.mark.parametrize(
        ("path", "place"),
        [
            ("xrays/a.jpeg", "xrays/a.jpeg.png"),
            ("./xrays//a.jpeg", "xrays/a.jpeg.png"),
            ("/data/a.jpg", "@root/data/a.jpg.png"),
            ("../a.jpg", "@up/a.jpg.png"),
            ("@up/@a.jpg", "@@up/@@a.jpg.png"),
            ("a.jpg.png/b", "a.jpg.png@/b.png"),
            ("x/" + 245 * "a", "x/" + 245 * "a" + ".png"),
        ],
    )
    def test_is_that_of_the_input(self, path: str, place: str) -> None:
        assert mirrored(path) == place

    @pytest.mark.parametrize("letter", ["a", "ü", "\udcff"])
    def test_of_a_name_that_leaves_no_room_for_more_is_a_shorter_one_of_its_own(self, letter: str) -> None:
        longest = letter * (255 // len(os.fsencode(letter)))
        places = {mirrored(longest), mirrored(longest[:-1] + "b")}
        assert len(places) == 2
        for place in places:
            assert place.startswith(letter * 100 if letter != "\udcff" else "@")
            assert place.endswith(".png")
            assert len(os.fsencode(place)) <= 255

    @given(st.lists(PATHS, unique=True, min_size=2, max_size=30))
    def test_is_never_shared_and_never_a_folder_of_another(self, paths: list[str]) -> None:
        places = [mirrored(path) for path in paths]
        assert len(set(places)) == len(places)
        folders = {str(parent) for place in places for parent in PurePosixPath(place).parents}
        assert not folders & set(places)

    @given(st.text().filter(lambda text: os.path.basename(text) not in ("", ".", "..")) | PATHS)
    def test_never_leads_out_of_the_folder(self, path: str) -> None:
        parts = mirrored(path).split("/")
        assert not {"", ".", ".."} & set(parts)
        assert parts[-1].endswith(".png")


class TestPredict:
    def test_draws_the_positive_ones_and_writes_the_same_records(self, predict: Predict, flat: Flat) -> None:
        for name, brightness in (("x/a.png", 204), ("x/deep/a.png", 230), ("x/well.png", 20)):
            flat(name, brightness)
        result = predict("x", "--heatmaps", "out")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == predict("x").stdout

    def test_mirrors_the_inputs(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        for name in ("work/x/a.png", "work/x/deep/a.png", "other/a.png"):
            flat(name, 204)
        flat("work/x/well.png", 20)
        (tmp_path / "work" / "x" / "broken.png").touch()
        absolute = flat("far.png", 204)
        result = predict("x", "../other", absolute, "--heatmaps", "out", cwd=tmp_path / "work")
        assert (result.returncode, result.stderr) == (1, "")  # for the broken one
        expected = {"x/a.png.png", "x/deep/a.png.png", "@up/other/a.png.png", f"@root{absolute}.png"}
        assert pictures(tmp_path / "work" / "out") == expected

    @pytest.mark.parametrize(
        ("which", "drawn"),
        [("positive", {"doubtful", "ill"}), ("review", {"doubtful"}), ("all", {"doubtful", "ill", "well"})],
    )
    def test_draws_those_that_are_asked_for(
        self, predict: Predict, flat: Flat, tmp_path: Path, which: str, drawn: set[str]
    ) -> None:
        for name, brightness in (("well", 20), ("doubtful", 140), ("ill", 230)):
            flat(f"x/{name}.png", brightness)
        assert predict("x", "--heatmaps", "out", "--heatmaps-for", which).returncode == 0
        assert pictures(tmp_path / "out") == {f"x/{name}.png.png" for name in drawn}

    def test_draws_names_of_any_kind(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        names = [b"\xff.png", "\x1b[31m\n漢字é.png".encode(), b"x" * 240 + b".png"]
        for number, name in enumerate(names):
            flat(f"x/{number}.png", 204).rename(tmp_path / "x" / os.fsdecode(name))
        assert predict("x", "--heatmaps", "out").returncode == 0
        assert {os.fsencode(path) for path in os.listdir(tmp_path / "out" / "x")} == {name + b".png" for name in names}

    def test_passes_over_its_own_overlays_when_it_runs_again(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        flat("a.png", 204)
        first = predict(".", "--heatmaps", "out")
        assert predict(".", "--heatmaps", "out").stdout == first.stdout
        assert pictures(tmp_path / "out") == {"a.png.png"}

    def test_leaves_overlays_that_no_later_scan_takes_for_radiographs(self, predict: Predict, flat: Flat) -> None:
        flat("x/a.png", 204)
        (first,) = predict("x", "--heatmaps", "x/heat").stdout.splitlines()
        later = predict("x")
        picture, drawn = (json.loads(line) for line in later.stdout.splitlines())
        assert (later.returncode, picture) == (0, json.loads(first))
        assert (drawn["status"], drawn["error"], drawn["label"]) == ("rejected", "not_a_chest_xray", None)
        assert drawn["message"] == "drawn by pneumoscan: scan the radiograph itself"
        assert schema.problems(drawn) == []

    def test_refuses_a_folder_that_holds_an_input(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        before = (flat("x/a.png.png", 9).read_bytes(), pictures(tmp_path))
        for path in ("x", "x/a.png"):
            result = predict(path, "--heatmaps", "x")
            assert result.returncode == 2
            assert "where nothing is scanned" in result.stderr
        assert ((tmp_path / "x" / "a.png.png").read_bytes(), pictures(tmp_path)) == before

    @pytest.mark.parametrize("listed", [False, True])
    def test_tells_of_inputs_in_the_folder_which_it_does_not_scan(
        self, predict: Predict, flat: Flat, tmp_path: Path, listed: bool
    ) -> None:
        flat("x/a.png", 204), flat("x/heat/b.png", 204)
        (tmp_path / "list").write_text("x/a.png\nx/heat/b.png\n")
        inputs = ["--files-from", "list"] if listed else ["x"]
        for _ in range(2):  # in the second there is an overlay too, which is no loss
            result = predict(*inputs, "--heatmaps", "x/heat")
            assert [json.loads(line)["path"] for line in result.stdout.splitlines()] == ["x/a.png"]
            assert "1 input in x/heat, the folder of heatmaps, where nothing is scanned: name another" in result.stderr
            assert result.returncode == 1
        assert pictures(tmp_path / "x" / "heat") == {"b.png", "x/a.png.png"}

    def test_says_why_there_is_nothing_to_scan_where_all_lies_in_the_folder(self, predict: Predict, flat: Flat) -> None:
        flat("x/heat/b.png", 204)
        result = predict("x", "--heatmaps", "x/heat")
        assert (result.returncode, result.stdout) == (3, "")
        assert "nothing to scan: no pictures in x but 1 in the folder of heatmaps" in result.stderr

    def test_replaces_no_picture_that_it_has_not_drawn(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        before = flat("out/x/a.png.png", 99).read_bytes()
        result = predict("x", "--heatmaps", "out")
        assert (result.returncode, json.loads(result.stdout)["label"]) == (1, "PNEUMONIA")
        assert (
            "cannot write the heatmap out/x/a.png.png: a picture lies there that this program has not" in result.stderr
        )
        assert (tmp_path / "out" / "x" / "a.png.png").read_bytes() == before

    def test_never_writes_through_a_link_to_elsewhere(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        (tmp_path / "out").mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out" / "x").symlink_to(tmp_path / "elsewhere")
        result = predict("x", "--heatmaps", "out")
        assert (result.returncode, pictures(tmp_path / "elsewhere")) == (1, set())
        assert "cannot write the heatmap out/x/a.png.png: it would lie outside the folder" in result.stderr
        assert json.loads(result.stdout)["label"] == "PNEUMONIA"

    def test_replaces_a_link_in_its_place_and_not_what_it_leads_to(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        before = flat("x/a.png", 204).read_bytes()
        (tmp_path / "out" / "x").mkdir(parents=True)
        (tmp_path / "out" / "x" / "a.png.png").symlink_to(tmp_path / "x" / "a.png")
        assert predict("x", "--heatmaps", "out").returncode == 0
        assert (tmp_path / "x" / "a.png").read_bytes() == before
        assert not (tmp_path / "out" / "x" / "a.png.png").is_symlink()

    def test_never_writes_through_a_link_that_lies_where_it_grows(
        self, flat: Flat, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flat("x/a.png", 204)
        (tmp_path / "precious").write_text("precious")
        (tmp_path / "out" / "x").mkdir(parents=True)
        monkeypatch.setattr("pneumoscan.atomic.os.urandom", lambda count: b"\0" * count)
        (tmp_path / "out" / "x" / ".pneumoscan-00000000.new").symlink_to(tmp_path / "precious")
        monkeypatch.chdir(tmp_path)
        scanner = Scanner(model=tiny_model, device="cpu")
        assert len(list(Heatmaps(Path("out"), "all", []).draw(scanner.scan_pictures("x")))) == 1
        assert (tmp_path / "precious").read_text() == "precious"
        assert pictures(tmp_path / "out") == {"x/a.png.png"}

    def test_tells_what_cannot_be_written_and_writes_all_records(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        for number in range(6):
            flat(f"x/{number}.png", 204)
            (tmp_path / "out" / "x" / f"{number}.png.png").mkdir(parents=True)  # a folder in its place
        flat("x/6.png", 204)
        result = predict("x", "--heatmaps", "out", "-o", "out.jsonl")
        assert result.returncode == 1
        told = result.stderr.splitlines()
        assert told[0] == "pneumoscan: cannot write the heatmap out/x/0.png.png: Is a directory"
        assert (len(told), told[-1]) == (4, "pneumoscan: 6 heatmaps could not be written or removed; all records are")
        assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 7
        assert pictures(tmp_path / "out") == {"x/6.png.png"}

    @pytest.mark.parametrize(
        ("which", "drawn"),
        [("positive", {"ill", "doubtful"}), ("review", {"doubtful"}), ("all", {"healthy", "ill", "doubtful"})],
    )
    def test_that_goes_on_draws_what_is_not_there_and_leaves_the_records_as_they_were(
        self, predict: Predict, flat: Flat, tmp_path: Path, which: str, drawn: set[str]
    ) -> None:
        for name, brightness in (("healthy", 20), ("ill", 204), ("doubtful", 140)):
            flat(f"x/{name}.png", brightness)
        predict("x", "-o", "out.jsonl")
        before = (tmp_path / "out.jsonl").read_bytes()
        going_on = ("x", "-o", "out.jsonl", "--resume", "--heatmaps", "out", "--heatmaps-for", which)
        assert predict(*going_on).returncode == 0
        assert pictures(tmp_path / "out") == {f"x/{name}.png.png" for name in drawn}
        assert (tmp_path / "out.jsonl").read_bytes() == before

    def test_that_goes_on_draws_nothing_again_that_is_there(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        flat("x/a.png", 204)
        going_on = ("x", "-o", "out.jsonl", "--resume", "--heatmaps", "out")
        assert predict(*going_on).returncode == 0
        first = (tmp_path / "out" / "x" / "a.png.png").stat()
        flat("x/b.png", 204)
        assert predict(*going_on).returncode == 0
        assert pictures(tmp_path / "out") == {"x/a.png.png", "x/b.png.png"}
        assert (tmp_path / "out" / "x" / "a.png.png").stat().st_ino == first.st_ino

    @pytest.mark.parametrize("change", ["picture", "threshold"])
    def test_that_goes_on_draws_again_what_was_drawn_of_something_else(
        self, predict: Predict, flat: Flat, tmp_path: Path, change: str
    ) -> None:
        path = flat("x/a.png", 204)
        going_on = ("x", "-o", "out.jsonl", "--resume")
        predict(*going_on, "--heatmaps", "out")
        place = tmp_path / "out" / "x" / "a.png.png"
        first = png.basis_of(place)
        options = () if change == "picture" else ("--threshold", "0.4")
        if change == "picture":
            flat("x/a.png", 230)
            os.utime(path, ns=(10**18, 10**18))
        for more in ((), ("--heatmaps", "out")):  # the record is new already when the heatmap is asked for
            assert predict(*going_on, *options, *more).returncode == 0
        assert png.basis_of(place) not in (None, first)

    def test_removes_what_was_drawn_of_another_verdict(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        for name in ("a", "b"):
            flat(f"x/{name}.png", 204)
        predict("x", "--heatmaps", "out", "-o", "out.csv")
        path = flat("x/a.png", 20)
        os.utime(path, ns=(10**18, 10**18))
        predict("x", "--heatmaps", "out", "-o", "out.csv")
        assert pictures(tmp_path / "out") == {"x/b.png.png"}

    def test_keeps_what_is_up_to_date_although_it_would_draw_less_now(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        flat("x/a.png", 20)
        for which in ("all", "positive"):
            predict("x", "--heatmaps", "out", "--heatmaps-for", which)
            assert pictures(tmp_path / "out") == {"x/a.png.png"}

    def test_removes_no_file_of_others_and_none_behind_a_link(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        for name in ("x/a.png", "y/b.png"):
            flat(name, 20)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.png.png").write_bytes(png.own(Image.new("L", (9, 9)), basis="another picture"))
        (tmp_path / "out" / "y").mkdir(parents=True)
        (tmp_path / "out" / "x").symlink_to(tmp_path / "elsewhere")
        Image.new("L", (9, 9)).save(tmp_path / "out" / "y" / "b.png.png")
        flat("z/c.png", 20)
        (tmp_path / "out" / "z").mkdir()
        (tmp_path / "out" / "z" / "c.png.png").write_bytes(png.own(Image.new("L", (9, 9))))  # as `explain` makes them
        assert predict("x", "y", "z", "--heatmaps", "out").returncode == 0
        assert pictures(tmp_path / "elsewhere") == {"a.png.png"}
        assert (tmp_path / "out" / "y" / "b.png.png").exists()
        assert (tmp_path / "out" / "z" / "c.png.png").exists()

    def test_that_goes_on_tries_again_what_could_not_be_written(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        flat("x/a.png", 204)
        going_on = ("x", "-o", "out.jsonl", "--resume", "--heatmaps", "out")
        (tmp_path / "out" / "x" / "a.png.png").mkdir(parents=True)
        assert [predict(*going_on).returncode for _ in range(2)] == [1, 1]
        (tmp_path / "out" / "x" / "a.png.png").rmdir()
        assert predict(*going_on).returncode == 0
        assert pictures(tmp_path / "out") == {"x/a.png.png"}

    def test_that_goes_on_asks_the_last_record_of_a_picture_whether_it_wants_one(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        path = flat("x/a.png", 20)
        predict("x", "-o", "out.jsonl")
        healthy = (tmp_path / "out.jsonl").read_text()
        flat("x/a.png", 204)
        os.utime(path, ns=(10**18, 10**18))
        predict("x", "-o", "out.jsonl")
        (tmp_path / "out.jsonl").write_text(healthy + (tmp_path / "out.jsonl").read_text())
        assert predict("x", "-o", "out.jsonl", "--resume", "--heatmaps", "out").returncode == 0
        assert pictures(tmp_path / "out") == {"x/a.png.png"}

    def test_that_goes_on_leaves_alone_what_cannot_be_read_now(
        self, predict: Predict, flat: Flat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = flat("x/a.png", 204)
        drawing = Heatmaps(tmp_path / "out", "positive", [])
        settings = Settings("0", 0.5, 100)
        assert drawing.lacks(str(path), Label.PNEUMONIA, False, settings)
        monkeypatch.setattr("pneumoscan.cli.heatmaps.os.access", lambda path, mode: False)  # chmod stops no root
        assert not drawing.lacks(str(path), Label.PNEUMONIA, False, settings)

    def test_has_one_of_a_picture_with_the_longest_name(self, predict: Predict, flat: Flat, tmp_path: Path) -> None:
        flat(f"x/{251 * 'f'}.png/{251 * 'a'}.png", 204)
        assert predict("x", "-o", "out.jsonl", "--heatmaps", "out").returncode == 0
        assert len(pictures(tmp_path / "out")) == 1

    def test_that_goes_on_keeps_the_record_of_a_vanished_picture_that_has_no_overlay(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        path = flat("x/a.png", 204)
        predict("x/a.png", "-o", "out.csv")
        before = (tmp_path / "out.csv").read_bytes()
        path.unlink()
        assert predict("x/a.png", "-o", "out.csv", "--resume", "--heatmaps", "out").returncode == 0
        assert (tmp_path / "out.csv").read_bytes() == before

    @pytest.mark.parametrize("folder", ["file", "no/where"])
    def test_refuses_a_folder_that_cannot_be_made(
        self, predict: Predict, flat: Flat, tmp_path: Path, folder: str
    ) -> None:
        flat("a.png", 204)
        (tmp_path / "file").touch()
        result = predict("a.png", "--heatmaps", folder)
        assert (result.returncode, result.stdout) == (2, "")
        assert "cannot write to the folder" in " ".join(result.stderr.split())

    def test_refuses_a_folder_behind_a_link_that_leads_nowhere(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        flat("a.png", 204)
        (tmp_path / "out").symlink_to(tmp_path / "nowhere")
        assert (predict("a.png", "--heatmaps", "out").returncode, (tmp_path / "nowhere").exists()) == (2, False)

    def test_refuses_heatmaps_for_without_heatmaps(self, predict: Predict) -> None:
        result = predict("a.png", "--heatmaps-for", "all")
        assert (result.returncode, "goes with --heatmaps" in result.stderr) == (2, True)

    def test_refuses_a_model_without_heatmaps(self, run: Predict, flat: Flat, tmp_path: Path) -> None:
        model = write_model(tmp_path / "blind.onnx", has_heatmap=False)
        result = run("predict", "--model", model, "--device", "cpu", flat("a.png", 9), "--heatmaps", tmp_path / "out")
        assert (result.returncode, result.stdout) == (4, "")
        assert "the model has no heatmaps" in result.stderr
        assert not (tmp_path / "out").exists()

    def test_makes_no_folder_when_there_is_nothing_to_scan(self, predict: Predict, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        assert predict("x", "--heatmaps", "out").returncode == 3
        assert not (tmp_path / "out").exists()

    def test_makes_the_folder_when_no_picture_is_of_those_wanted(
        self, predict: Predict, flat: Flat, tmp_path: Path
    ) -> None:
        flat("x/a.png", 9)
        assert predict("x", "--heatmaps", "out").returncode == 0
        assert list((tmp_path / "out").iterdir()) == []


def test_all_are_drawn_when_nobody_reads_the_records(
    tiny_model: Path, tmp_path: Path, many: Callable[[int], Path]
) -> None:
    many(300)
    script = f"{sys.executable} -m pneumoscan predict many --model {tiny_model} -q --heatmaps h --heatmaps-for all"
    subprocess.run(["bash", "-c", f"{script} --device cpu | head -1"], cwd=tmp_path, check=True, capture_output=True)
    assert len(pictures(tmp_path / "h")) == 300


def test_few_are_drawn_where_the_output_fails(
    run: Predict, tiny_model: Path, tmp_path: Path, many: Callable[[int], Path]
) -> None:
    many(300)
    arguments = "many", "-o", "o.jsonl", "--heatmaps", "h", "--heatmaps-for", "all", "--model", tiny_model
    result = run("predict", *arguments, "--device", "cpu", cwd=tmp_path, preexec_fn=with_small_files_only)
    assert result.returncode == 1
    assert "to go on, give the same command with --resume" in result.stderr
    assert len(pictures(tmp_path / "h")) < 100


class TestDrawing:
    def test_leaves_out_what_the_model_may_not_judge(self, tmp_path: Path) -> None:
        rejected = seen("gone.png", status=Status.REJECTED, label=None, probability=None)
        assert list(Heatmaps(tmp_path / "out", "all", []).draw(iter([rejected]))) == [rejected]
        assert pictures(tmp_path / "out") == set()

    def test_bears_a_failure_without_a_file_name(self, tmp_path: Path) -> None:
        failure = Record(path=".", status=Status.ERROR, model="tiny", model_sha256="0", threshold=0.5)
        drawing = Heatmaps(tmp_path / "out", "all", [])
        assert [record for record, *_ in drawing.draw(iter([Seen(failure, None, None)]))] == [failure]

    def test_yields_a_record_only_when_its_overlay_is_there(
        self, tiny_model: Path, flat: Flat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        names = [f"x/{number:02}.png" for number in range(30)]
        for number, name in enumerate(names):
            flat(name, 204 if number % 3 else 20)
        scanner = Scanner(tiny_model, device="cpu", batch_size=4)
        drawing = Heatmaps(tmp_path / "out", "positive", ["x"])
        found = []
        for record, *_ in drawing.draw(scanner.scan_pictures("x")):
            assert (tmp_path / "out" / mirrored(record.path)).exists() == (record.label is Label.PNEUMONIA)
            found.append(record)
        assert found == list(scanner.scan("x"))
        assert (drawing.written, drawing.failed) == (20, 0)

    def test_tells_of_an_outdated_overlay_that_it_cannot_remove(
        self,
        tiny_model: Path,
        flat: Flat,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.chdir(tmp_path)
        scanner, drawing = Scanner(tiny_model, device="cpu"), Heatmaps(Path("out"), "positive", [])
        list(drawing.draw(scanner.scan_pictures([flat("a.png", 204).name])))
        os.utime(flat("a.png", 20), ns=(10**18, 10**18))
        monkeypatch.setattr(Path, "unlink", fail)
        (found,) = drawing.draw(scanner.scan_pictures(["a.png"]))
        assert (found.record.label, drawing.written, drawing.failed) == (Label.NORMAL, 1, 1)
        told = "pneumoscan: cannot remove the outdated heatmap out/a.png.png: Permission denied\n"
        assert capsys.readouterr().err == told

    def test_holds_a_bounded_number_of_pictures(self, tmp_path: Path) -> None:
        taken = 0

        def endless() -> Iterator[Seen]:
            nonlocal taken
            while True:
                taken += 1
                yield seen(f"gone/{taken}.png")

        records = Heatmaps(tmp_path / "out", "all", []).draw(endless())
        for _ in range(5):
            next(records)
        assert taken <= 5 + heatmaps.AHEAD
        records.close()

    def test_that_is_interrupted_waits_for_no_drawer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        going_on = threading.Event()
        monkeypatch.setattr(Heatmaps, "_draw", lambda *_: going_on.wait(timeout=20))

        def interrupted() -> Iterator[Seen]:
            yield seen("gone.png")
            raise KeyboardInterrupt

        records = Heatmaps(tmp_path / "out", "all", []).draw(interrupted())
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            next(records)
        took = time.monotonic() - begun
        going_on.set()
        assert took < 10

    def test_of_one_file_under_two_names_draws_one_after_the_other(self, tmp_path: Path) -> None:
        same = [seen("gone.png"), seen("./gone.png"), seen(".//gone.png")] * 5
        drawing = Heatmaps(tmp_path / "out", "all", [])
        assert [record.path for record, *_ in drawing.draw(iter(same))] == [each.record.path for each in same]
        assert (drawing.written, pictures(tmp_path / "out")) == (15, {"gone.png.png"})

    def test_leaves_the_old_overlay_when_the_disk_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "gone.png.png").write_text("old")

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)
        drawing = Heatmaps(tmp_path / "out", "all", [])
        assert len(list(drawing.draw(iter([seen("gone.png")])))) == 1
        assert "gone.png.png: No space left on device" in capsys.readouterr().err
        assert pictures(tmp_path / "out") == {"gone.png.png"}
        assert (tmp_path / "out" / "gone.png.png").read_text() == "old"


def seen(path: str, **changes: object) -> Seen:
    """A picture whose file is not there any more."""
    values = {"status": Status.OK, "label": Label.PNEUMONIA, "probability": 0.9, "width": 80, "height": 40, **changes}
    record = Record(path=path, model="tiny", model_sha256="0", threshold=0.5, **values)  # type: ignore[arg-type]
    return Seen(record, np.full((SIZE, SIZE), 7, np.uint8), np.ones((7, 7), np.float32))


class TestAnOverlay:
    def test_shows_the_file_at_its_true_shape(self, flat: Flat) -> None:
        path = flat("a.png", 90)
        Image.new("L", (3000, 1500), 90).save(path)
        grey = overlay.original(seen(str(path)).record, np.zeros((SIZE, SIZE), np.uint8))
        assert (grey.shape, int(grey.min()), int(grey.max())) == ((512, 1024), 90, 90)

    def test_of_a_file_that_has_changed_shows_what_the_verdict_is_about(self, flat: Flat) -> None:
        path = str(flat("a.png", 90))
        record = seen(path, modified="2001-01-01T00:00:00.000000000Z").record
        grey = overlay.original(record, np.full((SIZE, SIZE), 7, np.uint8))
        assert (grey.shape, int(grey.min()), int(grey.max())) == ((256, 512), 7, 7)

    def test_of_a_file_that_is_gone_shows_what_the_model_saw_at_its_true_shape(self) -> None:
        record, pixels, _ = seen("gone.png")
        assert pixels is not None
        grey = overlay.original(record, pixels)
        assert (grey.shape, int(grey.min()), int(grey.max())) == ((256, 512), 7, 7)

    @pytest.mark.parametrize("size", [(1, 600), (600, 1), (512, 300), (1024, 768)])
    def test_leaves_the_picture_untouched_where_there_is_no_evidence(self, size: tuple[int, int]) -> None:
        height, width = size
        grey = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
        drawn = np.asarray(overlay.overlay(seen("a.png").record, grey, np.zeros((7, 7), np.float32)))
        left = (drawn.shape[1] - width) // 2
        assert (drawn[:height, left : left + width] == grey[..., None]).all()
        assert drawn[height:].max() > 200  # the caption

    @given(st.text(max_size=300))
    def test_can_be_drawn_whatever_the_name(self, name: str) -> None:
        record = seen(name + "\udcff\n\x1b").record
        drawn = overlay.overlay(record, np.zeros((8, 8), np.uint8), np.zeros((7, 7), np.float32))
        assert drawn.width == overlay.NARROWEST
