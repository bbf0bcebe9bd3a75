"""Whether scanning would work here, and how: one check for each thing that it needs.

Owns the questions, and what to do about a bad answer. Knows nothing of how answers are shown. Libraries are imported
inside the checks, so that one that is broken is a finding like any other.
"""

import importlib
import importlib.metadata
import math
import os
import platform
import textwrap
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import pneumoscan
from pneumoscan import devices, models, surroundings
from pneumoscan.surroundings import Answer, Check, State

if TYPE_CHECKING:
    from pneumoscan.model import Device, Model


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
    """Asks all questions. Whatever fails is reported in its check; what is written to try something is removed.

    Args:
        path: the model file, or name of a shipped one; None for the default.
        device: what scanning would be asked to run on. CPU and CUDA are tried whatever it is.

    Returns:
        The checks in the order in which people read them, and the device that would be used, `cpu` or `cuda`.
    """
    cpu, cuda = try_model(path, "cpu"), try_model(path, device if device.startswith("cuda") else "cuda")
    used = "cuda" if device.startswith("cuda") or (device == "auto" and cuda.model is not None) else "cpu"
    questions: dict[str, Callable[[], Answer]] = {
        "versions": _versions,
        "model": lambda: _model(path, cpu),
        "shipped": _shipped,
        "cpu": lambda: _device(cpu, used == "cpu"),
        "cuda": lambda: _cuda(cuda, used == "cuda"),
        "encodings": surroundings.encodings,
        "temporary": surroundings.temporary,
        "folder": surroundings.folder,
        "locks": surroundings.locks,
        "machine": surroundings.machine,
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
    """Loads a model on a device, scores its golden pictures, then a batch. Whatever fails is reported in the result."""
    model = None
    try:
        import numpy as np

        from pneumoscan.model import DeviceError, Model, ModelError

        try:
            model = Model(path, device)
        except (DeviceError, ModelError) as error:
            return Trial(error=str(error), refused=isinstance(error, DeviceError))
        difference = model.self_test()
        batch = np.zeros((model.batch_size, model.card.input_size, model.card.input_size), np.uint8)
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
    file = os.fspath(models.find(path))
    if trial.model is None:
        is_shipped = path is None or path in models.names()
        advice = "reinstall pneumoscan" if is_shipped else "name another with --model, or none for the default"
        return State.FAILED, f"{trial.error}; {advice}", {"file": file}
    card = trial.model.card
    passed = trial.error is None and not devices.scores_otherwise(trial.difference)
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


def _shipped() -> Answer:
    """The models that can be named; one that is broken harms only scans that name it, which another check is about."""
    from pneumoscan.model import Model, ModelError

    state, told = State.OK, [f"default {models.DEFAULT_MODEL}"]
    details: dict[str, dict[str, object]] = {}
    for name in models.names():
        file = models.file_of(name)
        try:
            model = Model(name, "cpu")
        except ModelError as error:
            state, details[name] = State.WARNING, {"error": str(error)}
            told.append(f"{name}: {error}; reinstall pneumoscan")
            continue
        size, known_as = file.stat().st_size, f"{model.card.name}-{model.card.version}"
        details[name] = {"name": known_as, "file": os.fspath(file), "sha256": model.sha256, "bytes": size}
        told.append(f"{name}: {known_as}, {size / 1e6:.1f} MB, {model.sha256}")
    return state, "; ".join(told), {"default": models.DEFAULT_MODEL, "models": details}


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
    if devices.scores_otherwise(trial.difference):
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
    from pneumoscan.cuda import find_gpus, list_gpus, missing_library
    from pneumoscan.runtime import CUDA_PROVIDER, onnxruntime

    gpus, driver = [], None
    try:
        gpus = find_gpus()
    except OSError as error:
        driver = str(error)
    found = list_gpus(gpus) or driver
    named = f"{found}: " if found else ""
    if not trial.refused:
        state, message, details = _device(trial, used)
        return state, f"{named}{message}", details | {"gpus": gpus}
    provider = CUDA_PROVIDER in onnxruntime.get_available_providers()
    missing = missing_library() if provider and gpus else None
    details = {"runs": False, "gpus": gpus, "driver_error": driver, "provider": provider, "missing_library": missing}
    message = f"{named}{trial.error}" + (f" ({missing})" if missing else "")
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
