"""Which machine it is, and which libraries: without that, figures of different days cannot be compared."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import features

from pneumoscan.cuda import find_gpus
from pneumoscan.limits import available_cores


def describe() -> dict[str, Any]:
    """Processor, GPUs, cores that may be used and that there are, system and versions; None for what is not known."""
    return {
        "cpu": cpu(),
        "gpus": _gpus(),
        "cores": available_cores(),
        "cores_of_machine": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pillow": _version(["pillow"]),
        "libjpeg_turbo": features.version_feature("libjpeg_turbo"),
        "numpy": _version(["numpy"]),
        "onnxruntime": _version(["onnxruntime-gpu", "onnxruntime"]),
    }


def cpu(information: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as its maker calls it, or else its kind.

    Args:
        information: where Linux tells.
    """
    try:
        for line in information.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return platform.processor() or platform.machine() or "unknown"


def _gpus() -> list[str]:
    try:
        return find_gpus()
    except OSError:
        return []


def _version(names: Iterable[str]) -> str | None:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
