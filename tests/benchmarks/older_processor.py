"""Runs a Python program as if the processor were older: ONNX Runtime is not told of its newer instructions.

    python -m tests.benchmarks.older_processor avx512 -m train cost accurate fast
    python -m tests.benchmarks.older_processor avx2 -m pneumoscan predict ./xrays -o as_on_avx2.csv

`avx512` hides VNNI and AMX; `avx2` hides AVX-512 too. Needs an x86 processor that has them, Linux, gdb and objdump. The
rest of the processor stays as new as it is, and so do processes that the program starts. gdb writes to standard error.
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
    kind, *arguments = sys.argv[1:] or [""]
    if kind not in KINDS:
        sys.exit(str(__doc__))
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*.so")
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True, capture_output=True).stdout
    offsets = [match.decode() for match in re.findall(rb"^ *([0-9a-f]+):\tcpuid", listing, re.MULTILINE)]
    if not offsets:
        sys.exit(f"{library} asks for no instructions")
    told = {"HIDE_FOR": kind, "HIDE_IN": library.name, "HIDE_AT": ",".join(offsets)}
    silence = ("debuginfod enabled off", "print thread-events off", "auto-load python-scripts off")
    to_stderr = ("logging file /dev/stderr", "logging redirect on", "logging enabled on")
    quiet = [word for each in (*silence, *to_stderr) for word in ("-iex", f"set {each}")]
    command = ["gdb", "-q", "-batch", *quiet, "-x", GDB_SCRIPT, "-return-child-result"]
    command += ["--args", sys.executable, *arguments]
    return subprocess.run(command, env=os.environ | told, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
