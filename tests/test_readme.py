"""README, help and card say what the code does."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from pneumoscan import Scanner, models
from pneumoscan.cli.exits import Exit
from pneumoscan.cli.pages import THUMBNAILS
from pneumoscan.formats import COLUMNS
from pneumoscan.model import Model
from pneumoscan.records import ErrorCode
from pneumoscan.report.worklist import SCORED_SHOWN, TROUBLES_SHOWN
from pneumoscan.schema import markdown
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    return re.split(r"^#+ ", README.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_readme_describes_the_fields_as_the_code_does() -> None:
    assert markdown() in section("Records")


def test_the_readme_shows_the_record_that_its_picture_gets(demo_images: list[Path]) -> None:
    (shown,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", section("Records"), re.DOTALL))
    picture = demo_images[0].with_name(Path(shown["path"]).name)
    (record,) = Scanner(device="cpu").scan([str(picture)])
    mine = {"path": str(picture), "modified": record.modified}  # the rest is the picture's, wherever it lies
    assert list(shown) == list(COLUMNS)
    assert shown | mine == pytest.approx(asdict(record), abs=1e-4)


def test_the_readme_lists_every_error_code() -> None:
    assert {code for code in ErrorCode if f"`{code}`" in section("Records")} == set(ErrorCode)


def test_the_readme_lists_every_exit_code() -> None:
    codes = re.findall(r"^\| ([\d, ]+) \|", section("Exit codes"), re.MULTILINE)
    assert sorted(int(code) for codes in codes for code in codes.split(",")) == sorted(Exit)


@pytest.mark.parametrize("name", models.names())
def test_the_readme_gives_the_figures_of_a_shipped_model(name: str) -> None:
    figures = Model(name, "cpu").card.figures
    (table,) = re.findall(rf"^\| `{name}` \| plain \| stressed \|\n((?:\|.*\n)+)", README, re.MULTILINE)
    rows = re.findall(r"^\| ([^|]+) \| (0\.[^|]+) \| (0\.[^|]+) \|$", table, re.MULTILINE)
    titles = {
        "AUC": "auc",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "expected calibration error": "calibration_error",
        "AUC, viral against bacterial": "subtype_auc",
        "share flagged for review": "review",
        "share of the wrong verdicts that are flagged": "errors_in_review",
    }
    assert [title for title, *_ in rows] == list(titles)
    for title, *cells in rows:
        for kind, cell in zip(("plain", "stressed"), cells, strict=True):
            value, low, high = figures[f"{kind}_{titles[title]}"]
            assert cell == f"{value:.3f} ({low:.3f} to {high:.3f})"


@pytest.mark.parametrize("name", models.names())
def test_the_card_is_that_of_the_model_beside_it(name: str) -> None:
    card, text = Model(name, "cpu").card, (models.FOLDER / name / "CARD.md").read_text()
    assert f"# Model card: {card.name} {card.version}" in text
    assert card.data_sha256 in text
    assert f"Threshold **{card.threshold}**" in text
    for phrase in ("not a medical device", "CC BY 4.0", "10.17632/rscbjbr9sj.2"):
        assert phrase in text
    assert f"## {card.name} {card.version}" in (ROOT / "pneumoscan" / "models" / "CHANGELOG.md").read_text()


@pytest.fixture
def place(demo_images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the README's examples expect it, with `pneumoscan` on the path: a sound, an ill, and no picture."""
    for folder in ("xrays", "more"):
        (tmp_path / folder).mkdir()
        shutil.copy(demo_images[7], tmp_path / folder / "normal.jpeg")
    shutil.copy(demo_images[-1], tmp_path / "xrays" / "ill.jpeg")
    shutil.copy(demo_images[1], tmp_path / "a.jpeg")
    shutil.copy(demo_images[2], tmp_path / "b.png")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pneumoscan").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pneumoscan "$@"\n')
    (tmp_path / "bin" / "pneumoscan").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bash(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)


def recipe(title: str, language: str) -> str:
    """The example under a comment that begins like this."""
    (found,) = re.findall(rf"```{language}\n(# {re.escape(title)}\b.*?)```", README, re.DOTALL)
    return found


@pytest.mark.parametrize("command", re.findall(r"^    (pneumoscan predict .*)$", README, re.MULTILINE))
def test_the_commands_of_the_readme_work(command: str, place: Path) -> None:
    result = bash(command.replace(" --device cuda", ""))
    assert result.returncode == 0, result.stderr
    outputs = [*place.glob("out.*")]
    assert bool(outputs) == ("out." in command)
    assert all(path.stat().st_size for path in outputs)
    assert bool(result.stdout) == (not outputs)


def test_the_explanation_of_the_readme_is_drawn(place: Path) -> None:
    (command,) = re.findall(r"^    (pneumoscan explain .*)$", README, re.MULTILINE)
    assert bash(command).returncode == 0
    assert (place / "a.explained.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", re.findall(r"^    (pneumoscan report .*)$", README, re.MULTILINE))
def test_the_readme_makes_pages_of_results(command: str, place: Path) -> None:
    assert bash("pneumoscan predict ./xrays -q -o out.csv").returncode == 0
    result = bash(command)
    assert result.returncode == 0, result.stderr
    assert "ill.jpeg" in (place / "out.html").read_text()


def test_the_readme_tells_the_limits_of_a_page() -> None:
    told = " ".join(section("Worklist").split())
    assert f"{SCORED_SHOWN:,} most urgent, {TROUBLES_SHOWN:,} rejected pictures and {TROUBLES_SHOWN:,} errors" in told
    assert f"the {THUMBNAILS} most urgent pictures" in told


def test_the_cron_line_scans_what_is_new(place: Path) -> None:
    (line,) = re.findall(r"^15 3 \* \* \* /opt/pneumoscan/.venv/bin/(pneumoscan .*)$", README, re.MULTILINE)
    line = line.replace("/data/incoming", "xrays").replace("/data/", "")
    assert bash(line).stdout == ""
    shutil.copy(place / "a.jpeg", place / "xrays" / "new.jpeg")
    (place / "xrays" / "broken.jpeg").touch()
    assert bash(line).stdout == "pneumoscan: exit code 1\n"
    if shutil.which("jq"):
        (question,) = re.findall(r"^jq .* /data/scores.jsonl$", README, re.MULTILINE)
        assert bash(question.replace("/data/", "")).stdout == "xrays/broken.jpeg\tthe file is empty\n"
    names = [json.loads(line)["path"] for line in (place / "scores.jsonl").read_text().splitlines()]
    assert names == ["xrays/ill.jpeg", "xrays/normal.jpeg", "xrays/broken.jpeg", "xrays/new.jpeg"]


def test_the_unit_of_the_readme_is_printed(place: Path) -> None:
    (line,) = re.findall(r"^(pneumoscan watch .*--print-systemd-unit) \| sudo tee .*$", README, re.MULTILINE)
    printed = bash(line.replace("/data/incoming", "xrays").replace("/data/", "")).stdout
    assert '"watch" "xrays" "-o" "scores.jsonl"' in printed


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def test_the_recipe_for_jq(place: Path) -> None:
    needs("jq")
    (line,) = bash(recipe("jq", "sh")).stdout.splitlines()
    path, probability = line.split("\t")
    assert (path, float(probability) > 0.9) == ("./xrays/ill.jpeg", True)


def test_the_recipe_for_find(place: Path) -> None:
    os.utime(place / "xrays" / "ill.jpeg", (0, 0))
    (place / "xrays" / "normal.jpeg").rename(place / "xrays" / "a\nb.jpeg")
    os.utime(place / "xrays" / "a\nb.jpeg")
    assert bash(recipe("find", "sh")).returncode == 0
    with (place / "today.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["./xrays/a\nb.jpeg"]


def test_the_recipe_for_xargs(place: Path) -> None:
    needs("jq")
    os.mkfifo(place / "xrays" / "pipe.jpeg")  # reading it would wait for ever
    Image.new("L", (300, 300), 255).save(place / "xrays" / "white.png")
    bash(recipe("xargs", "sh"))
    assert [path for path in (place / "look").rglob("*") if path.is_file()] == [place / "look" / "xrays" / "white.png"]


def test_the_recipe_for_several_machines(place: Path) -> None:
    (place / "part-3.jsonl").write_text("of yesterday\n")
    assert bash(recipe("four", "sh")).returncode == 0  # though shares are empty
    lines = (place / "all.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["path"] for line in lines) == ["./xrays/ill.jpeg", "./xrays/normal.jpeg"]


def test_the_recipe_for_a_gate(place: Path) -> None:
    assert bash(recipe("a gate", "sh")).stdout == "exit code 10\n"
    (place / "xrays" / "ill.jpeg").unlink()
    assert bash(recipe("a gate", "sh")).stdout == ""


def test_the_recipe_for_sqlite(place: Path) -> None:
    needs("sqlite3")
    code = recipe("SQLite", "sh").replace("review = 'true'", "review = 'false'")  # none of these two is flagged
    for _night in range(2):
        result = bash(code)
        assert result.returncode == 0
        assert re.fullmatch(r"\./xrays/ill\.jpeg\|0\.9\d*\n\./xrays/normal\.jpeg\|0\.0\d*\n", result.stdout)
    assert bash(recipe("SQLite", "sh")).stdout == ""


@pytest.mark.parametrize(("library", "format"), [("pandas", "csv"), ("DuckDB", "parquet")])
def test_the_recipes_in_python(place: Path, library: str, format: str) -> None:
    pytest.importorskip(library.lower())
    (place / "xrays" / "ill.jpeg").rename(place / "xrays" / os.fsdecode(b"\xff.jpeg"))
    assert bash(f"pneumoscan predict xrays -q -o scores.{format}").returncode == 0
    code = recipe(library, "python")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r"NORMAL.*\n.*PNEUMONIA", result.stdout)


def test_the_python_of_the_readme_works(place: Path) -> None:
    code = next(code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "Scanner" in code)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\./xrays/ill\.jpeg PNEUMONIA 0\.\d+\n\./xrays/normal\.jpeg NORMAL 0\.\d+\n", result.stdout)


def test_make_knows_every_command_that_the_readme_names() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"make ([a-z-]+)", shown))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", README, re.MULTILINE)) <= known | {"help"}
    assert {"demo", "test", "test-train", "bench", "lint", "model", "help"} <= known


def test_make_says_what_is_wrong_with_an_old_python(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "old").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "old").chmod(0o755)
    for python in ("./old", "./none"):
        result = subprocess.run(
            ["make", "demo", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        assert f"Python 3.11 or newer is needed, as {python}" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_says_that_there_is_no_network(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_RETRIES": "0"}
    result = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "Is there a network?" in result.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the Makefile, in which all libraries seem to be installed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / ".venv").mkdir()
    for name in (
        "pyproject.toml",
        "train/constraints.txt",
        *(f".venv/{stamp}" for stamp in ("pip", "scanner", "dev", "train")),
    ):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("target", ["model", "accurate", "fast", "teacher", "texture", "compare"])
def test_make_says_where_the_pictures_must_be_named(target: str, installed: Path) -> None:
    result = subprocess.run(["make", target], cwd=installed, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert f"make {target} DATA=path/to/chest_xray" in result.stderr
    assert "python" not in result.stdout


def steps(target: str, folder: Path, *variables: str) -> list[list[str]]:
    """What make would call `python -m train` with."""
    command = ["make", "-n", "-j2", target, "DATA=my pictures", *variables]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    lines = shown.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[3:] for line in lines if line.startswith(".venv/bin/python -m train ")]


def options(step: list[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(step) if name.startswith("--")}


@pytest.mark.parametrize("name", models.names())
def test_make_regenerates_a_shipped_model_as_its_card_says(name: str, installed: Path) -> None:
    index, *teachers, fit, audit, export = steps(name, installed)
    assert (index, fit[:2], export[:2]) == (["index", "my pictures"], ["fit", "my pictures"], ["export", "my pictures"])
    assert "--resume" in fit
    run = options(fit)["--run"]
    assert audit[:4] == ["audit", run, "--data", "my pictures"]
    assert (options(export)["--run"], options(export)["--audit"]) == (run, options(audit)["--json"])
    assert options(export)["--out"] == f"pneumoscan/models/{name}/model.onnx"
    card = Model(name, "cpu").card
    assert (options(export)["--name"], options(export)["--version"]) == (card.name, card.version)
    assert options(export)["--size"] == options(audit)["--size"] == str(card.input_size)
    told = models.file_of(name).with_name("CARD.md").read_text()
    assert ("--int8" in audit) == ("--int8" in export) == ("are quantised to 8 bits" in told)
    (line,) = re.findall(r"^Settings: (.*)\.$", told, re.MULTILINE)
    settings = dict(pair.split(" ") for pair in line.split(", "))
    assert options(fit)["--network"] == settings["network"]
    for number in ("size", "epochs", "learning_rate"):
        assert float(options(fit)["--" + number.replace("_", "-")]) == float(settings[number])
    for number in (
        "teacher_share",
        "detail",
        "doubting_epochs",
    ):  # where the card does not name them they did not exist, and were 0
        assert float(options(fit).get("--" + number.replace("_", "-"), 0)) == float(settings.get(number, 0))
    assert ("--balance-texture" in fit) == (settings.get("balance_texture") == "True")
    learned_from = [value for option, value in pairwise(fit) if option in ("--after", "--teacher")]
    assert learned_from == [options(step)["--run"] for step in teachers]
    assert fit.count("--teacher") == len(list(filter(None, settings.get("teacher", "").split(","))))


def test_make_fits_teachers_before_their_pupils_when_it_runs_two_steps_at_once(installed: Path) -> None:
    fits = [step for step in steps("model", installed) if step[0] == "fit"]
    runs = [options(step)["--run"] for step in fits]
    assert sorted(runs) == ["runs/accurate", "runs/fast", "runs/lite0", "runs/lite0-texture"]
    for position, step in enumerate(fits):
        learned_from = [value for option, value in pairwise(step) if option in ("--after", "--teacher")]
        assert set(learned_from) <= set(runs[:position])


def test_make_goes_on_from_a_teacher_of_the_same_recipe(installed: Path) -> None:
    _, teacher, accurate, *_ = (options(step) for step in steps("accurate", installed))
    own = {"--run": accurate["--run"], "--doubting-epochs": "4", "--after": teacher["--run"]}
    assert accurate == teacher | own


def test_make_keeps_models_of_other_pictures_apart_from_the_shipped_ones(installed: Path) -> None:
    told = ["SOURCE=My hospital, 2024. CC0.", "MODELS=my models", "FAST_NAME=mine", "FAST_VERSION=0.1.0"]
    *_, export = steps("fast", installed, *told)
    assert options(export)["--source"] == "My hospital, 2024. CC0."
    assert options(export)["--out"] == "my models/fast/model.onnx"
    assert (options(export)["--name"], options(export)["--version"]) == ("mine", "0.1.0")
    *_, export = steps("accurate", installed, *told)
    assert options(export)["--out"] == "my models/accurate/model.onnx"
    assert (options(export)["--name"], options(export)["--version"]) == ("my-accurate", "0.1.0")
    *_, export = steps("fast", installed, "MODELS=runs/models")
    assert (options(export)["--name"], options(export)["--version"]) == ("my-fast", "0.1.0")
    for shipped in ("./pneumoscan/models/", str(installed / "pneumoscan" / "models")):
        assert options(steps("fast", installed, f"MODELS={shipped}")[-1])["--name"] == "compact"
    assert "--source" not in steps("fast", installed)[-1]  # then the card says what train export finds


def test_make_model_does_every_step_once_and_teachers_first(installed: Path) -> None:
    accurate, fast, texture = (steps(target, installed) for target in ("accurate", "fast", "texture"))
    assert steps("model", installed) == [*accurate, *texture[1:], *fast[-3:]]
    assert fast[:2] == accurate[:2] == steps("teacher", installed)
    assert fast[2:-3] == texture[1:]


def test_the_table_of_the_readme_is_what_the_program_shows(demo_images: list[Path], tmp_path: Path) -> None:
    (table,) = re.findall(r"\$ pneumoscan predict xrays\n(.*?)```", README, re.DOTALL)
    (tmp_path / "xrays").mkdir()
    for path in demo_images:
        if path.name in table:
            shutil.copy(path, tmp_path / "xrays")
    (tmp_path / "xrays" / "cut-short.jpeg").write_bytes(demo_images[0].read_bytes()[:100_000])
    result = subprocess.run(
        [sys.executable, "-m", "pneumoscan", "predict", "xrays", "-f", "table", "--device", "cpu"],
        cwd=tmp_path,
        env=os.environ | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line.rstrip() for line in result.stdout.splitlines()] == table.splitlines()


def test_json_of_the_readme_fields_is_what_the_program_prints(demo_images: list[Path]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pneumoscan", "predict", demo_images[0], "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert tuple(json.loads(result.stdout)) == COLUMNS
