"""Whether scanning would work here, and how: one check for each thing that it needs.

Owns the questions, and what to do about a bad answer. Knows nothing of how answers are shown. Libraries are imported
inside the checks, so that one that is broken is a finding like any other.
"""

import codecs
import contextlib
import importlib
import importlib.metadata
import math
import os
import platform
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pneumoscan

if TYPE_CHECKING:
    from pneumoscan.model import Device, Model

TOLERANCE = 0.01
"""Largest difference from the golden pictures' probabilities that is no fault; see `Model.self_test`."""
LITTLE_SPACE = 100 * 1024**2
"""Free bytes below which a disk is called nearly full."""


class State(StrEnum):
    """How a check ended: well, with scanning hampered, or with scanning impossible."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    Attributes:
        name: what was looked at, one word.
        state: how it ended.
        message: what was found and, where something is wrong, what to do about it. May hold any characters.
        details: the same for programs, in values that JSON has.
    """

    name: str
    state: State
    message: str
    details: dict[str, Any] = field(default_factory=dict)


Answer = tuple[State, str, dict[str, Any]]
"""A check without its name."""


class Trial(NamedTuple):
    """What came of running a model on one device.

    Attributes:
        model: None where it could not be loaded.
        error: why it does not run; None where it does.
        refused: whether the device is at fault for that, and not the model.
        difference: what `Model.self_test` found; None where the card has no golden pictures.
        milliseconds: for one picture, in a batch of the scanner's size; None where such a batch does not run.
    """

    model: "Model | None" = None
    error: str | None = None
    refused: bool = False
    difference: float | None = None
    milliseconds: float | None = None


def examine(path: str | os.PathLike[str] | None = None, device: "Device" = "auto") -> tuple[list[Check], str]:
    """Asks all questions. Whatever fails is told in its check; what is written to try something is removed.

    Args:
        path: the model file, or None for the one that is shipped.
        device: what scanning would be asked to run on. Both devices are tried whatever it is.

    Returns:
        The checks in the order in which people read them, and the device that would be used, `cpu` or `cuda`.
    """
    cpu, cuda = try_model(path, "cpu"), try_model(path, "cuda")
    used = "cuda" if device == "cuda" or (device == "auto" and cuda.model is not None) else "cpu"
    questions: dict[str, Callable[[], Answer]] = {
        "versions": _versions,
        "model": lambda: _model(path, cpu),
        "cpu": lambda: _device(cpu, used == "cpu"),
        "cuda": lambda: _cuda(cuda, used == "cuda"),
        "encodings": _encodings,
        "temporary": _temporary,
        "folder": _folder,
        "locks": _locks,
        "machine": _machine,
    }
    return [_check(name, question) for name, question in questions.items()], used


def _check(name: str, question: Callable[[], Answer]) -> Check:
    try:
        return Check(name, *question())
    except Exception as error:  # one check that fails must not hide the others
        advice = "reinstall pneumoscan with its dependencies, or report this if it stays"
        return Check(name, State.FAILED, f"could not be checked: {_told(error)}; {advice}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def try_model(path: str | os.PathLike[str] | None, device: "Device") -> Trial:
    """Loads a model on a device, scores its golden pictures, then a batch. Whatever fails is told in the result."""
    model = None
    try:
        import numpy as np

        from pneumoscan.model import DeviceError, Model, ModelError
        from pneumoscan.scan import DEFAULT_BATCH_SIZE

        try:
            model = Model(path, device)
        except (DeviceError, ModelError) as error:
            return Trial(error=str(error), refused=isinstance(error, DeviceError))
        difference = model.self_test() if model.card.golden else None
        batch = np.zeros((DEFAULT_BATCH_SIZE, model.card.input_size, model.card.input_size), np.uint8)
    except Exception as error:  # ONNX Runtime's errors share no base class, and a card may hold anything
        return Trial(model, error=_told(error))
    try:
        model.predict(batch)  # the first run also reserves memory
        begun = time.perf_counter()
        model.predict(batch)
    except Exception:  # the scanner would go on with smaller batches
        return Trial(model, difference=difference)
    return Trial(model, difference=difference, milliseconds=(time.perf_counter() - begun) * 1000 / len(batch))


def _versions() -> Answer:
    for name in ("pneumoscan.model", "rich", "tqdm", "typer"):  # the first imports the others
        importlib.import_module(name)
    from PIL import features

    details = {
        "pneumoscan": pneumoscan.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
    }
    runtimes = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name)]
    for name in (*runtimes, "numpy", "pillow", "typer", "rich", "tqdm", "pyarrow", "watchfiles"):
        details[name] = _version(name)
    told = ", ".join(f"{name} {version or 'absent'}" for name, version in details.items())
    if len(runtimes) > 1:
        return State.WARNING, f"{told}; both onnxruntimes overwrite each other: uninstall both and reinstall", details
    if details["libjpeg-turbo"] is None:
        return State.WARNING, f"{told}; decoding is slow without libjpeg-turbo: install the wheel of pillow", details
    return State.OK, told, details


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _model(path: str | os.PathLike[str] | None, trial: Trial) -> Answer:
    from pneumoscan.model import shipped_model

    file = shipped_model() if path is None else os.fspath(path)
    if trial.model is None:
        advice = "reinstall pneumoscan" if path is None else "name another with --model, or none for the shipped one"
        return State.FAILED, f"{trial.error}; {advice}", {"file": file}
    card = trial.model.card
    passed = trial.error is None and not _wrong(trial)
    licence = next(iter(str(card.licence).splitlines()), "")
    details = {
        "name": f"{card.name}-{card.version}",
        "file": file,
        "sha256": trial.model.sha256,
        "input_size": card.input_size,
        "threshold": card.threshold,
        "licence": licence,
        "self_test": "none" if not card.golden else "passed" if passed else "failed",
    }
    told = "{name}, self-test {self_test}, {input_size} x {input_size} pixels, threshold {threshold}, {file}, {sha256}"
    told = f"{told.format(**details)}, {textwrap.shorten(licence, 60, placeholder=' ...')}"
    if not passed:
        return State.FAILED, f"{told}; do not use it: get the file again, or name another with --model", details
    return State.OK if card.golden else State.WARNING, told, details


def _wrong(trial: Trial) -> bool:
    """Whether the golden pictures are scored otherwise than they must be; an answer that is not a number is wrong."""
    return trial.difference is not None and not trial.difference <= TOLERANCE


def _device(trial: Trial, used: bool) -> Answer:
    """How a device that does not refuse the model runs it. What is wrong with one that is not used is no failure."""
    trouble = State.FAILED if used else State.WARNING
    details = {
        "runs": trial.model is not None and trial.error is None,
        "largest_difference": trial.difference if math.isfinite(trial.difference or 0) else None,
        "milliseconds_per_picture": trial.milliseconds and round(trial.milliseconds, 3),
    }
    if trial.model is None:
        return State.WARNING, "not tried, since the model cannot be loaded", details
    if trial.error is not None:
        return trouble, f"the model does not run: {trial.error}; name another with --model", details
    if _wrong(trial):
        told = f"probabilities of the golden pictures differ by up to {trial.difference:.2g}"
        return trouble, f"{told}; do not use this model on this device", details
    told = "no golden pictures to compare with"
    if trial.difference is not None:
        told = f"probabilities of the golden pictures differ by at most {trial.difference:.1g}"
    if trial.milliseconds is None:
        return State.WARNING, f"runs, {told}, but larger batches fail; choose a small --batch-size", details
    return State.OK, f"runs, {told}, {trial.milliseconds:.1f} ms per picture", details


def _cuda(trial: Trial, used: bool) -> Answer:
    """As `_device`; where CUDA refuses, also why. That is no trouble where there is no GPU and none is asked for."""
    from pneumoscan.model import DeviceError, find_gpus, missing_cuda_library

    gpus, driver = [], None
    try:
        gpus = find_gpus()
    except DeviceError as error:
        driver = str(error)
    found = ", ".join(gpus) or driver or "no NVIDIA GPU found"
    if not trial.refused:
        state, message, details = _device(trial, used)
        return state, f"{found}: {message}", details | {"gpus": gpus}
    import onnxruntime  # after `pneumoscan.model`, which keeps it from reporting home

    provider = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    missing = missing_cuda_library() if provider and gpus else None
    details = {"runs": False, "gpus": gpus, "driver_error": driver, "provider": provider, "missing_library": missing}
    message = f"{found}: {trial.error}" + (f" ({missing})" if missing else "")
    if not used and not gpus and not driver:
        return State.OK, message, details
    advice = "install what is missing" if missing else "see what nvidia-smi says"
    if not gpus and not driver:
        advice = "CUDA needs an NVIDIA GPU with its driver"
    elif not provider:
        advice = "install onnxruntime-gpu in place of onnxruntime"
    if used:
        return State.FAILED, f"{message}; {advice}, or use --device cpu", details
    return State.WARNING, f"{message}; {advice}", details


def _encodings() -> Answer:
    names, stdout = sys.getfilesystemencoding(), sys.stdout and sys.stdout.encoding
    details = {"file_names": names, "stdout": stdout}
    told = f"file names are {names}, standard output is {stdout or 'closed'}"
    if codecs.lookup(names).name != "utf-8":
        return State.WARNING, f"{told}; names may be changed in outputs: set PYTHONUTF8=1", details
    if stdout and codecs.lookup(stdout).name != "utf-8":
        return State.WARNING, f"{told}, but records are UTF-8 and may look wrong: set PYTHONUTF8=1", details
    return State.OK, told, details


def _temporary() -> Answer:
    try:
        folder = tempfile.gettempdir()
        answer = _writable(folder)
    except OSError as error:
        advice = "name a directory that can be written in TMPDIR"
        return State.FAILED, f"temporary files cannot be written: {error.strerror}; {advice}", {"folder": None}
    wanted = os.environ.get("TMPDIR") or folder
    if os.path.abspath(wanted) == folder:
        return answer
    _, message, details = answer
    return State.WARNING, f"{message}, in place of TMPDIR={wanted}, which cannot be written", details


def _folder() -> Answer:
    try:
        return _writable(os.getcwd())
    except OSError as error:
        told = f"the current directory cannot be written: {error.strerror}; name outputs elsewhere with -o"
        return State.WARNING, told, {"folder": None}


def _writable(folder: str) -> Answer:
    """Writes there, and measures what is left.

    Raises:
        OSError: nothing can be written.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"pneumoscan")
    free = shutil.disk_usage(folder).free
    message = f"{folder} can be written, {_gib(free)} free"
    state = State.WARNING if free < LITTLE_SPACE else State.OK
    return state, message + ("; make room" if free < LITTLE_SPACE else ""), {"folder": folder, "free_bytes": free}


def _locks() -> Answer:
    """Tries a lock where outputs usually go, else where temporary files do."""
    trouble: str | None = "a second lock is not refused"
    try:
        import fcntl

        folder = "." if os.access(".", os.W_OK) else None
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".pneumoscan.") as file, open(file.name) as other:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return State.OK, "file locks work", {"work": True}
    except ImportError:
        trouble = "this platform has none"
    except OSError as error:
        trouble = error.strerror
    return State.WARNING, f"file locks did not work: {trouble}; let no two runs share an output", {"work": False}


def _machine() -> Answer:
    from pneumoscan.scan import available_cores

    memory = None
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows does not say
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = memory_limit()
    details = {"cores": available_cores(), "memory_bytes": memory, "memory_limit_bytes": limit}
    told = f"{details['cores']} cores available" + (f", {_gib(memory)} memory" if memory else "")
    return State.OK, told + (f", of which {_gib(limit)} may be used" if limit else ""), details


def memory_limit(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that Linux control groups (version 2) allow this process, or None where they set no limit.

    Args:
        groups: lists the process's groups.
        root: where the file system of control groups is mounted.
    """
    limits = []
    with contextlib.suppress(OSError):
        own = next((line[3:] for line in groups.read_text().splitlines() if line.startswith("0::")), "/")
        group = root / own.lstrip("/")
        for folder in (group, *group.parents):  # an outer group limits the inner ones
            with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                limits.append(int((folder / "memory.max").read_text()))
    return min(limits, default=None)


def _gib(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
