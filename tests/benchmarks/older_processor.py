"""Runs a Python program as if the processor were older: ONNX Runtime is not told of its newer instructions.

    python -m tests.benchmarks.older_processor avx512 -m train cost accurate fast
    python -m tests.benchmarks.older_processor avx2 -m pneumoscan predict ./xrays -o as_on_avx2.csv

`avx512` hides VNNI; `avx2` hides AVX-512 too. Needs an x86 processor that has them, Linux, gdb and objdump. The rest of
the processor stays as new as it is.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from pneumoscan.runtime import onnxruntime

KINDS = ("avx512", "avx2")
GDB_SCRIPT = Path(__file__).with_name("hide_instructions.py")


def main() -> int:
    """Runs the program and returns its exit code."""
    kind, *arguments = sys.argv[1:]
    if kind not in KINDS:
        sys.exit(f"the processor must be one of {', '.join(KINDS)}, not {kind}")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*.so")
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True, capture_output=True).stdout
    offsets = [match.decode() for match in re.findall(rb"^ *([0-9a-f]+):\tcpuid", listing, re.MULTILINE)]
    told = {"HIDE_FOR": kind, "HIDE_IN": library.name, "HIDE_AT": ",".join(offsets)}
    settings = ("debuginfod enabled off", "print thread-events off", "auto-load python-scripts off")
    quiet = [word for each in settings for word in ("-iex", f"set {each}")]
    command = ["gdb", "-q", "-batch", *quiet, "-x", GDB_SCRIPT, "-return-child-result"]
    return subprocess.run([*command, "--args", sys.executable, *arguments], env=os.environ | told).returncode


if __name__ == "__main__":
    sys.exit(main())
