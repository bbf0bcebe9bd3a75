"""ONNX Runtime, which must be imported from here, and its sessions."""

import os
import re
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
    "filled",
    "onnxruntime",
    "reason",
    "start_session",
]

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
Providers = list[str | tuple[str, dict[str, str]]]
"""What a session may run on, the first choice first, each with options where it has any."""


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
    if providers[0] != CPU_PROVIDER:
        # What is in 8 bits on a CPU, CUDA computes from 8 bits in float32: a part of that it would leave to the CPU.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    # A file may tell of others with its weights, which its digest does not cover: there are none in this folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    # Without the last argument, a failing GPU would later be replaced by the CPU in silence.
    return onnxruntime.InferenceSession(content, options, providers=providers, enable_fallback=0)


def reason(error: BaseException) -> str:
    """What ONNX Runtime says of a failure, without the name of the machine, which records should not spread."""
    return re.sub(r" ; hostname=\S*", "", str(error))


def filled(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array [N, …], padded with zeros along its first axis to `count`, at least N."""
    missing = count - len(array)
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array
