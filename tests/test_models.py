"""Models by name."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscan import Scanner, models
from pneumoscan.cli.exits import Exit
from pneumoscan.model import Model, ModelError
from tests.tiny_model import write_model

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models in place of the real one: `large`, the default, and `small`; an unfinished one."""
    folder = tmp_path / "shelf"
    for name in ("large", "small", "unfinished"):
        (folder / name).mkdir(parents=True)
    write_model(folder / "large" / "model.onnx", name="big")
    write_model(folder / "small" / "model.onnx", name="little")
    (folder / "CHANGELOG.md").touch()
    monkeypatch.setattr(models, "FOLDER", folder)
    monkeypatch.setattr(models, "DEFAULT_MODEL", "large")
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_names_are_the_folders_that_hold_a_model(shelf: Path) -> None:
    assert models.names() == ["large", "small"]


def test_a_scanner_takes_a_name_and_otherwise_the_default(shelf: Path) -> None:
    assert Scanner("small", device="cpu").model.card.name == "little"
    assert Scanner(device="cpu").model.card.name == "big"


@pytest.mark.parametrize("path", ["./small", Path("small")])
def test_a_file_that_is_called_like_a_shipped_model_is_taken_if_it_is_a_path(shelf: Path, path: str | Path) -> None:
    write_model(Path("small"), name="mine")
    assert Model(path, "cpu").card.name == "mine"
    assert Model("small", "cpu").card.name == "little"


def test_a_file_that_is_called_otherwise_needs_no_separator(shelf: Path) -> None:
    write_model(Path("unfinished"), name="mine")
    assert Model("unfinished", "cpu").card.name == "mine"


def test_a_name_that_is_none_is_refused_with_those_that_are(shelf: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read the model smal: No such file .*shipped models: large, small$"):
        Model("smal", "cpu")


def test_a_shipped_model_is_known_by_its_digest(shelf: Path) -> None:
    small, large = (Model(name, "cpu").sha256 for name in ("small", "large"))
    assert models.first_of(["ab" * 32, small, large]) == "small"
    assert models.first_of(["ab" * 32]) is None
    assert models.first_of([]) is None


@pytest.mark.parametrize("command", ["predict", "watch", "report", "explain", "evaluate", "doctor"])
def test_the_help_of_every_command_lists_the_names(run: Run, command: str) -> None:
    told = " ".join(run(command, "--help", env={"COLUMNS": "200", "PATH": ""}).stdout.replace("│", "").split())
    default = "the shipped model that made the records" if command == "report" else models.DEFAULT_MODEL
    assert f"A shipped model ({', '.join(models.names())}), or an ONNX file. Unless given: {default}." in told


class TestTheCommandLine:
    @pytest.mark.parametrize("name", models.names())
    def test_takes_a_name(self, run: Run, demo_images: list[Path], name: str) -> None:
        result = run("predict", demo_images[0], "--model", name, "--device", "cpu", "-q")
        assert result.returncode == Exit.OK
        assert json.loads(result.stdout)["model_sha256"] == Model(name, "cpu").sha256

    def test_takes_a_file_in_the_current_folder_that_is_called_like_a_model(
        self, run: Run, tiny_model: Path, flat: Callable[[str, int], Path], tmp_path: Path
    ) -> None:
        picture = flat("a.png", 204)
        name = models.names()[0]
        shutil.copy(tiny_model, tmp_path / name)
        result = run("predict", picture, "--model", f"./{name}", "--device", "cpu", "-q", cwd=tmp_path)
        assert json.loads(result.stdout)["model"] == "tiny-1.2.3"

    def test_ends_with_4_at_an_unknown_name(self, run: Run, flat: Callable[[str, int], Path]) -> None:
        result = run("predict", flat("a.png", 204), "--model", "acurate")
        assert result.returncode == Exit.UNAVAILABLE
        assert f"acurate: No such file or directory; shipped models: {', '.join(models.names())}" in result.stderr
