"""What `pneumoscan doctor` finds, in a process of its own where it is about the program, with stand-ins elsewhere."""

import base64
import ctypes
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from PIL import Image, features

import pneumoscan.runtime
from pneumoscan import doctor, models
from pneumoscan.cli.exits import Exit
from pneumoscan.cuda import find_gpus, missing_library
from pneumoscan.doctor import Trial, examine, try_model
from pneumoscan.model import Device, Model
from pneumoscan.surroundings import Check, State
from tests.tiny_model import SIZE, write_model

Run = Callable[..., subprocess.CompletedProcess[str]]
NAMES = ["versions", "model", "shipped", "cpu", "cuda", "encodings", "temporary", "folder", "locks", "machine"]


def with_golden(path: Path, *probabilities: float, **changes: object) -> Path:
    """A tiny model whose card says that a white picture has these probabilities; right are 0, 0.75, 0.25."""
    file = BytesIO()
    Image.new("L", (SIZE, SIZE), 255).save(file, "PNG")
    picture = {"png": base64.b64encode(file.getvalue()).decode(), "probabilities": probabilities}
    return write_model(path, golden=(picture,), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def good_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_golden(tmp_path_factory.mktemp("doctor") / "good.onnx", 0, 0.75, 0.25)


@pytest.fixture
def found(good_model: Path) -> Callable[..., Check]:
    """Examines this computer, without its GPU unless asked for, and returns one check."""

    def found(name: str, device: Device = "cpu", model: Path = good_model) -> Check:
        checks, _ = examine(model, device)
        return next(check for check in checks if check.name == name)

    return found


class TestTheCommand:
    @pytest.fixture
    def run_doctor(self, run: Run, good_model: Path) -> Run:
        return lambda *arguments, **options: run("doctor", "--model", good_model, *arguments, **options)

    def test_says_a_line_for_each_check_and_then_its_conclusion(self, run_doctor: Run) -> None:
        result = run_doctor("--device", "cpu")
        *lines, conclusion = result.stdout.splitlines()
        assert [line.split()[1] for line in lines] == NAMES
        assert {line[: len("warning  ")].strip() for line in lines} <= {"ok", "warning"}
        assert conclusion.startswith("Scanning works here, on cpu")
        assert "\x1b" not in result.stdout
        assert (result.returncode, result.stderr) == (Exit.OK, "")

    def test_says_the_same_as_one_json_object(self, run_doctor: Run) -> None:
        result = run_doctor("--json", "--device", "cpu")
        answer = json.loads(result.stdout)
        assert answer["ok"] is True
        assert [check["name"] for check in answer["checks"]] == NAMES
        assert all(set(check) == {"name", "state", "message", "details"} for check in answer["checks"])
        assert (result.returncode, result.stderr) == (Exit.OK, "")

    def test_finds_the_shipped_model_good(self, run: Run) -> None:
        result = run("doctor", "--device", "cpu", "--json")
        model, shipped, cpu = json.loads(result.stdout)["checks"][1:4]
        assert (model["state"], model["details"]["self_test"]) == ("ok", "passed")
        assert model["details"]["file"] == str(models.find(None))
        assert model["details"]["name"] in model["message"]
        assert (shipped["state"], shipped["details"]["default"]) == ("ok", models.DEFAULT_MODEL)
        assert list(shipped["details"]["models"]) == models.names()
        for name, told in shipped["details"]["models"].items():
            file = models.file_of(name).read_bytes()
            assert (told["bytes"], told["sha256"]) == (len(file), hashlib.sha256(file).hexdigest())
            assert f"{name}: {told['name']}, " in shipped["message"]
            assert told["sha256"] in shipped["message"]
        assert shipped["details"]["models"][models.DEFAULT_MODEL]["name"] == model["details"]["name"]
        assert (cpu["state"], cpu["details"]["runs"]) == ("ok", True)
        assert cpu["details"]["largest_difference"] < 1e-4

    @pytest.mark.parametrize("content", [None, "hello"])
    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_ends_with_4_when_the_model_cannot_be_loaded(
        self, run: Run, tmp_path: Path, content: str | None, options: list[str]
    ) -> None:
        if content:
            (tmp_path / "m.onnx").write_text(content)
        result = run("doctor", "--model", tmp_path / "m.onnx", *options)
        assert (result.returncode, result.stderr) == (Exit.UNAVAILABLE, "")
        if options:
            assert json.loads(result.stdout)["ok"] is False
        else:
            assert "\nScanning would not work here. Failed: model.\n" in result.stdout
            assert "name another with --model" in result.stdout

    def test_ends_with_4_when_golden_pictures_score_otherwise(self, run: Run, tmp_path: Path) -> None:
        result = run("doctor", "--model", with_golden(tmp_path / "m.onnx", 0.5, 0.25, 0.25), "--device", "cpu")
        assert result.returncode == Exit.UNAVAILABLE
        assert "self-test failed" in result.stdout
        assert "Failed: model, cpu." in result.stdout

    def test_ends_with_4_when_cuda_is_asked_for_and_does_not_run(self, run_doctor: Run) -> None:
        result = run_doctor("--device", "cuda", "--json")
        cuda = json.loads(result.stdout)["checks"][NAMES.index("cuda")]
        if result.returncode == Exit.OK:
            assert cuda["details"]["runs"]
        else:
            assert result.returncode == Exit.UNAVAILABLE
            assert cuda["state"] == "failed"
            assert "CUDA cannot be used: " in cuda["message"]

    def test_ends_with_4_and_no_traceback_when_the_inference_library_is_broken(
        self, run_doctor: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "onnxruntime.py").write_text("raise ImportError('libonnx.so: cannot open')")
        result = run_doctor(env=os.environ | {"PYTHONPATH": str(tmp_path)})
        assert (result.returncode, result.stderr) == (Exit.UNAVAILABLE, "")
        assert "ImportError: libonnx.so: cannot open; reinstall pneumoscan" in result.stdout
        assert "Failed: versions, model, shipped, cuda." in result.stdout

    def test_shows_names_inert(self, run: Run, tmp_path: Path) -> None:
        result = run("doctor", "--model", with_golden(tmp_path / "\x1b[31m.onnx", 0, 0.75, 0.25), "--device", "cpu")
        assert r"\x1b[31m.onnx" in result.stdout
        assert "\x1b" not in result.stdout

    @pytest.mark.skipif(os.name == "nt", reason="names are text there")
    def test_shows_a_name_that_is_not_utf8(self, run: Run, tmp_path: Path) -> None:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx"))
        for option in ([], ["--json"]):
            result = run("doctor", "--model", path, *option)
            assert (result.returncode, result.stderr) == (Exit.UNAVAILABLE, "")
            assert r"\udcff.onnx" in result.stdout

    @pytest.mark.skipif(sys.platform != "linux", reason="other platforms choose encodings otherwise")
    def test_warns_when_names_are_not_utf8(self, run_doctor: Run, tmp_path: Path) -> None:
        ascii_only = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        ascii_only.pop("PYTHONIOENCODING", None)
        result = run_doctor("--device", "cpu", cwd=tmp_path, env=ascii_only)
        assert result.returncode == Exit.OK
        assert "names may be changed in outputs: set PYTHONUTF8=1" in result.stdout
        accented = run_doctor("--model", tmp_path / "é.onnx", env=ascii_only)
        assert (accented.returncode, accented.stderr) == (Exit.UNAVAILABLE, "")

    def test_warns_when_standard_output_is_not_utf8(self, run_doctor: Run) -> None:
        result = run_doctor("--device", "cpu", env=os.environ | {"PYTHONUTF8": "1", "PYTHONIOENCODING": "latin-1"})
        assert result.returncode == Exit.OK
        assert "standard output is iso8859-1, but records are UTF-8" in result.stdout

    def test_runs_with_an_empty_environment_and_leaves_nothing_behind(self, run_doctor: Run, tmp_path: Path) -> None:
        (tmp_path / "work").mkdir()
        (tmp_path / "tmp").mkdir()
        result = run_doctor("--json", cwd=tmp_path / "work", env={"TMPDIR": str(tmp_path / "tmp")})
        checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
        assert result.returncode == Exit.OK
        assert checks["temporary"]["details"]["folder"] == str(tmp_path / "tmp")
        assert checks["folder"]["details"]["folder"] == str(tmp_path / "work")
        assert sorted(tmp_path.rglob("*")) == [tmp_path / "tmp", tmp_path / "work"]

    def test_leaves_nothing_at_home(self, run_doctor: Run, tmp_path: Path) -> None:
        assert run_doctor(env=os.environ | {"HOME": str(tmp_path)}).returncode == Exit.OK
        assert list(tmp_path.iterdir()) == []  # above all, no identity under which the inference library reports

    def test_does_not_call_a_tmpdir_unwritable_that_only_comes_second(self, run_doctor: Run, tmp_path: Path) -> None:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
        places = {"SQLITE_TMPDIR": str(tmp_path / "first"), "TMPDIR": str(tmp_path / "second")}
        result = run_doctor("--json", env=os.environ | places)
        (check,) = (each for each in json.loads(result.stdout)["checks"] if each["name"] == "temporary")
        assert (check["state"], check["details"]["folder"]) == ("ok", str(tmp_path / "first"))

    def test_warns_of_a_tmpdir_that_is_not_used(self, run_doctor: Run, tmp_path: Path) -> None:
        result = run_doctor("--device", "cpu", env=os.environ | {"TMPDIR": str(tmp_path / "gone")})
        assert result.returncode == Exit.OK
        assert f"in place of TMPDIR={tmp_path / 'gone'}, which cannot be written" in result.stdout

    @pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
    @pytest.mark.parametrize(("streams", "code"), [("<&- >&- 2>&-", Exit.OK), ("| true", Exit.OK)])
    def test_answers_by_its_exit_code_when_nobody_listens(self, good_model: Path, streams: str, code: Exit) -> None:
        command = shlex.join(
            [sys.executable, "-m", "pneumoscan", "doctor", "--device", "cpu", "--model", str(good_model)]
        )
        script = f"set -o pipefail; {command} {streams}"
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (code, "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_tells_that_its_answer_could_not_be_written(self, run_doctor: Run) -> None:
        with open("/dev/full", "w") as full:
            result = run_doctor(stdout=full, stderr=subprocess.PIPE, capture_output=False)
        assert result.returncode == Exit.INPUT_ERRORS
        assert result.stderr == "pneumoscan: cannot write -: No space left on device\n"


class TestTheModel:
    def test_is_told_by_name_digest_size_threshold_and_the_first_line_of_its_licence(
        self, found: Callable[..., Check], tmp_path: Path
    ) -> None:
        path = with_golden(tmp_path / "m.onnx", 0, 0.75, 0.25, licence="MIT\nwith more to say")
        check = found("model", model=path)
        assert check.state is State.OK
        assert check.details == {
            "name": "tiny-1.2.3",
            "file": str(path),
            "sha256": Model(path, "cpu").sha256,
            "input_size": SIZE,
            "threshold": 0.5,
            "licence": "MIT",
            "self_test": "passed",
        }
        assert all(str(detail) in check.message for detail in check.details.values())

    def test_without_golden_pictures_is_a_warning(self, found: Callable[..., Check], tiny_model: Path) -> None:
        assert found("model", model=tiny_model).state is State.WARNING
        assert found("cpu", model=tiny_model).details["largest_difference"] is None

    @pytest.mark.parametrize("golden", [({"png": "x"},), "abc", ({"png": "", "probabilities": [0, 0, 1]},)])
    def test_with_unreadable_golden_pictures_fails(
        self, found: Callable[..., Check], tmp_path: Path, golden: object
    ) -> None:
        path = write_model(tmp_path / "m.onnx", golden=golden)
        assert found("model", model=path).details["self_test"] == "failed"
        assert found("cpu", model=path).state is State.FAILED

    def test_whose_golden_pictures_get_no_number_fails(self, found: Callable[..., Check], tmp_path: Path) -> None:
        path = with_golden(tmp_path / "m.onnx", float("nan"), 0.75, 0.25)
        assert found("model", model=path).state is State.FAILED
        check = found("cpu", model=path)
        assert check.state is State.FAILED
        assert check.details["largest_difference"] is None  # JSON has no other word for it

    def test_that_runs_small_batches_only_is_a_warning(self, found: Callable[..., Check], tmp_path: Path) -> None:
        check = found("cpu", model=with_golden(tmp_path / "m.onnx", 0, 0.75, 0.25, fails_above=2))
        assert check.state is State.WARNING
        assert "choose a small --batch-size" in check.message


class TestCuda:
    """Stand-ins take the place of driver, GPU and CUDA provider, and the CPU does the work."""

    @pytest.fixture
    def refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pneumoscan.cuda, "obstacle", lambda: "no luck")
        monkeypatch.setattr(pneumoscan.cuda, "missing_library", lambda: "libcublas.so: not found")
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])

    @pytest.fixture
    def one_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pneumoscan.cuda, "find_gpus", lambda: ["NVIDIA Z1"])

    @pytest.fixture
    def no_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pneumoscan.cuda, "find_gpus", list)

    @pytest.mark.usefixtures("refused", "no_gpu")
    @pytest.mark.parametrize(("device", "state"), [("auto", "ok"), ("cpu", "ok"), ("cuda", "failed")])
    def test_that_is_absent_is_a_failure_only_if_asked_for(
        self, found: Callable[..., Check], device: Device, state: str
    ) -> None:
        check = found("cuda", device)
        assert check.state == state
        assert check.message.startswith("CUDA cannot be used: no luck")
        assert ("use --device cpu" in check.message) == (device == "cuda")

    @pytest.mark.usefixtures("refused", "one_gpu")
    @pytest.mark.parametrize(("device", "state"), [("auto", "warning"), ("cpu", "warning"), ("cuda", "failed")])
    def test_that_is_there_and_cannot_be_used_is_told_with_the_reason(
        self, found: Callable[..., Check], device: Device, state: str
    ) -> None:
        check = found("cuda", device)
        assert check.state == state
        assert check.message.startswith("cuda:0 NVIDIA Z1: CUDA cannot be used: no luck (libcublas.so: not found)")
        assert check.details == {
            "runs": False,
            "gpus": ["NVIDIA Z1"],
            "driver_error": None,
            "provider": True,
            "missing_library": "libcublas.so: not found",
        }

    @pytest.mark.usefixtures("one_gpu")
    def test_that_the_onnx_runtime_lacks_is_told(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
        check = found("cuda", "auto")
        assert check.state is State.WARNING
        assert "install onnxruntime-gpu in place of onnxruntime" in check.message

    @pytest.mark.usefixtures("refused")
    def test_with_a_driver_that_fails_is_told(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> list[str]:
            raise OSError("the NVIDIA driver fails with error 803")

        monkeypatch.setattr(pneumoscan.cuda, "find_gpus", fail)
        check = found("cuda", "auto")
        assert check.state is State.WARNING
        assert "fails with error 803" in check.message
        assert "nvidia-smi" in check.message

    @pytest.mark.usefixtures("one_gpu")
    @pytest.mark.parametrize(
        ("device", "difference", "error", "state", "used"),
        [
            ("auto", 0.0, None, "ok", "cuda"),
            ("cpu", 0.0, None, "ok", "cpu"),
            ("auto", 0.5, None, "failed", "cuda"),
            ("cuda", float("nan"), None, "failed", "cuda"),
            ("auto", None, "out of memory", "failed", "cuda"),
            ("cpu", 0.5, None, "warning", "cpu"),
        ],
    )
    def test_that_would_be_used_must_score_golden_pictures_right(
        self,
        good_model: Path,
        monkeypatch: pytest.MonkeyPatch,
        device: Device,
        difference: float | None,
        error: str | None,
        state: str,
        used: str,
    ) -> None:
        on_gpu = Trial(Model(good_model, "cpu"), error, difference=difference, milliseconds=0.5)
        monkeypatch.setattr(doctor, "try_model", lambda path, on: on_gpu if on == "cuda" else try_model(path, on))
        checks, chosen = examine(good_model, device)
        assert (checks[NAMES.index("cuda")].state, chosen) == (state, used)
        assert checks[NAMES.index("cpu")].state is State.OK

    @pytest.mark.usefixtures("refused", "one_gpu")
    def test_is_refused_whatever_the_model(self, found: Callable[..., Check], tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_text("hello")
        assert "no luck" in found("cuda", "cuda", tmp_path / "m.onnx").message


class TestGpus:
    class Driver:
        """Of two GPUs, or of none for a reason."""

        def __init__(self, code: int = 0) -> None:
            self.cuInit = lambda flags: code

        def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
            count._obj.value = 2
            return 0

        def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
            device._obj.value = number + 7
            return 0

        def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
            name.value = f"GPU {device.value}".encode()
            return 0

    def test_are_told_by_their_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", lambda name: self.Driver())
        assert find_gpus() == ["GPU 7", "GPU 8"]

    def test_are_none_where_the_driver_has_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", lambda name: self.Driver(100))
        assert find_gpus() == []

    def test_of_a_driver_that_fails_are_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", lambda name: self.Driver(803))
        with pytest.raises(OSError, match="error 803"):
            find_gpus()

    def test_are_none_without_a_driver(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", missing)
        assert find_gpus() == []

    def test_need_libraries_of_which_the_missing_one_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
        assert missing_library() is None
        (tmp_path / "capi").mkdir()
        (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_text("no library")
        assert "libonnxruntime_providers_cuda.so" in str(missing_library())


def missing(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


class TestSurroundings:
    def test_a_check_that_breaks_fails_and_leaves_the_others(
        self, good_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(platform, "platform", lambda: 1 / 0)
        checks, _ = examine(good_model, "cpu")
        assert [check.name for check in checks] == NAMES
        assert checks[0].state is State.FAILED
        assert "ZeroDivisionError: division by zero" in checks[0].message
        assert State.FAILED not in [check.state for check in checks[1:]]

    def test_versions_name_every_library(self, found: Callable[..., Check]) -> None:
        check = found("versions")
        assert check.details["pillow"] == importlib.metadata.version("pillow")
        names = {"pneumoscan", "python", "platform", "libjpeg-turbo", "numpy", "pillow", "typer", "rich", "tqdm"}
        assert names | {"pyarrow", "watchfiles"} <= set(check.details)
        assert {"onnxruntime", "onnxruntime-gpu"} & set(check.details)

    def test_an_extra_that_is_absent_is_no_trouble(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def version(name: str) -> str:
            if name in ("pyarrow", "onnxruntime"):
                raise importlib.metadata.PackageNotFoundError(name)
            return "1.2"

        monkeypatch.setattr(importlib.metadata, "version", version)
        check = found("versions")
        assert (check.details["pyarrow"], check.details["watchfiles"]) == (None, "1.2")
        assert "pyarrow absent" in check.message
        assert "uninstall" not in check.message

    def test_two_onnx_runtimes_are_a_warning(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2")
        check = found("versions")
        assert check.state is State.WARNING
        assert "uninstall both" in check.message

    def test_a_slow_jpeg_library_is_a_warning(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(features, "version_feature", lambda name: None)
        check = found("versions")
        assert check.state is State.WARNING
        assert "decoding is slow" in check.message

    def test_no_temporary_directory_is_a_warning_since_memory_is_left(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        check = found("temporary")
        assert check.state is State.WARNING
        assert "stays in memory; or name a directory that can be written in TMPDIR" in check.message

    def test_a_directory_that_cannot_be_written_is_a_warning_if_it_is_the_current_one(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**options: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        check = found("folder")
        assert check.state is State.WARNING
        assert "Read-only file system; name outputs elsewhere with -o" in check.message
        assert found("temporary").state is State.FAILED

    def test_a_current_directory_that_is_gone_is_a_warning(
        self, found: Callable[..., Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        assert found("folder").state is State.WARNING
        assert found("locks").state is State.WARNING

    def test_a_disk_that_is_nearly_full_is_a_warning(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 4096))
        for name in ("temporary", "folder"):
            check = found(name)
            assert check.state is State.WARNING
            assert "make room" in check.message
            assert check.details["free_bytes"] == 4096

    def test_locks_work_here(
        self, found: Callable[..., Check], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        check = found("locks")
        assert (check.state, check.details) == (State.OK, {"work": True})

    @pytest.mark.parametrize(
        ("error", "reason"),
        [(OSError(errno.ENOLCK, "No locks available"), "No locks available"), (None, "a second lock is not refused")],
    )
    def test_locks_that_do_not_work_are_a_warning(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch, error: OSError | None, reason: str
    ) -> None:
        fcntl = pytest.importorskip("fcntl")

        def flock(*arguments: object) -> None:
            if error:
                raise error

        monkeypatch.setattr(fcntl, "flock", flock)
        check = found("locks")
        assert check.state is State.WARNING
        assert f"{reason}; let no two runs share an output" in check.message

    def test_a_platform_without_locks_is_a_warning(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        assert "this platform has none" in found("locks").message

    def test_the_machine_has_cores_and_memory(self, found: Callable[..., Check]) -> None:
        check = found("machine")
        assert check.state is State.OK
        assert check.details["cores"] >= 1
        assert f"{check.details['cores']} cores available" in check.message

    def test_the_machine_has_what_a_container_is_given(
        self, found: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pneumoscan.limits.cpu_limit", lambda: 0.5)
        monkeypatch.setattr("pneumoscan.limits.memory_limit", lambda: 1024**3)
        check = found("machine")
        assert check.message.startswith("1 cores available (time of 0.5 may be used), ")
        assert check.message.endswith(" memory, of which 1.0 GiB may be used")
        assert (check.details["cpu_limit"], check.details["memory_limit_bytes"]) == (0.5, 1024**3)
