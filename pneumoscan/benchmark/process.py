"""A command's wall time, CPU time and memory. Knows nothing of what it does.

The command is started by this file, run as a small program of its own: Linux counts as the peak memory of a new process
also what the process that starts it held, which would be more than what is to be measured.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Of a command from its start to its end, the processes that it starts included.

    Attributes:
        seconds: wall time.
        cpu_seconds: of all its threads; None where the system does not tell.
        peak_bytes: largest resident memory of the largest process; None where the system does not tell.
        first_line_seconds: from its start to the end of its first line on standard output; None without any.
        stdout: what it wrote there, of which the command is taken to write little.
    """

    seconds: float
    cpu_seconds: float | None
    peak_bytes: int | None
    first_line_seconds: float | None
    stdout: str


class ProcessError(Exception):
    """A command failed; the message says how, in the words of its last line on standard error."""


def run_python(*arguments: str) -> Usage:
    """Runs a Python program with the packages that this one has, to its end.

    Raises:
        ProcessError: it failed.
    """
    # Else the current directory, which may hold another version of the package, would come before these.
    packages = [os.fspath(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    # ONNX Runtime would report to its makers, from programs that do not forbid it as this one does.
    settings = {"PYTHONPATH": os.pathsep.join(packages), "ORT_DISABLE_TELEMETRY": "1"}
    # What is installed has been compiled. A checkout must be too, or each start would take some 20 ms more.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    # Isolated, without any packages: a tenth of the memory of whatever is measured.
    launcher = [sys.executable, "-I", "-S", __file__]
    process = subprocess.Popen(
        [*launcher, sys.executable, "-P", *arguments],
        env=inherited | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        stdout, stderr = process.communicate()
    except BaseException:
        process.terminate()  # which passes it on
        process.wait()
        raise
    if process.returncode:
        *_, last = stderr.strip().splitlines() or [f"it ended with {process.returncode}"]
        raise ProcessError(last)
    return Usage(**json.loads(stdout))


def _launch(command: list[str]) -> int:
    """Runs a command, writes its `Usage` as JSON to standard output, and returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        first_line_seconds = time.perf_counter() - begun if first else None
        rest = process.stdout.read()
        cpu_seconds = peak_bytes = None
        if hasattr(os, "wait4"):
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu_seconds = used.ru_utime + used.ru_stime
            peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        process.wait()  # does nothing where that is done
        seconds = time.perf_counter() - begun
    except (KeyboardInterrupt, SystemExit):
        process.terminate()
        return process.wait() or 1
    stdout = (first + rest).decode("utf-8", "replace")
    print(json.dumps(Usage(seconds, cpu_seconds, peak_bytes, first_line_seconds, stdout)._asdict()))
    return process.returncode


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1:]))
