"""What a command imports before it begins: no more than it needs, since people wait for that each time."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from pneumoscan.cli import NAMES
from pneumoscan.cli.exits import Exit
from tests.test_package import PROJECT

PROGRAM = """
import sys
from pneumoscan.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
COMMANDS = {f"pneumoscan.cli.{name}" for name in NAMES}


def loaded(*arguments: str | Path) -> set[str]:
    """The modules that the program has imported when it ends."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(result.stderr.splitlines()[-1].split())


@pytest.fixture(scope="module")
def of_a_scan(demo_images: list[Path]) -> set[str]:
    return loaded("predict", "-q", "--device", "cpu", "-f", "jsonl", demo_images[0])


def test_a_scan_imports_no_other_command(of_a_scan: set[str]) -> None:
    assert of_a_scan & COMMANDS == {"pneumoscan.cli.predict"}


@pytest.mark.parametrize("name", ["rich", "tqdm", "tempfile", "pneumoscan.schema", "pneumoscan.report"])
def test_a_scan_into_a_pipe_does_not_import(name: str, of_a_scan: set[str]) -> None:
    if name == "tempfile" and Version(version("pillow")) < Version("13"):
        pytest.skip("this Pillow imports it")
    assert name not in of_a_scan


def test_a_scan_imports_no_pydantic_with_the_typer_that_is_asked_for(of_a_scan: set[str]) -> None:
    (wanted,) = (each for each in map(Requirement, PROJECT["dependencies"]) if each.name == "typer")
    if version("typer") not in wanted.specifier:
        pytest.skip("another version of Typer is installed")
    assert "pydantic" not in of_a_scan


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["predict", "--help"], ["schema"]])
def test_what_scans_nothing_imports_no_onnx_runtime(arguments: list[str]) -> None:
    found = loaded(*arguments)
    assert not {"onnxruntime", "numpy", "PIL"} & found


def test_the_version_is_told_without_any_command() -> None:
    assert not loaded("--version") & COMMANDS


@pytest.mark.parametrize("command", [["doctor"], ["bench", "--images", "2"]])
def test_an_interruption_while_onnx_runtime_is_loaded_is_one_and_no_broken_installation(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('initialization failed') from KeyboardInterrupt()")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", "pneumoscan", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, "Traceback" in result.stderr, result.stdout) == (Exit.INTERRUPTED, False, "")
