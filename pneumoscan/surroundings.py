"""What a scan finds where it runs: encodings, folders, locks, cores, memory. Each check changes nothing that stays."""

import codecs
import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pneumoscan import limits
from pneumoscan.path_table import SPILL_VARIABLES, spill_folder

LITTLE_SPACE = 100 * 1024**2
"""Free bytes below which a disk is called nearly full."""


class State(StrEnum):
    """How a check ended: well, with scanning hampered, or with scanning impossible."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    Attributes:
        name: what was looked at, one word.
        state: how it ended.
        message: what was found and, where something is wrong, what to do about it. May hold any characters.
        details: the same for programs, in values that JSON has.
    """

    name: str
    state: State
    message: str
    details: dict[str, Any] = field(default_factory=dict)


Answer = tuple[State, str, dict[str, Any]]
"""A check without its name."""


def encodings() -> Answer:
    """How names are read and text is written."""
    names, stdout = sys.getfilesystemencoding(), sys.stdout and sys.stdout.encoding
    details = {"file_names": names, "stdout": stdout}
    told = f"file names are {names}, standard output is {stdout or 'closed'}"
    if codecs.lookup(names).name != "utf-8":
        return State.WARNING, f"{told}; names may be changed in outputs: set PYTHONUTF8=1", details
    if stdout and codecs.lookup(stdout).name != "utf-8":
        return State.WARNING, f"{told}, but records are UTF-8 and may look wrong: set PYTHONUTF8=1", details
    return State.OK, told, details


def temporary() -> Answer:
    """Whether what is remembered of millions of files can spill to a disk."""
    advice = "name a directory that can be written in TMPDIR"
    try:
        folder = spill_folder()
    except OSError:
        told = f"there is no folder for temporary files: what is remembered of files stays in memory; or {advice}"
        return State.WARNING, told, {"folder": None}
    try:
        answer = _writable(folder)
    except OSError as error:
        return State.FAILED, f"temporary files cannot be written: {error.strerror}; {advice}", {"folder": None}
    name = next((name for name in SPILL_VARIABLES if os.environ.get(name)), None)
    if name is None or os.path.abspath(os.environ[name]) == folder:
        return answer
    _, message, details = answer
    return State.WARNING, f"{message}, in place of {name}={os.environ[name]}, which cannot be written", details


def folder() -> Answer:
    """Whether outputs can be written where the program stands."""
    try:
        return _writable(os.getcwd())
    except OSError as error:
        told = f"the current directory cannot be written: {error.strerror}; name outputs elsewhere with -o"
        return State.WARNING, told, {"folder": None}


def _writable(folder: str) -> Answer:
    """Writes there, and measures what is left.

    Raises:
        OSError: nothing can be written.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"pneumoscan")
    free = shutil.disk_usage(folder).free
    message = f"{folder} can be written, {_gib(free)} free"
    state = State.WARNING if free < LITTLE_SPACE else State.OK
    return state, message + ("; make room" if free < LITTLE_SPACE else ""), {"folder": folder, "free_bytes": free}


def locks() -> Answer:
    """Tries a lock where outputs usually go, else where temporary files do."""
    trouble: str | None = "a second lock is not refused"
    try:
        import fcntl

        folder = "." if os.access(".", os.W_OK) else None
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".pneumoscan.") as file, open(file.name) as other:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return State.OK, "file locks work", {"work": True}
    except ImportError:
        trouble = "this platform has none"
    except OSError as error:
        trouble = error.strerror
    return State.WARNING, f"file locks did not work: {trouble}; let no two runs share an output", {"work": False}


def machine() -> Answer:
    """Cores and memory."""
    memory = None
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows does not say
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores, cpus, limit = limits.available_cores(), limits.cpu_limit(), limits.memory_limit()
    details = {
        "cores": cores,
        "cpu_limit": cpus,
        "memory_bytes": memory,
        "memory_limit_bytes": limit,
    }
    told = f"{cores} cores available" + (f" (time of {cpus:g} may be used)" if cpus and cpus <= cores else "")
    told += f", {_gib(memory)} memory" if memory else ""
    return State.OK, told + (f", of which {_gib(limit)} may be used" if limit else ""), details


def _gib(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
