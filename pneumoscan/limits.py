"""What Linux control groups (version 2) leave to this process, as containers and services set them."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/proc/self/cgroup")
"""Lists the process's groups."""
ROOT = Path("/sys/fs/cgroup")
"""Where the file system of control groups is mounted."""


def available_cores() -> int:
    """Cores that this process may use, by affinity and control groups, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cpu_limit()
    return cores if limit is None else min(cores, math.ceil(limit))


def cpu_limit(groups: Path = GROUPS, root: Path = ROOT) -> float | None:
    """Cores' worth of time that the groups allow, above 0, or None where they set no limit."""
    limits = []
    for text in _settings("cpu.max", groups, root):
        with suppress(ValueError, ZeroDivisionError):  # "max" is no limit
            quota, period = map(int, text.split())
            limits.append(quota / period)
    return min(limits, default=None)


def memory_limit(groups: Path = GROUPS, root: Path = ROOT) -> int | None:
    """Bytes that the groups allow, or None where they set no limit."""
    limits = []
    for text in _settings("memory.max", groups, root):
        with suppress(ValueError):
            limits.append(int(text))
    return min(limits, default=None)


def _settings(name: str, groups: Path, root: Path) -> Iterator[str]:
    """What stands in the file of that name in the process's group, and in those around it, which limit it too."""
    with suppress(OSError):
        own = next((line[3:] for line in groups.read_bytes().splitlines() if line.startswith(b"0::")), b"/")
        group = root / os.fsdecode(own).lstrip("/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):
                yield (folder / name).read_text()
