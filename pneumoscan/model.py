"""The model file: what it must hold, the ONNX Runtime session, and the device that really runs it.

Owns the model contract. Knows nothing of files to scan or formats.
"""

import hashlib
import logging
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscan import cuda, devices, limits, models, runtime
from pneumoscan.card import CLASSES, METADATA_KEY, Card, Golden
from pneumoscan.devices import DeviceError as DeviceError
from pneumoscan.runtime import onnxruntime

CPU_BATCH_SIZE = 4
"""Pictures per run on a CPU. The activations of so few stay in a core's cache: measured with networks of 0.4 and 6 ms a
picture, batches of 16 took 1.2 and 1.6 times as long for each, and four times the memory; a batch of 1 gains nothing.
"""
CPU_BATCH_STEP = 4
"""On a CPU, ONNX Runtime adds up the rows of a batch in packets of so many, and those left over in another order, which
can show in the last digit of an outlier score. So batches are filled up. Measured with AVX2, AVX-512 and VNNI.
"""

log = logging.getLogger(__name__)


class ModelError(Exception):
    """The model file is missing or does not meet the contract; the message says in what."""


Device = str
"""What to run the network on: `auto`, `cpu`, `cuda`, `cuda:N`, `cuda:N,M` or `cuda:all`; see `pneumoscan.devices`."""


class Prediction(NamedTuple):
    """What the network says of N pictures.

    Attributes:
        probabilities: float32 [N, 3], in the order of `CLASSES`, summing to 1.
        outlier_scores: float32 [N], or None where the model has none.
        heatmaps: class activation for pneumonia in coarse cells, float32 [N, h, w], 0 to 1; None where the model has
            none, or none was wanted.
    """

    probabilities: NDArray[np.float32]
    outlier_scores: NDArray[np.float32] | None
    heatmaps: NDArray[np.float32] | None = None


class Model:
    """A model file, loaded and ready on a device.

    Attributes:
        path: the file.
        card: what it says of itself.
        sha256: digest of the file, hexadecimal.
        device: what runs the network, read from the session: `cpu` or `cuda`.
        has_heatmap: whether the model can tell where it found its evidence.
        batch_size: pictures per run that suit the device.
        in_flight: how many threads may call `predict` at the same time with profit.
    """

    def __init__(
        self, model: str | os.PathLike[str] | None = None, device: Device = "auto", *, threads: int = 1
    ) -> None:
        """Loads a model.

        Args:
            model: name of a shipped model, or path of an ONNX file of the contract (see `models.find`); None for the
                default.
            device: `cuda` takes the first GPU that runs, and fails unless CUDA really does; `auto` falls back to the
                CPU and logs why. `cuda:1`, `cuda:0,1` and `cuda:all` run on all these GPUs, or fail.
            threads: cores that one call of `predict` uses on a CPU.

        Raises:
            ModelError: no such file, no ONNX, not of the contract, or not of the digest recorded beside it.
            DeviceError: CUDA was asked for and does not run, or not on such a GPU.
            ValueError: there is no device of this name.
        """
        wanted = devices.parse(device)
        self.path = models.find(model)
        content = _read(self.path)
        self.sha256 = hashlib.sha256(content).hexdigest()
        recorded = models.recorded_digest(self.path)
        if recorded not in (None, self.sha256):
            raise ModelError(
                f"the model {self.path} is damaged, or was replaced: {self.path.name}.sha256 beside it holds another "
                "digest; install it again, or remove that file if the model is meant to be another"
            )
        session, gpus = _start(content, wanted, threads)
        self._session = gpus or session
        self.device = "cuda" if gpus else "cpu"
        self._is_vouched_for = recorded is not None or gpus is not None  # GPUs have told what they do otherwise
        self.batch_size = cuda.BATCH_SIZE if gpus else CPU_BATCH_SIZE
        self.in_flight = gpus.in_flight if gpus else max(1, limits.available_cores() // threads)
        self.card = _check(session)
        outputs = [output.name for output in session.get_outputs()]
        self._outputs = [name for name in ("probabilities", "outlier_score") if name in outputs]
        self.has_heatmap = "heatmap" in outputs

    def predict(self, images: NDArray[np.uint8], *, heatmaps: bool = False) -> Prediction:
        """Scores pictures; on a CPU each gets the same, whatever else is in the batch. Threads may call this together.

        Args:
            images: uint8 [N, S, S], grey, as `pneumoscan.decode` yields them for S = `card.input_size`.
            heatmaps: whether heatmaps are wanted too, where the model has them; they come out of the same pass.
        """
        names = [*self._outputs, "heatmap"] if heatmaps and self.has_heatmap else self._outputs
        count = len(images)
        if self.device == "cpu":
            images = runtime.filled(images, -(-count // CPU_BATCH_STEP) * CPU_BATCH_STEP)
        outputs = self._session.run(names, {"images": images})
        found = {name: output[:count] for name, output in zip(names, outputs, strict=True)}
        return Prediction(found["probabilities"], found.get("outlier_score"), found.get("heatmap"))

    def check(self) -> None:
        """Makes sure on a CPU that a model without a recorded digest scores its golden pictures as it must.

        Raises:
            ModelError: it does not.
        """
        if self._is_vouched_for:
            return
        try:
            difference = _difference(_golden_pictures(self.card), self._session)
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"the model {self.path} cannot score its golden pictures: {error}") from error
        if devices.scores_otherwise(difference):
            raise ModelError(
                f"the model {self.path} is damaged, or this machine computes otherwise: its golden pictures get other "
                f"probabilities than they must, by up to {difference:.2g}; see: pneumoscan doctor"
            )

    def self_test(self) -> float | None:
        """Largest difference between the probabilities of the card's golden pictures and those scored here.

        Returns:
            0 to 1; above `devices.TOLERANCE`, or not a number, something is wrong with file or device. None where the
            card has no pictures.
        """
        return _difference(self.card.golden_pictures(), self._session)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        shipped = ", ".join(models.names())
        raise ModelError(f"cannot read the model {path}: {error.strerror}; shipped models: {shipped}") from error
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from error


def _start(
    content: bytes, wanted: devices.Wanted, threads: int
) -> tuple[onnxruntime.InferenceSession, cuda.Gpus | None]:
    """Starts a session, on GPUs where that is wanted and really runs."""
    new_session = partial(_session, content, threads=threads)
    try:
        if wanted.kind != "cpu":
            choices = cuda.choose(wanted.gpus)
            card = _check(new_session([runtime.CPU_PROVIDER]))  # fails where the file is at fault, and no GPU
            gpus = cuda.start(choices, new_session, partial(_try_out, _golden_pictures(card), card.input_size))
            return gpus.session, gpus
    except DeviceError as error:
        if wanted.kind == "cuda":
            raise DeviceError(f"CUDA cannot be used: {error}") from error
        log.warning("scanning on the CPU: %s", error)
    return new_session([runtime.CPU_PROVIDER]), None


def _golden_pictures(card: Card) -> Golden:
    """The golden pictures, none where a card holds something else."""
    with suppress(Exception):
        return card.golden_pictures()
    return []


def _try_out(golden: Golden, size: int, session: onnxruntime.InferenceSession) -> float | None:
    """Runs a session, and returns the difference that its golden pictures show, or None where there are none."""
    if not golden:
        session.run(["probabilities"], {"images": np.zeros((1, size, size), np.uint8)})
    return _difference(golden, session)


def _difference(golden: Golden, session: onnxruntime.InferenceSession | cuda.Gpus) -> float | None:
    """Largest difference of a probability from what it must be; None where there are no pictures."""
    differences = [
        np.abs(session.run(["probabilities"], {"images": images})[0][0] - expected).max() for images, expected in golden
    ]
    return float(np.max(differences)) if differences else None


def _session(content: bytes, providers: runtime.Providers, threads: int) -> onnxruntime.InferenceSession:
    try:
        return runtime.start_session(content, providers, threads)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise ModelError(f"the model is no usable ONNX file: {error}") from error


def _check(session: onnxruntime.InferenceSession) -> Card:
    """Holds a session against the contract and returns its card."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"the model has no metadata under {METADATA_KEY!r}; export it with: python -m train export")
    try:
        card = Card.from_json(text)
    except ValueError as error:
        raise ModelError(str(error)) from error
    inputs = {each.name: (each.type, each.shape) for each in session.get_inputs()}
    kind, shape = inputs.get("images", ("", []))
    size = card.input_size
    if len(inputs) != 1 or kind != "tensor(uint8)" or shape[1:] != [size, size] or isinstance(shape[0], int):
        raise ModelError(f"the model's input must be images, uint8 [N, {size}, {size}], not {inputs}")
    outputs = {each.name: (each.type, each.shape[1:]) for each in session.get_outputs()}
    if outputs.get("probabilities") != ("tensor(float)", [len(CLASSES)]):
        raise ModelError(f"the model must have an output probabilities, float [N, {len(CLASSES)}], not {outputs}")
    kind, shape = outputs.get("heatmap", ("tensor(float)", [0, 0]))
    if kind != "tensor(float)" or len(shape) != 2:
        raise ModelError(f"the model's output heatmap must be float [N, h, w], not {outputs}")
    if outputs.get("outlier_score", ("tensor(float)", [])) != ("tensor(float)", []):
        raise ModelError(f"the model's output outlier_score must be float [N], not {outputs}")
    has_threshold = card.outlier_threshold is not None or card.unfamiliar_threshold is not None
    if has_threshold and "outlier_score" not in outputs:
        raise ModelError("the model has a threshold for outliers but no output outlier_score, float [N]")
    return card
