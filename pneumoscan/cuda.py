"""CUDA: which GPUs, a session on each, and batches that go to whichever GPU is free.

Owns what is asked of ONNX Runtime's CUDA provider. Knows nothing of cards and records. What fails in a run is raised as
it is: nothing here ever goes on with the CPU.
"""

import ctypes
import io
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscan import devices, runtime
from pneumoscan.devices import DeviceError
from pneumoscan.runtime import onnxruntime

BATCH_SIZE = 64
"""Pictures per run: enough to spread thin what a run costs whatever its size, few enough to be gathered soon.
Reasoned, not measured."""

RUNS_PER_GPU = 2
"""Runs in flight on each GPU: while one computes, the other's pictures are copied there, or its answers gathered."""

LIBRARIES = "ONNX Runtime could not start it; its libraries come with: pip install 'pneumoscan[cuda]'"

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""NVIDIA's library of the CUDA driver API."""
NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE of the CUDA driver API: the driver works, and has no GPU for this process."""

CUDNN = "cudnn64_9.dll" if sys.platform == "win32" else "libcudnn.so.9"
"""NVIDIA's library of convolutions, which ONNX Runtime's CUDA provider loads when it first needs it."""

NewSession = Callable[[runtime.Providers], onnxruntime.InferenceSession]
Difference = Callable[[onnxruntime.InferenceSession], float | None]

log = logging.getLogger(__name__)


def obstacle() -> str | None:
    """Why CUDA cannot be tried, or None. Asks before ONNX Runtime does, whose own attempt is slow and noisy."""
    if runtime.CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "the installed ONNX Runtime has no CUDA provider"
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return "no NVIDIA driver found"
    version, needed = ctypes.c_int(), onnxruntime.cuda_version
    if driver.cuDriverGetVersion(ctypes.byref(version)) == 0 and version.value // 1000 < int(needed.split(".")[0] or 0):
        newest = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return f"the NVIDIA driver knows CUDA up to {newest}, and ONNX Runtime needs {needed}: update the driver"
    with redirect_stdout(io.StringIO()):  # it prints what it could not find, and stdout carries data
        onnxruntime.preload_dlls()
    return None


def find_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that this process may use; empty also where there is no driver.

    Raises:
        OSError: the driver does not work.
    """
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError:
        return []
    count, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    if code not in (0, NO_DEVICE):
        raise OSError(f"the NVIDIA driver fails with error {code}")
    gpus = []
    for number in range(count.value):
        cuda.cuDeviceGet(ctypes.byref(device), number)
        cuda.cuDeviceGetName(name, len(name), device)
        gpus.append(os.fsdecode(name.value))
    return gpus


def missing_library() -> str | None:
    """What the dynamic linker says of ONNX Runtime's CUDA provider or of cuDNN; None where it has nothing to say."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        for part in ("shared", "cuda"):  # the second needs the first
            for library in folder.glob(f"*onnxruntime_providers_{part}.*"):
                ctypes.CDLL(os.fspath(library), ctypes.RTLD_GLOBAL)
                if part == "cuda":
                    ctypes.CDLL(CUDNN)
    except OSError as error:
        return str(error)
    return None


def choose(wanted: devices.GpuChoice) -> list[tuple[int, ...]]:
    """Alternatives in the order in which to try them, each the numbers of the GPUs to run on together.

    Raises:
        DeviceError: CUDA cannot be tried, or a GPU that is named is not there.
    """
    if why := obstacle():
        raise DeviceError(why)
    try:
        names = find_gpus()
    except OSError as error:
        raise DeviceError(str(error)) from error
    if not names:
        raise DeviceError("the NVIDIA driver finds no GPU")
    if wanted == "first":
        return [(number,) for number in range(len(names))]
    if wanted == "all":
        return [tuple(range(len(names)))]
    for number in wanted:
        if number >= len(names):
            raise DeviceError(f"there is no GPU {number}; there are: {list_gpus(names)}")
    return [wanted]


def list_gpus(names: Sequence[str]) -> str:
    """GPUs with the numbers by which `--device` knows them, for people."""
    return ", ".join(f"cuda:{number} {name}" for number, name in enumerate(names))


def start(choices: Sequence[tuple[int, ...]], new_session: NewSession, difference: Difference) -> "Gpus":
    """Starts a session on each GPU of the first choice that runs.

    Args:
        choices: as `choose` gives them.
        new_session: makes a session with providers.
        difference: runs a session, and tells how far its probabilities are from what they must be, 0 to 1; not a
            number where they are none themselves, None where that cannot be told.

    Raises:
        DeviceError: none runs.
    """
    obstacles = []
    for numbers in choices:
        try:
            sessions = {number: _start(number, new_session, difference) for number in numbers}
        except DeviceError as error:
            obstacles.append(str(error))
        else:
            if obstacles:
                log.warning("scanning on GPU %d: %s", numbers[0], "; ".join(obstacles))
            return Gpus(sessions)
    raise DeviceError("; ".join(obstacles))


def _start(number: int, new_session: NewSession, difference: Difference) -> onnxruntime.InferenceSession:
    """A session on one GPU, which has scored golden pictures there."""
    options = {
        "device_id": str(number),
        # In half precision, tried on a CPU, lite0's probabilities of 64 real pictures moved by up to 0.0024, but those
        # of its golden ones by less than 0.001, so that these cannot vouch for it. TF32 multiplies with as few bits.
        "use_tf32": "0",
        # The other choice takes longer over each convolution and each size of batch.
        "cudnn_conv_algo_search": "HEURISTIC",
        # By default it asks for ever larger blocks, and once the GPU has none of these left, no run succeeds any more.
        "arena_extend_strategy": "kSameAsRequested",
    }
    try:
        session = new_session([(runtime.CUDA_PROVIDER, options), runtime.CPU_PROVIDER])
        if session.get_providers()[0] != runtime.CUDA_PROVIDER:
            raise DeviceError(LIBRARIES)
        found = difference(session)
    except DeviceError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise DeviceError(f"starting it on GPU {number} failed: {runtime.reason(error.__cause__ or error)}") from error
    if devices.scores_otherwise(found):
        log.warning("GPU %d scores golden pictures otherwise, by up to %.2g; see: pneumoscan doctor", number, found)
    return session


class Gpus:
    """Sessions of one network on GPUs. It runs as a session does, on whichever GPU is free.

    A GPU that cannot even run a blank picture any more is used no more while there are others, or its failures, which
    are quick, would draw most batches to it.

    Attributes:
        session: one of them, to ask about the network.
        in_flight: how many threads may call `run` at the same time with profit; others wait.
    """

    def __init__(self, sessions: Mapping[int, onnxruntime.InferenceSession]) -> None:
        """Takes a session for each GPU, by its number."""
        self.session = next(iter(sessions.values()))
        self.in_flight = RUNS_PER_GPU * len(sessions)
        self._sessions = dict(sessions)  # those in use, at least one
        self._retiring = Lock()
        # ONNX Runtime gives each thread that runs a network a stream and libraries of its own on each GPU on which it
        # does, which are dear to begin.
        self._threads = {number: ThreadPoolExecutor(RUNS_PER_GPU, f"gpu-{number}") for number in sessions}
        self._size, self._most = 1, sys.maxsize  # the most that has run, and that has not failed
        self._free: SimpleQueue[int] = SimpleQueue()
        for number in [*sessions] * RUNS_PER_GPU:  # one run for each GPU, then another
            self._free.put(number)

    def run(self, names: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs a batch and copies these outputs back, and no others. Thread-safe.

        Args:
            names: of the outputs.
            inputs: by name, each [N, …]. They are filled up to a power of two, and to the most that has run, unless
                that has failed since: ONNX Runtime plans all convolutions anew whenever N changes, which it does with
                each file that is no picture.

        Raises:
            Exception: whatever ONNX Runtime raises; its errors share no base class.
        """
        count = len(next(iter(inputs.values())))
        least = 1 << (count - 1).bit_length()
        while True:
            size = max(least, min(self._size, self._most))
            number = self._free.get()
            session = self._sessions.get(number)
            if session is None:  # a retired one
                continue
            run = partial(_run_in, self._threads[number], session, list(names))
            try:
                outputs = run({name: runtime.filled(array, size) for name, array in inputs.items()})
                self._size = max(self._size, size)
                return [output[:count] for output in outputs]
            except Exception as error:
                blank = {name: np.zeros_like(array[:1]) for name, array in inputs.items()}
                if not self._retire(number, error, partial(run, blank)):
                    self._most = min(self._most, size // 2)
                    if size == least:
                        raise
            finally:
                self._free.put(number)

    def _retire(self, number: int, error: Exception, try_again: Callable[[], object]) -> bool:
        """Whether a GPU that failed is used no more: nor can it run less, and there are others."""
        with suppress(Exception):
            try_again()
            return False  # it is short of memory, and will be given the halves
        with self._retiring:
            if [*self._sessions] == [number]:
                return False
            if self._sessions.pop(number, None):
                log.warning("GPU %d failed and is used no more: %s", number, runtime.reason(error))
        return True


def _run_in(
    threads: ThreadPoolExecutor,
    session: onnxruntime.InferenceSession,
    names: list[str],
    inputs: dict[str, NDArray[Any]],
) -> list[NDArray[Any]]:
    """Runs a batch in one of these threads.

    Without an IO binding: its copies hold up all threads of Python, and in older ONNX Runtimes a run may begin before
    they end.
    """
    outputs: list[NDArray[Any]] = threads.submit(session.run, names, inputs).result()
    return outputs
