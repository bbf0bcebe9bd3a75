import os
from pathlib import Path

import pytest

from pneumoscan import limits
from pneumoscan.limits import available_cores, cpu_limit, memory_limit


def write(root: Path, name: str, settings: dict[str, str]) -> None:
    """Sets what control groups below `root` allow."""
    for folder, setting in settings.items():
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(setting + "\n")


@pytest.mark.parametrize(
    ("own", "settings", "expected"),
    [
        ("0::/a/b\n", {"a/b": "max", "a": "2048"}, 2048),
        ("4:memory:/x\n0::/a/b\n", {"a/b": "1024", "a": "2048"}, 1024),
        ("0::/a/b\n", {"a/b": "max", "a": "max"}, None),
        ("0::/../elsewhere\n", {".": "512"}, 512),
        ("4:memory:/a\n", {"a": "2048"}, None),
        ("0::/a\n", {}, None),
    ],
)
def test_memory_is_limited_by_the_tightest_group(
    tmp_path: Path, own: str, settings: dict[str, str], expected: int | None
) -> None:
    (tmp_path / "own").write_text(own)
    write(tmp_path / "root", "memory.max", settings)
    assert memory_limit(tmp_path / "own", tmp_path / "root") == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"a/b": "max 100000", "a": "150000 100000"}, 1.5),
        ({"a/b": "50000 100000", "a": "400000 100000"}, 0.5),
        ({"a/b": "max 100000"}, None),
        ({"a/b": "nonsense", "a": "1 0"}, None),
        ({}, None),
    ],
)
def test_cores_are_limited_by_the_tightest_group(
    tmp_path: Path, settings: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "own").write_text("0::/a/b\n")
    write(tmp_path / "root", "cpu.max", settings)
    assert cpu_limit(tmp_path / "own", tmp_path / "root") == expected


def test_names_of_groups_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "own").write_bytes(b"0::/a\xff\n")
    write(tmp_path / "root", "cpu.max", {os.fsdecode(b"a\xff"): "300000 100000"})
    assert cpu_limit(tmp_path / "own", tmp_path / "root") == 3
    (tmp_path / "root" / "cpu.max").write_bytes(b"\xff")
    assert cpu_limit(tmp_path / "own", tmp_path / "root") == 3


def test_nothing_is_limited_where_there_are_no_groups(tmp_path: Path) -> None:
    assert cpu_limit(tmp_path / "none", tmp_path / "root") is None
    assert memory_limit(tmp_path / "none", tmp_path / "root") is None


@pytest.mark.parametrize(("limit", "cores"), [(None, 8), (0.3, 1), (1.5, 2), (2.0, 2), (64.0, 8)])
def test_as_many_cores_are_available_as_affinity_and_groups_both_allow(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(limits, "cpu_limit", lambda: limit)
    assert available_cores() == cores
