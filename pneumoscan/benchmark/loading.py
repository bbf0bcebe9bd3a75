"""What every program that uses ONNX Runtime does before its first answer: import it, and load the model.

    python -m pneumoscan.benchmark.loading MODEL DEVICE

The sessions are those of a scan, but nothing is scored, and the golden pictures are not either. Prints an empty line.
"""

import sys
from functools import partial
from pathlib import Path

from pneumoscan import cuda, devices
from pneumoscan.runtime import CPU_PROVIDER, start_session


def load(path: str, device: str) -> None:
    """Loads a model on the CPU, or on GPUs: `auto` means the first one here, and never the CPU.

    Raises:
        DeviceError: CUDA does not run.
    """
    new_session = partial(start_session, Path(path).read_bytes())
    wanted = devices.parse(device)
    if wanted.kind == "cpu":
        new_session([CPU_PROVIDER])
    else:
        cuda.start(cuda.choose(wanted.gpus), new_session, lambda _: None)


if __name__ == "__main__":
    load(*sys.argv[1:])
    print()
