"""README, help and card say what the code does."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pneumoscan.cli.exits import Exit
from pneumoscan.formats import COLUMNS
from pneumoscan.model import Model
from pneumoscan.records import ErrorCode
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
CARD = (ROOT / "pneumoscan" / "models" / "CARD.md").read_text()


def section(title: str) -> str:
    return re.split(r"^#+ ", README.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_readme_lists_every_field_in_order() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", section("Records"), re.MULTILINE)) == COLUMNS


def test_the_readme_lists_every_error_code() -> None:
    assert {code for code in ErrorCode if f"`{code}`" in section("Records")} == set(ErrorCode)


def test_the_readme_lists_every_exit_code() -> None:
    codes = re.findall(r"^\| ([\d, ]+) \|", section("Exit codes"), re.MULTILINE)
    assert sorted(int(code) for codes in codes for code in codes.split(",")) == sorted(Exit)


def test_the_readme_gives_the_figures_of_the_shipped_model() -> None:
    figures = Model(device="cpu").card.figures
    rows = re.findall(r"^\| ([^|]+) \| (0\.[^|]+) \| (0\.[^|]+) \|$", section("The model"), re.MULTILINE)
    titles = {
        "AUC": "auc",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "AUC, viral against bacterial": "subtype_auc",
        "share flagged for review": "review",
        "share of the wrong verdicts that are flagged": "errors_in_review",
    }
    assert [title for title, *_ in rows] == list(titles)
    for title, *cells in rows:
        for kind, cell in zip(("plain", "stressed"), cells, strict=True):
            value, low, high = figures[f"{kind}_{titles[title]}"]
            assert cell == f"{value:.3f} ({low:.3f} to {high:.3f})"


def test_the_card_is_that_of_the_shipped_model() -> None:
    card = Model(device="cpu").card
    assert f"# Model card: {card.name} {card.version}" in CARD
    assert card.data_sha256 in CARD
    assert f"Threshold **{card.threshold}**" in CARD
    for phrase in ("not a medical device", "CC BY 4.0", "10.17632/rscbjbr9sj.2"):
        assert phrase in CARD
    assert f"## {card.name} {card.version}" in (ROOT / "pneumoscan" / "models" / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("command", re.findall(r"^    (?:15 3 \* \* \* )?(pneumoscan .*)$", README, re.MULTILINE))
def test_the_commands_of_the_readme_work(command: str, demo_images: list[Path], tmp_path: Path) -> None:
    for folder in ("xrays", "more"):
        (tmp_path / folder).mkdir()
        shutil.copy(demo_images[0], tmp_path / folder / "x.jpeg")
    shutil.copy(demo_images[1], tmp_path / "a.jpeg")
    shutil.copy(demo_images[2], tmp_path / "b.png")
    line = (
        command.replace(" --device cuda", "")
        .replace("/data/incoming", "./xrays")
        .replace("/data/", "")
        .replace("\\%", "%")
    )
    if "jq" in line and not shutil.which("jq"):
        line = line.split(" | ")[0]
    line = line.replace("pneumoscan predict", f"{shlex.quote(sys.executable)} -m pneumoscan predict", 1)
    result = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    outputs = [*tmp_path.glob("out.*"), *tmp_path.glob("scores-????-??-??.csv")]
    assert bool(outputs) == ("out." in line or "scores-" in line)
    assert all(path.stat().st_size for path in outputs)
    assert bool(result.stdout) == (not outputs and "jq" not in line)


def test_the_python_of_the_readme_works(demo_images: list[Path], tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "xrays").mkdir()
    shutil.copy(demo_images[0], tmp_path / "xrays" / "x.jpeg")
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\./xrays/x\.jpeg (NORMAL|PNEUMONIA) 0\.\d+\n", result.stdout)


def test_make_knows_every_command_that_the_readme_names() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"make ([a-z-]+)", shown))
    assert set(re.findall(r"(?:^    |`)make ([a-z-]+)", README, re.MULTILINE)) <= known | {"help"}
    assert {"demo", "test", "test-train", "lint", "model", "help"} <= known


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


def test_make_model_asks_for_the_data(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "constraints.txt").touch()
    (tmp_path / ".venv").mkdir()
    for stamp in ("pip", "scanner", "dev", "train"):
        (tmp_path / ".venv" / stamp).touch()
    result = subprocess.run(["make", "model"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "make model DATA=path/to/chest_xray" in result.stderr


def test_json_of_the_readme_fields_is_what_the_program_prints(demo_images: list[Path]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pneumoscan", "predict", demo_images[0], "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert tuple(json.loads(result.stdout)) == COLUMNS
