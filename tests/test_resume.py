"""`predict --resume` as its users meet it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumoscan.cli import app
from pneumoscan.cli.exits import Exit
from pneumoscan.formats import Format
from pneumoscan.sinks import growing_place, open_sink
from tests.records import failed, read
from tests.tiny_model import write_model

Run = Callable[..., subprocess.CompletedProcess[str]]
Flat = Callable[[str, int], Path]

RESUMABLE = [Format.CSV, Format.JSONL]


@pytest.fixture(params=RESUMABLE)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"out.{request.param}"


@pytest.fixture
def resume(run: Run, tiny_model: Path, tmp_path: Path, output: Path) -> Run:
    def resume(*arguments: object) -> subprocess.CompletedProcess[str]:
        defaults = ["--model", tiny_model, "--device", "cpu", "-o", output]
        return run("predict", "in", "--resume", *defaults, *arguments, cwd=tmp_path)

    return resume


def records(output: Path) -> list[dict[str, Any]]:
    return read(output, Format(output.suffix[1:]))


def names(output: Path) -> list[str]:
    return [Path(record["path"]).name for record in records(output)]


class TestResuming:
    def test_begins_where_there_is_nothing_yet(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        assert resume().returncode == Exit.OK
        assert names(output) == ["a.png"]

    def test_scans_only_what_is_new(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        resume()
        flat("in/b.png", 204)
        result = resume()
        assert "1 scanned: 1 pneumonia; 0 for review; 1 done before." in result.stderr
        assert names(output) == ["a.png", "b.png"]

    def test_with_nothing_new_changes_nothing_and_is_a_success(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        resume()
        before = output.read_bytes()
        result = resume()
        assert (result.returncode, output.read_bytes()) == (Exit.OK, before)
        assert "0 scanned; 1 done before." in result.stderr

    def test_of_an_empty_folder_repairs_what_a_kill_has_left_and_touches_nothing_else(
        self, resume: Run, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51), flat("in/b.png", 51)
        resume()
        whole = output.read_bytes()
        for name in ("a.png", "b.png"):
            (output.parent / "in" / name).unlink()
        output.write_bytes(whole[:-9])
        assert resume().returncode == Exit.NOTHING_TO_SCAN
        assert names(output) == ["a.png"]
        assert whole.startswith(output.read_bytes())
        before = output.stat()
        assert resume("-o", output.with_name("other.jsonl")).returncode == Exit.NOTHING_TO_SCAN
        assert (output.stat().st_mtime_ns, output.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
        assert sorted(path.name for path in output.parent.iterdir()) == ["in", output.name]

    def test_of_an_empty_folder_drops_the_failure_to_read_it(self, resume: Run, output: Path) -> None:
        (output.parent / "in").mkdir()
        sink = open_sink(output, Format(output.suffix[1:]))
        sink.write(failed("in"))
        sink.commit()
        assert resume().returncode == Exit.NOTHING_TO_SCAN
        assert names(output) == []

    def test_of_an_empty_folder_puts_in_its_place_what_a_kill_has_left_whole(
        self, resume: Run, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51)
        resume()
        whole = output.read_bytes()
        (output.parent / "in" / "a.png").unlink()
        output.replace(growing_place(output, Format(output.suffix[1:])))
        assert resume().returncode == Exit.NOTHING_TO_SCAN
        assert output.read_bytes() == whole
        assert sorted(path.name for path in output.parent.iterdir()) == ["in", output.name]

    def test_scans_a_changed_file_again_and_puts_it_in_its_old_place(
        self, resume: Run, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51), flat("in/b.png", 51)
        resume()
        flat("in/a.png", 204)
        assert "1 scanned" in resume().stderr
        assert [record["probability"] for record in records(output)] == [0.8, 0.2]

    def test_scans_a_file_again_that_was_only_touched(self, resume: Run, flat: Flat, output: Path) -> None:
        path = flat("in/a.png", 51)
        resume()
        os.utime(path, ns=(0, 1_000_000_001))
        assert "1 scanned" in resume().stderr
        assert [record["modified"] for record in records(output)] == ["1970-01-01T00:00:01.000000001Z"]

    def test_scans_again_with_another_threshold(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51)
        resume()
        resume("--threshold", 0.1)
        assert [(record["label"], record["threshold"]) for record in records(output)] == [("PNEUMONIA", 0.1)]

    def test_scans_again_with_another_model(self, resume: Run, flat: Flat, output: Path, tmp_path: Path) -> None:
        flat("in/a.png", 51)
        resume()
        resume("--model", write_model(tmp_path / "other.onnx", version="9"))
        assert [record["model"] for record in records(output)] == ["tiny-9"]

    def test_does_not_scan_again_for_settings_that_change_no_result(self, resume: Run, flat: Flat) -> None:
        flat("in/a.png", 51)
        resume()
        assert "0 scanned" in resume("--batch-size", 3, "--workers", 1).stderr

    @pytest.mark.parametrize("digits", [20, 400])
    def test_takes_any_number_of_pixels(self, resume: Run, flat: Flat, output: Path, digits: int) -> None:
        flat("in/a.png", 51)
        resume("--max-pixels", "9" * digits)
        result = resume("--max-pixels", "9" * digits)
        assert (result.returncode, "0 scanned; 1 done before" in result.stderr) == (Exit.OK, True)

    def test_tries_failed_inputs_again(self, resume: Run, flat: Flat, output: Path, tmp_path: Path) -> None:
        flat("in/a.png", 51)
        (tmp_path / "in/b.png").touch()
        flat("in/c.png", 51)
        assert resume().returncode == Exit.INPUT_ERRORS
        before = output.read_bytes()
        assert resume().returncode == Exit.INPUT_ERRORS
        assert output.read_bytes() == before
        flat("in/b.png", 204)
        assert resume().returncode == Exit.OK
        assert [record["probability"] for record in records(output)] == [0.2, 0.8, 0.2]

    def test_keeps_the_records_of_vanished_inputs(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51).unlink(flat("in/b.png", 51) is None)
        flat("in/a.png", 51)
        resume()
        (output.parent / "in/a.png").unlink()
        flat("in/c.png", 51)
        assert resume().returncode == Exit.OK
        assert names(output) == ["a.png", "b.png", "c.png"]

    def test_of_a_vanished_input_that_is_named_is_no_error(
        self, run: Run, flat: Flat, tiny_model: Path, output: Path
    ) -> None:
        path = flat("a.png", 51)
        arguments = ["predict", path, "--resume", "-o", output, "--model", tiny_model]
        run(*arguments)
        path.unlink()
        assert run(*arguments).returncode == Exit.OK
        assert [record["status"] for record in records(output)] == ["ok"]

    def test_drops_the_record_of_a_folder_that_was_missing_when_it_is_back(
        self, resume: Run, flat: Flat, output: Path, tmp_path: Path
    ) -> None:
        flat("mounted/a.png", 51)
        assert resume("mounted").returncode == Exit.INPUT_ERRORS
        assert [record["error"] for record in records(output) if record["path"] == "in"] == ["not_found"]
        (tmp_path / "mounted").rename(tmp_path / "in")
        assert resume().returncode == Exit.OK
        assert [record["path"] for record in records(output)] == ["mounted/a.png", "in/a.png"]

    def test_keeps_the_record_of_a_folder_that_is_back_while_it_is_not_scanned(
        self, run: Run, flat: Flat, tiny_model: Path, output: Path, tmp_path: Path
    ) -> None:
        flat("a.png", 51)
        arguments = ["--resume", "-o", output, "--model", tiny_model, "--device", "cpu"]
        run("predict", "in", "a.png", *arguments, cwd=tmp_path)
        before = output.read_bytes()
        flat("in/b.png", 51)
        assert run("predict", "a.png", *arguments, cwd=tmp_path).returncode == Exit.OK
        assert output.read_bytes() == before
        run("predict", "in", "a.png", *arguments, cwd=tmp_path)
        assert [record["path"] for record in records(output)] == ["a.png", "in/b.png"]

    def test_keeps_the_record_of_a_folder_that_cannot_be_listed(
        self, flat: Flat, tiny_model: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In this process, since tests may run with every right."""
        flat("in/a/1.png", 51), flat("in/b/2.png", 51)
        monkeypatch.chdir(tmp_path)
        scandir = os.scandir

        def refuse(path: str) -> object:
            if os.fspath(path) == os.path.join("in", "a"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        command = ["predict", "in", "--resume", "-o", str(output), "--model", str(tiny_model), "--device", "cpu", "-q"]
        found = []
        for _ in range(2):
            with pytest.raises(SystemExit) as end:
                app(command)
            found.append((end.value.code, [(record["path"], record["error"]) for record in records(output)]))
        assert found == [(Exit.INPUT_ERRORS, [("in/a", "permission_denied"), ("in/b/2.png", None)])] * 2
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit):
            app(command)
        assert [record["path"] for record in records(output)] == ["in/b/2.png", "in/a/1.png"]

    def test_repairs_a_torn_tail(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51), flat("in/b.png", 204)
        resume()
        whole = output.read_bytes()
        output.write_bytes(whole[:-40])
        assert "1 scanned: 1 pneumonia; 0 for review; 1 done before." in resume().stderr
        assert output.read_bytes() == whole

    def test_prefers_a_file_that_was_put_there_after_the_kill(self, resume: Run, flat: Flat, output: Path) -> None:
        flat("in/a.png", 51), flat("in/b.png", 204)
        resume()
        whole = output.read_bytes()
        partial = output.with_name(f".{output.name}.partial")
        partial.write_bytes(whole[:-200])
        os.utime(partial, (0, 0))
        assert "0 scanned; 2 done before" in resume().stderr
        assert output.read_bytes() == whole

    def test_goes_on_with_several_outputs_each_where_it_ends(
        self, resume: Run, flat: Flat, output: Path, tmp_path: Path
    ) -> None:
        flat("in/a.png", 51)
        resume()
        flat("in/b.png", 204)
        second = tmp_path / "second.jsonl"
        resume("-o", second)
        assert names(output) == names(second) == ["a.png", "b.png"]

    def test_sends_to_standard_output_what_is_new(self, resume: Run, flat: Flat) -> None:
        flat("in/a.png", 51)
        resume()
        flat("in/b.png", 204)
        sent = resume("-o", "-").stdout.splitlines()
        assert [json.loads(line)["path"] for line in sent] == ["in/b.png"]


class TestRefusing:
    @pytest.mark.parametrize("content", ["hello\n", "hello", "a,b,c\n1,2,3\n", '{"path": "a"}\n', "[1, 2]\n"])
    def test_a_file_that_is_not_ours_leaves_it_untouched(
        self, resume: Run, flat: Flat, output: Path, content: str
    ) -> None:
        flat("in/a.png", 51)
        output.write_text(content)
        result = resume()
        assert result.returncode == Exit.USAGE
        assert "cannot be resumed: line 1:" in " ".join(result.stderr.replace("│", "").split())
        assert output.read_text() == content
        assert sorted(path.name for path in output.parent.iterdir()) == ["in", output.name]

    def test_a_file_with_something_else_in_the_middle_names_the_line(
        self, resume: Run, flat: Flat, output: Path
    ) -> None:
        flat("in/a.png", 51)
        resume()
        content = output.read_bytes() + b"hello\n" + output.read_bytes().splitlines(keepends=True)[-1]
        output.write_bytes(content)
        result = resume()
        assert (result.returncode, output.read_bytes()) == (Exit.USAGE, content)
        assert "line" in result.stderr

    @pytest.mark.parametrize("outputs", [[], ["-o", "-"], ["-o", "out.json"], ["-o", "a.jsonl", "-o", "out.json"]])
    def test_outputs_that_cannot_be_gone_on_with(
        self, run: Run, flat: Flat, tmp_path: Path, tiny_model: Path, outputs: list[str]
    ) -> None:
        flat("in/a.png", 51)
        result = run("predict", "in", "--resume", "--model", tiny_model, *outputs, cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert "--resume" in result.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["in"]
