"""What is built and shipped."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from pneumoscan import models
from tests.conftest import ROOT

BASE = {"typer", "onnxruntime-gpu", "onnxruntime", "pillow", "numpy", "rich", "tqdm"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True)
    return folder


BESIDE = ("model.onnx", "model.onnx.sha256", "CARD.md", "curves.png")


def test_the_wheel_holds_the_scanner_with_its_model_and_nothing_else(built: Path) -> None:
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"pneumoscan"}
    shown = {f"{name}/{file}" for name in models.names() for file in BESIDE}
    assert {f"pneumoscan/models/{name}" for name in {*shown, "CHANGELOG.md"}} <= set(names)
    assert "pneumoscan/py.typed" in names
    parts = ("page.css", "page.js", "worklist.css", "worklist.html", "worklist.js")
    assert {f"pneumoscan/report/{name}" for name in parts} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pyc", ".jpeg", ".jpg", ".partial"))]


def test_the_sdist_also_holds_training_and_tests(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1].split("/")[0] for name in archive.getnames() if "/" in name}
        jpegs = [name for name in archive.getnames() if name.endswith((".jpeg", ".jpg"))]
    assert names == {
        "pneumoscan", "train", "tests", "pyproject.toml", "README.md", "LICENSE", "Makefile", "CHANGELOG.md",
        "PKG-INFO", ".gitignore",
    }  # fmt: skip
    assert not jpegs


def test_the_installed_wheel_scans_without_the_checkout(built: Path, tmp_path: Path, demo_images: list[Path]) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path)
    program = (
        "import sys, pneumoscan; assert pneumoscan.__file__.startswith(sys.argv[1]);"
        "print(next(pneumoscan.Scanner(device='cpu').scan([sys.argv[2]])).label)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path, demo_images[0]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() in ("NORMAL", "PNEUMONIA")


def test_the_wheel_is_small_enough_to_ship(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert sum(each.file_size for each in zipfile.ZipFile(wheel).infolist()) <= 40e6


def test_the_base_dependencies_are_these_and_no_others() -> None:
    assert {requirement.split(";")[0].split(">")[0].strip() for requirement in PROJECT["dependencies"]} == BASE


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("darwin", "arm64", "onnxruntime"),
        ("darwin", "x86_64", "onnxruntime"),
        ("win32", "ARM64", "onnxruntime"),
    ],
)
def test_every_platform_gets_one_onnx_runtime(system: str, machine: str, expected: str) -> None:
    from packaging.requirements import Requirement

    environment = {"sys_platform": system, "platform_machine": machine}
    requirements = [Requirement(text) for text in PROJECT["dependencies"] if text.startswith("onnxruntime")]
    assert [each.name for each in requirements if each.marker.evaluate(environment)] == [expected]


def test_the_scanner_never_imports_what_only_training_needs() -> None:
    program = "import pneumoscan.scan, pneumoscan.metrics, pneumoscan.cli.predict, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "sklearn", "scipy", "onnx", "train"} & set(loaded)
