"""ONNX Runtime, which must be imported from here, its sessions, and the cores and the GPU beneath it."""

import contextlib
import ctypes
import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Nothing may leave the machine. ONNX Runtime reads this when it is imported, and would report to its makers otherwise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

try:
    import onnxruntime
except ImportError as error:  # which is how it tells of Ctrl-C, too
    if isinstance(error.__cause__, KeyboardInterrupt):
        raise KeyboardInterrupt from error
    raise

onnxruntime.disable_telemetry_events()  # where somebody has imported it before, and on Windows

__all__ = [
    "CPU_PROVIDER",
    "CUDA_PROVIDER",
    "Providers",
    "available_cores",
    "cuda_obstacle",
    "filled",
    "find_gpus",
    "missing_cuda_library",
    "onnxruntime",
    "start_session",
]

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
Providers = list[str | tuple[str, dict[str, str]]]
"""What a session may run on, the first choice first, each with options where it has any."""

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
"""NVIDIA's library of the CUDA driver API."""
NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE of the CUDA driver API: the driver works, and has no GPU for this process."""


def start_session(content: bytes, providers: Providers, threads: int = 1) -> onnxruntime.InferenceSession:
    """Starts a session with the options of a scan.

    Args:
        content: of the model file.
        providers: to run on. Which one does must be read from the session.
        threads: cores that one run uses on a CPU.

    Raises:
        Exception: whatever ONNX Runtime raises; its errors share no base class.
    """
    # Failures are raised, or read from the session, and told in our own words.
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    # Threads that wait would else keep their cores busy, which doubles what a small network costs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without the last argument, a failing GPU would later be replaced by the CPU in silence.
    return onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)


def filled(array: NDArray[Any], count: int) -> NDArray[Any]:
    """An array [N, …] with zeros after it, so that N is `count`, which is no less."""
    missing = count - len(array)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array


def available_cores() -> int:
    """Cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cuda_obstacle() -> str | None:
    """Why CUDA cannot be tried, or None. Asks before ONNX Runtime does, whose own attempt is slow and noisy."""
    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "the installed ONNX Runtime has no CUDA provider"
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return "no NVIDIA driver found"
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it could not find, and stdout carries data
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


def missing_cuda_library() -> str | None:
    """What the dynamic linker says of ONNX Runtime's CUDA provider; None where it can be loaded, or there is none."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        for part in ("shared", "cuda"):  # the second needs the first
            for library in folder.glob(f"*onnxruntime_providers_{part}.*"):
                ctypes.CDLL(os.fspath(library), ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return None
