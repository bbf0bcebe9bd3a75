import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscan.systemd import notify, unit

Run = Callable[..., subprocess.CompletedProcess[str]]


class TestTheUnit:
    def test_runs_the_command_that_printed_it(self, run: Run, tmp_path: Path) -> None:
        arguments = ["watch", ".", "-o", "100 % $HOME.jsonl", "--settle", "3"]
        printed = run(*arguments, "--print-systemd-unit", cwd=tmp_path).stdout
        assert '"watch" "." "-o" "100 %% $$HOME.jsonl" "--settle" "3"\n' in printed
        assert f"\nWorkingDirectory={tmp_path}\n" in printed
        assert f'\nReadWritePaths="{tmp_path}" /tmp /var/tmp\n' in printed
        assert "PrivateTmp" not in printed  # what lies in /tmp would be hidden: pictures, results, a model
        assert "Type=notify" in printed
        assert list(tmp_path.iterdir()) == []

    def test_starts_nothing_that_lies_in_the_working_directory(self, run: Run, tmp_path: Path) -> None:
        printed = run("watch", ".", "-o", "o.jsonl", "--print-systemd-unit", cwd=tmp_path).stdout
        (line,) = (line for line in printed.splitlines() if line.startswith("ExecStart="))
        (tmp_path / "pneumoscan.py").write_text("raise SystemExit('not the program')")
        *start, watch = shlex.split(line.removeprefix("ExecStart="))[:5]
        assert watch == "watch"
        version = subprocess.run([*start, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (version.returncode, version.stderr) == (0, "")

    def test_names_its_directory_as_systemd_reads_it_which_unquotes_none(self) -> None:
        printed = unit(["x"], working_directory='/a"b\\c % d', writes_to='/a"b\\c % d')
        assert '\nWorkingDirectory=/a"b\\c %% d\n' in printed
        assert 'ReadWritePaths="/a\\"b\\\\c %% d" ' in printed

    def test_has_no_line_that_a_name_has_put_there(self, run: Run, tmp_path: Path) -> None:
        printed = unit(["x", "a\r\nExecStartPre=/bin/evil\x01"], working_directory="/", writes_to="/")
        assert 'ExecStart="x" "a\\x0d\\x0aExecStartPre=/bin/evil\\x01"\n' in printed
        for name in ("a\nExecStartPre=x", "a\rb", "end\\", "end "):
            (folder := tmp_path / name).mkdir()
            for arguments, cwd in ((["-o", "o.jsonl"], folder), (["-o", f"{folder}/o.jsonl"], tmp_path)):
                result = run("watch", ".", *arguments, "--print-systemd-unit", cwd=cwd)
                assert (result.returncode, result.stdout) == (2, "")
                assert "systemd takes no directory with such a name" in " ".join(result.stderr.replace("│", "").split())

    def test_is_utf_8_whatever_standard_output_is(self, run: Run, tmp_path: Path) -> None:
        (folder := tmp_path / "ü").mkdir()
        environment = os.environ | {"PYTHONIOENCODING": "ascii"}
        printed = run("watch", ".", "-o", "ö.jsonl", "--print-systemd-unit", cwd=folder, env=environment).stdout
        assert f"WorkingDirectory={folder}\n" in printed
        assert '"ö.jsonl"' in printed

    def test_names_nothing_that_is_not_utf_8(self, run: Run, tmp_path: Path) -> None:
        (folder := tmp_path / os.fsdecode(b"x\xff")).mkdir()
        for arguments, cwd, told in (
            ([".", "-o", "o.jsonl"], folder, "systemd takes no directory with such a name"),
            ([".", "-o", folder / "o.jsonl"], tmp_path, "systemd takes no directory with such a name"),
            ([folder.name, "-o", "o.jsonl"], tmp_path, "systemd takes no name that is not UTF-8"),
        ):
            result = run("watch", *arguments, "--print-systemd-unit", cwd=cwd)
            assert (result.returncode, result.stdout) == (2, "")
            assert told in " ".join(result.stderr.replace("│", "").split())

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
    def test_is_one_that_systemd_understands(self, tmp_path: Path) -> None:
        command = ["/bin/sh", "-c", 'echo "a b" \\ % $HOME']
        file = tmp_path / "pneumoscan.service"
        file.write_text(unit(command, working_directory="/tmp", writes_to="/var/lib/x y"))
        result = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
        assert (result.returncode, [line for line in result.stderr.splitlines() if "pneumoscan" in line]) == (0, [])

    def test_is_started_again_whatever_ended_it_but_a_signal(self) -> None:
        printed = unit(["x"], working_directory="/", writes_to="/")
        assert "Restart=on-failure\n" in printed  # a share that is not mounted yet, a disk that was full
        assert "TimeoutStartSec=infinity\n" in printed  # of millions of records it takes minutes to find what is done
        assert "SuccessExitStatus=129 130 143\n" in printed


class TestNotifying:
    @pytest.mark.parametrize("abstract", [False, True])
    def test_reaches_the_manager(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
        address = f"{'@' if abstract else ''}{tmp_path}/s"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address.replace("@", "\0"))
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            notify("READY=1")
            assert manager.recv(100) == b"READY=1"

    def test_without_a_manager_does_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
        notify("READY=1")

    def test_of_a_manager_that_is_gone_is_no_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
        notify("READY=1")
