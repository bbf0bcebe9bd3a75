"""`pneumoscan bench`: its processes, pictures, figures, and as a whole."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from pneumoscan.benchmark import machine, pictures, rounds, settings
from pneumoscan.benchmark.figures import PARTS, Spread, ratios, spread, summary
from pneumoscan.benchmark.process import ProcessError, Usage, run_python
from pneumoscan.benchmark.rounds import Measured, Round, Task, Work, take_turns, without_start
from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit
from pneumoscan.scan import Scanner
from tests.conftest import ROOT

MIB = 1024**2
SCRIPT = """
import json, os, sys
model, folder, size, *providers = sys.argv[1:]
print(json.dumps({"images": len(os.listdir(folder)), "seconds": 2.0, "cpu_seconds": 3.0}))
"""


def bench(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures and one that cannot be decoded."""
    place = tmp_path / "pictures"
    pictures.draw(place, 3, 60, 40)
    (place / "broken.jpeg").write_bytes(b"no picture")
    return place


@pytest.fixture
def task(folder: Path, tiny_model: Path, tmp_path: Path) -> Task:
    (tmp_path / "place").mkdir()
    return Task(
        place=tmp_path / "place",
        pictures=sorted(folder.glob("drawn*")),
        images=5,
        model=str(tiny_model),
        input_size=8,
        device="cpu",
        on_cuda=False,
        scripts={},
    )


class TestAProcess:
    def test_tells_what_a_program_said_and_used(self) -> None:
        usage = run_python("-c", "print('first'); print('second')")
        assert usage.stdout.splitlines() == ["first", "second"]
        assert usage.first_line_seconds is not None
        assert 0 < usage.first_line_seconds <= usage.seconds

    @pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell")
    def test_counts_the_cpu_time_and_memory_of_the_program_alone(self) -> None:
        held = bytearray(b"1") * (200 * MIB)
        little, much = (run_python("-c", f"b'1' * {size * MIB}; print()") for size in (1, 100))
        assert len(held) > (little.peak_bytes or 0) * 2
        assert (much.peak_bytes or 0) > 100 * MIB
        assert (little.cpu_seconds or 0) > 0

    def test_that_says_nothing_has_no_first_line(self) -> None:
        assert run_python("-c", "pass").first_line_seconds is None

    def test_starts_from_stored_bytecode_as_an_installed_program_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        assert run_python("-c", "import sys; print(sys.dont_write_bytecode)").stdout.strip() == "False"

    def test_that_fails_is_told_in_its_own_words(self) -> None:
        with pytest.raises(ProcessError, match=r"^what was wrong$"):
            run_python("-c", "import sys; print('noise', file=sys.stderr); sys.exit('what was wrong')")
        with pytest.raises(ProcessError, match="it ended with 7"):
            run_python("-c", "import sys; sys.exit(7)")

    def test_is_of_this_version_wherever_it_runs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "pneumoscan").mkdir()
        (tmp_path / "pneumoscan" / "__init__.py").write_text("raise SystemExit('the wrong one')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("PYTHONPATH", raising=False)
        usage = run_python("-c", "import pneumoscan; print(pneumoscan.__file__)")
        assert usage.stdout.strip() == str(ROOT / "pneumoscan" / "__init__.py")


class TestPictures:
    def test_that_are_drawn_are_grey_and_the_same_every_time(self, tmp_path: Path) -> None:
        for name in ("one", "other"):
            pictures.draw(tmp_path / name, 2, 60, 40)
        one, other = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in ("one", "other"))
        assert one == other
        assert one[0] != one[1]
        with Image.open(tmp_path / "one" / "drawn00.jpeg") as image:
            assert image.mode == "L"

    def test_are_about_as_large_as_radiographs(self, tmp_path: Path) -> None:
        pictures.draw(tmp_path / "drawn", 3)
        found = pictures.find(tmp_path / "drawn", 3, 224)
        assert 0.8 < found.megapixels < 1.9
        assert 1.4 < found.kilobytes * 8 / 1000 / found.megapixels < 1.8  # bits a pixel

    def test_that_cannot_be_decoded_are_counted_and_left_out(self, folder: Path) -> None:
        found = pictures.find(folder, 10, 8)
        assert sorted(path.name for path in found.paths) == ["drawn00.jpeg", "drawn01.jpeg", "drawn02.jpeg"]
        assert found.undecodable == 1
        assert found.kilobytes == sum(path.stat().st_size for path in found.paths) / 3 / 1e3

    def test_are_a_choice_from_all_of_them_always_the_same(self, many: Callable[[int], Path]) -> None:
        folder = many(50)
        first, again = (pictures.find(folder, 10, 8).paths for _ in range(2))
        assert first == again
        assert len(set(first)) == 10
        assert max(path.name for path in first) > "0000025.png"

    def test_that_are_all_taken_are_shuffled_so_that_the_first_of_them_are_a_fair_choice_too(
        self, many: Callable[[int], Path]
    ) -> None:
        names = [path.name for path in pictures.find(many(40), 40, 8).paths]
        assert len(set(names)) == 40
        late = sorted(names)[20:]
        assert 5 <= sum(name in late for name in names[:20]) <= 15

    def test_are_linked_as_often_as_wanted(self, folder: Path, tmp_path: Path) -> None:
        paths = sorted(folder.glob("drawn*"))
        links = sorted(pictures.fill(tmp_path / "links", paths, 7).iterdir())
        assert [link.resolve() for link in links] == [paths[number % 3].resolve() for number in range(7)]
        assert all(path.stat().st_nlink == 1 for path in paths)

    def test_are_copied_where_there_are_no_links(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError

        monkeypatch.setattr(os, "symlink", refuse)
        monkeypatch.setattr(os, "link", refuse)
        (copy,) = pictures.fill(tmp_path / "links", [folder / "drawn00.jpeg"], 1).iterdir()
        assert not copy.is_symlink()
        assert copy.read_bytes() == (folder / "drawn00.jpeg").read_bytes()


def measured(images: int, seconds: float, cpu: float | None, steady: Work | None = None, first: float = 0) -> Measured:
    return Measured(
        whole=Work(images=images, seconds=seconds, cpu_seconds=cpu),
        steady=steady,
        peak_bytes=100 * MIB,
        first_seconds=first,
    )


def steady(images: int, seconds: float, cpu: float | None) -> Measured:
    return measured(images, seconds + 1, cpu and cpu + 1, Work(images=images, seconds=seconds, cpu_seconds=cpu))


ROUND: Round = {
    "decoding": steady(101, 10.1, 20.2),
    "inference": steady(101, 5.05, 10.1),
    "program": measured(101, 26, 41),
    "naive": steady(101, 101, 101),
    "mine": steady(101, 50.5, 50.5),
    "first": measured(1, 1, 1, first=0.75),
    "runtime": measured(0, 0.6, 0.6, first=0.5),
    "program_11": measured(11, 3.5, 5),
}


class TestFigures:
    def test_of_the_program_leave_out_what_one_picture_takes(self) -> None:
        found = without_start(ROUND)
        assert found["program"].steady == Work(images=100, seconds=25, cpu_seconds=40)
        assert found["program_11"].steady == Work(images=10, seconds=2.5, cpu_seconds=4)
        assert {name: found[name] for name in ("decoding", "naive", "first")} == {
            name: ROUND[name] for name in ("decoding", "naive", "first")
        }

    def test_do_not_tell_of_what_too_few_pictures_hide(self) -> None:
        short = without_start(ROUND | {"program": measured(2, 0.9, 1)})
        assert short["program"].steady is None
        assert ratios(short, "steady", shares_cores=True)["decoding"] is None

    def test_are_ratios_of_images_per_second(self) -> None:
        found = ratios(without_start(ROUND), "steady", shares_cores=True, scripts=["mine"])
        assert found == pytest.approx(
            {
                "slower_ceiling": 4 / 10,
                "decoding": 4 / 10,
                "both_ceilings": 4 * (1 / 10 + 1 / 20),
                "naive": 4 / 1,
                "mine": 4 / 2,
                "cpu_of_decoding": 0.4 / 0.2,
            }
        )

    def test_with_the_start_are_of_whole_processes(self) -> None:
        found = ratios(without_start(ROUND), "whole", shares_cores=True)
        assert found["naive"] == pytest.approx((101 / 26) / (101 / 102))
        assert found["decoding"] == pytest.approx((101 / 26) / 10)
        assert found["cpu_of_decoding"] == pytest.approx((41 / 101) / 0.2)

    def test_do_not_add_up_what_runs_on_different_processors(self) -> None:
        assert ratios(without_start(ROUND), "whole", shares_cores=False)["both_ceilings"] is None

    def test_take_the_network_for_the_ceiling_where_it_is_slower(self) -> None:
        slow = without_start(ROUND | {"inference": steady(101, 20.2, 1)})
        assert ratios(slow, "steady", shares_cores=False)["slower_ceiling"] == pytest.approx(4 / 5)

    def test_are_medians_with_their_spread(self) -> None:
        assert spread([3.0, 1.0, 2.0]) == Spread(2, 1, 3)
        assert spread([1.0, None]) is None
        assert spread([]) is None

    def test_are_missing_where_the_system_does_not_tell(self) -> None:
        silent = {
            name: replace(
                run,
                whole=replace(run.whole, cpu_seconds=None),
                steady=run.steady and replace(run.steady, cpu_seconds=None),
                peak_bytes=None,
            )
            for name, run in ROUND.items()
        }
        found = summary([without_start(silent)], shares_cores=True)
        assert found["stages"]["program"]["whole"]["cpu_ms"] is None
        assert found["stages"]["program"]["peak_mib"] is None
        assert found["ratios"]["steady"]["cpu_of_decoding"] is None
        assert found["ratios"]["steady"]["decoding"].median == pytest.approx(0.4)

    def test_are_made_within_a_round(self) -> None:
        slower = without_start(
            {name: replace(run, first_seconds=(run.first_seconds or 0) * 2) for name, run in ROUND.items()}
        )
        found = summary([without_start(ROUND), slower], shares_cores=True, scripts=["mine"], sizes=[11])
        assert found["start"]["ratio"] == Spread(1.5, 1.5, 1.5)
        assert found["start"]["first_record_seconds"] == Spread(1.125, 0.75, 1.5)
        assert found["sizes"]["11"]["steady"]["wall_ms"] == Spread(250, 250, 250)
        assert found["stages"]["mine"]["peak_mib"] == Spread(100, 100, 100)


class TestTurns:
    @pytest.fixture
    def called(self, monkeypatch: pytest.MonkeyPatch, task: Task) -> list[str]:
        """The stages that ran, which did nothing."""
        names: list[str] = []

        def note(_: Task, name: str, command: list[str]) -> Measured:
            names.append(name)
            if name in ("breaks", "runtime" if "runtime" in command else ""):
                raise ProcessError("no reason")
            return ROUND.get(name, ROUND["naive"])

        monkeypatch.setattr(Task, "measure", note)
        return names

    def test_go_forwards_and_backwards(self, task: Task, called: list[str]) -> None:
        assert [number for number, *_ in take_turns(task, 2)] == [0] * 6 + [1] * 6
        assert called[6:] == called[:6][::-1]
        assert called[:4] == ["decoding", "inference", "program", "naive"]

    @pytest.mark.parametrize(
        ("device", "on_cuda", "providers", "loaded_on"),
        [
            ("auto", False, ["CPUExecutionProvider"], "cpu"),
            ("auto", True, ["CUDAExecutionProvider", "CPUExecutionProvider"], "auto"),
            ("cuda:0,1", True, ["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda:0,1"),
        ],
    )
    def test_tell_loops_and_the_bare_runtime_what_the_scan_really_runs_on(
        self, task: Task, device: str, on_cuda: bool, providers: list[str], loaded_on: str
    ) -> None:
        commands = replace(task, device=device, on_cuda=on_cuda).prepare()
        assert commands["naive"][-len(providers) - 1 :] == ["8", *providers]
        assert commands["runtime"][-1] == loaded_on

    def test_leave_out_a_script_that_failed(self, task: Task, called: list[str], tmp_path: Path) -> None:
        found = list(take_turns(replace(task, scripts={"breaks": tmp_path}), 2))
        assert called.count("breaks") == 1
        assert called.count("program") == 2
        assert [str(what) for _, name, what in found if name == "breaks"] == ["no reason"]

    def test_end_where_another_stage_failed(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> Usage:
            raise ProcessError("no reason")

        monkeypatch.setattr(rounds, "run_python", fail)
        with pytest.raises(ProcessError, match="the stage decoding failed: no reason"):
            list(take_turns(task, 1))

    @pytest.mark.parametrize(
        ("written", "told"),
        [
            ('{"status": "ok", "message": null}\n' * 4, "it wrote 4 records for 5 pictures"),
            ('{"status": "error", "message": "the network failed"}\n' * 5, "5 pictures were not scored: the network"),
        ],
    )
    def test_count_only_programs_that_scored_every_picture(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, written: str, told: str
    ) -> None:
        monkeypatch.setattr(rounds, "run_python", lambda *_: Usage(1, 1, 1, None, ""))
        (task.place / "scores.jsonl").write_text(written)
        with pytest.raises(ProcessError, match=told):
            task.measure("program", [])

    @pytest.mark.parametrize(
        ("stdout", "told"),
        [
            ("", "no JSON object"),
            ("done\n", "no JSON object"),
            ('{"images": 5}\n', "no JSON object"),
            ('{"images": 4, "seconds": 1, "cpu_seconds": 1}\n', "it scanned 4 of 5 pictures"),
        ],
    )
    def test_count_only_loops_that_say_so(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, stdout: str, told: str
    ) -> None:
        monkeypatch.setattr(rounds, "run_python", lambda *_: Usage(1, 1, 1, None, stdout))
        with pytest.raises(ProcessError, match=told):
            task.measure("naive", [])

    def test_take_the_middle_of_several_short_runs(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        usages = iter([Usage(9, 1, 1, 8, ""), Usage(2, 1, 1, 1, ""), Usage(3, 1, 1, 2, "")])
        monkeypatch.setattr(rounds, "run_python", lambda *_: next(usages))
        assert task.measure("first", []).first_seconds == 2


class TestSettings:
    def test_are_tried_in_place_of_those_given(self, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settings, "available_cores", lambda: 3)
        task.prepare()
        tried = settings.try_settings(replace(task, images=4), 1, iter)
        assert list(tried["workers"]) == ["1", "2", "3", "6"]
        assert list(tried["batch_size"]) == ["1", "4", "16", "32", "64"]
        assert all(speed > 0 for speeds in tried.values() for speed in speeds.values())

    def test_are_tried_on_the_cpu_without_a_word_where_there_is_no_gpu(
        self, task: Task, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(settings, "available_cores", lambda: 1)
        task.prepare()
        settings.try_settings(replace(task, images=4, device="auto", on_cuda=False), 1, iter)
        assert not caplog.text

    @pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
    def test_are_drawn(self, format: str, start: bytes) -> None:
        tried = {"workers": {"1": 10.0, "2": 19.0}, "batch_size": {"1": 10.0, "16": 20.0}}
        assert settings.as_picture(tried, format).startswith(start)


class TestTheMachine:
    def test_is_called_what_its_processor_is_called(self, tmp_path: Path) -> None:
        (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Fast Thing 9000: the second\nflags\t: a b\n")
        assert machine.cpu(tmp_path / "cpuinfo") == "Fast Thing 9000: the second"

    def test_is_told_otherwise_where_linux_does_not(self, tmp_path: Path) -> None:
        assert machine.cpu(tmp_path / "missing")

    def test_is_described_with_what_decides_its_speed(self) -> None:
        found = machine.describe()
        assert 1 <= found["cores"] <= found["cores_of_machine"]
        assert all(found[name] for name in ("cpu", "system", "python", "pillow", "numpy", "onnxruntime"))


class TestTheCommand:
    def test_tells_and_saves_what_it_measured(self, folder: Path, tiny_model: Path, tmp_path: Path) -> None:
        script, wrong = tmp_path / "program_mine.py", tmp_path / "wrong.py"
        script.write_text(SCRIPT)
        wrong.write_text("raise SystemExit('it lacks something')")
        saved, history = tmp_path / "bench.json", tmp_path / "history.jsonl"
        history.write_text('{"date": "before"}\n')
        ran = bench(
            folder, "--images", 6, "--rounds", 1, "--model", tiny_model, "--device", "cpu", "--sizes", "4,2",
            "--compare", script, "--compare", wrong, "--json", saved, "--history", history, "-q",
        )  # fmt: skip
        assert ran.exit_code == Exit.INPUT_ERRORS
        assert f"{wrong} failed, and is left out: it lacks something" in ran.stderr
        for words in (
            "One round.",
            "6 files, 3 different pictures",
            "1 that cannot be decoded left out",
            "e program_mine, steady",
            "c / a",
        ):
            assert words in " ".join(ran.stdout.split())
        result = json.loads(saved.read_text())
        assert [json.loads(line) for line in history.read_text().splitlines()] == [{"date": "before"}, result]
        assert (result["model"]["name"], result["model"]["device"]) == ("tiny-1.2.3", "cpu")
        assert result["pictures"]["undecodable"] == 1
        assert result["failed"] == {"wrong": "it lacks something"}
        (round,) = result["rounds"]
        images = {name: run["whole"]["images"] for name, run in round.items()}
        scanned = ("decoding", "inference", "program", "naive", "program_mine")
        assert images == dict.fromkeys(scanned, 6) | {"first": 1, "runtime": 0, "program_2": 2, "program_4": 4}
        for name in ("decoding", "inference", "naive", "program_mine"):
            assert round[name]["steady"]["images"] == 6
        assert round["program_mine"]["steady"]["cpu_seconds"] == 3.0
        stages, found = result["stages"], result["ratios"]["whole"]
        speed = {name: stages[name]["whole"]["images_per_second"]["median"] for name in scanned}
        alone = {name: stages[name]["steady"]["images_per_second"]["median"] for name in ("decoding", "inference")}
        assert found["slower_ceiling"]["median"] == pytest.approx(speed["program"] / min(alone.values()))
        assert found["decoding"]["median"] == pytest.approx(speed["program"] / alone["decoding"])
        assert found["naive"]["median"] == pytest.approx(speed["program"] / speed["naive"])
        assert set(result["ratios"]) == set(PARTS)
        assert list(result["sizes"]) == ["2", "4"]
        assert str(tmp_path) not in saved.read_text()

    def test_draws_its_own_pictures_and_a_plot(
        self, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        plot = tmp_path / "plot.svg"
        ran = subprocess.run(
            [
                sys.executable, "-m", "pneumoscan", "bench", "--images", "2", "--rounds", "1", "--model", tiny_model,
                "--device", "cpu", "--workers", "1", "--batch-size", "2", "--json", "-", "--plot", plot,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, "")
        result = json.loads(ran.stdout)
        assert (result["pictures"]["drawn"], result["pictures"]["different"]) == (True, 2)
        assert result["settings"] == {"rounds": 1, "workers": 1, "batch_size": 2}
        assert set(result["settings_tried"]) == {"workers", "batch_size"}
        assert plot.read_text().startswith("<?xml")
        assert [path.name for path in tmp_path.iterdir()] == ["plot.svg"]

    @pytest.fixture
    def hanging(self, folder: Path, tiny_model: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
        """The command, which waits for a script that waits for ever and holds a pipe open."""
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "hang.py").write_text(f"import signal; file = open({str(tmp_path / 'pipe')!r}, 'w')\n"
                                          "print('here', file=file, flush=True); signal.pause()")  # fmt: skip
        (tmp_path / "tmp").mkdir()
        process = subprocess.Popen(
            [
                sys.executable, "-m", "pneumoscan", "bench", folder, "--images", "2", "--model", tiny_model,
                "--device", "cpu", "--compare", tmp_path / "hang.py",
            ],
            env=os.environ | {"TMPDIR": str(tmp_path / "tmp")}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        yield process
        process.kill()
        process.communicate()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_leaves_nothing_running_or_lying_about_when_it_is_stopped(
        self, hanging: "subprocess.Popen[str]", tmp_path: Path
    ) -> None:
        with (tmp_path / "pipe").open() as pipe:
            assert pipe.readline() == "here\n"
            hanging.send_signal(signal.SIGTERM)
            assert pipe.read() == ""  # the script has ended
        assert hanging.wait(60) == Exit.TERMINATED
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_leaves_nothing_lying_about_when_it_is_stopped_while_it_tries_settings(
        self, folder: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        monkeypatch.setattr("pneumoscan.cli.stop.GRACE", 10**6)  # else it would end this very process
        tried = []

        def scanner(*_: object, **options: object) -> Scanner:
            tried.append(options)
            signal.raise_signal(signal.SIGTERM)
            return Scanner(tiny_model, device="cpu")

        monkeypatch.setattr("pneumoscan.benchmark.settings.Scanner", scanner)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        ran = bench(
            folder, "--images", "2", "--rounds", "1", "--model", tiny_model, "--device", "cpu", "--plot",
            tmp_path / "plot.png",
        )  # fmt: skip
        assert {number: signal.getsignal(number) for number in handlers} == handlers
        assert (ran.exit_code, len(tried)) == (Exit.TERMINATED, 1)
        assert (list((tmp_path / "tmp").iterdir()), (tmp_path / "plot.png").exists()) == ([], False)

    def test_says_that_there_are_no_pictures(self, tiny_model: Path, tmp_path: Path) -> None:
        ran = bench(tmp_path, "--model", tiny_model, "--device", "cpu")
        assert ran.exit_code == Exit.NOTHING_TO_SCAN
        assert "nothing to scan" in ran.stderr
        (tmp_path / "broken.jpeg").touch()
        ran = bench(tmp_path, "--model", tiny_model, "--device", "cpu")
        assert ran.exit_code == Exit.NOTHING_TO_SCAN
        assert "none of 1 can be decoded" in ran.stderr

    def test_says_that_a_model_cannot_be_used(self, folder: Path, tmp_path: Path) -> None:
        ran = bench(folder, "--model", tmp_path / "missing.onnx", "--device", "cpu")
        assert ran.exit_code == Exit.UNAVAILABLE
        assert "cannot read the model" in ran.stderr

    def test_says_that_a_device_cannot_be_used(
        self, folder: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pneumoscan.cuda.obstacle", lambda: "there is none")
        ran = bench(folder, "--model", tiny_model, "--device", "cuda")
        assert ran.exit_code == Exit.UNAVAILABLE
        assert "there is none" in ran.stderr

    @pytest.mark.parametrize(
        "arguments",
        [
            ["missing"],
            ["--images", 1],
            ["--rounds", 0],
            ["--sizes", "many"],
            ["--sizes", "1,2"],
            ["--workers", 0],
            ["--compare", "missing.py"],
            ["--json", "missing/bench.json"],
            ["--history", "missing/history.jsonl"],
            ["--history", "."],
            ["--plot", "plot.txt"],
            ["--plot", "missing/plot.png"],
            ["--json", os.devnull],
        ],
    )
    def test_refuses_what_makes_no_sense(
        self, arguments: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert bench(*arguments).exit_code == Exit.USAGE

    @pytest.mark.parametrize("name", ["naive", "slower_ceiling", "program_20"])
    def test_refuses_a_script_with_a_name_that_the_results_have(self, name: str, tmp_path: Path) -> None:
        script = tmp_path / f"{name}.py"
        script.touch()
        ran = bench("--compare", script, "--sizes", "20")
        assert ran.exit_code == Exit.USAGE
        assert name in ran.stderr

    def test_refuses_to_replace_a_file_that_may_not_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "bench.json"
        kept.touch(0o444)
        monkeypatch.setattr("pneumoscan.cli.exits.os.access", lambda path, mode: path != kept)  # chmod stops no root
        ran = bench("--json", kept)
        assert ran.exit_code == Exit.USAGE
        assert "Permission denied" in ran.stderr

    def test_says_at_once_that_plots_need_a_library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "pneumoscan.benchmark.settings")
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        ran = bench("--plot", tmp_path / "plot.png")
        assert ran.exit_code == Exit.USAGE
        assert "pip install 'pneumoscan[evaluate]'" in ran.stderr

    def test_says_what_it_does_and_how_it_ends(self) -> None:
        shown = " ".join(bench("--help").stdout.replace("│", "").split())
        for words in ("--history", "--sizes", "make bench", "PyTorch", "4 model or device unavailable"):
            assert words in shown
