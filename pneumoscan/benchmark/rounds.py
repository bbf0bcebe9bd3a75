"""The stages, each a command, and how they take turns."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pneumoscan.benchmark.pictures import fill
from pneumoscan.benchmark.process import ProcessError, Usage, run_python
from pneumoscan.runtime import CPU_PROVIDER, CUDA_PROVIDER

SHORT_RUNS = 3
"""How often in a turn the stages without a scan run; the one in the middle counts, since so short a time is noisy."""
CEILINGS = "pneumoscan.benchmark.ceilings"
LOADING = "pneumoscan.benchmark.loading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """So many images in so many seconds of wall time and of CPU time; None where the latter is not known."""

    images: int
    seconds: float
    cpu_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of a stage.

    Attributes:
        whole: from the start of its process to the end.
        steady: without what a process needs before and after, however many images it has; None where too few images
            were scanned to tell, and for stages that scan none.
        peak_bytes: of its largest process; None where the system does not tell.
        first_seconds: from its start to its first line; None where it has none.
    """

    whole: Work
    steady: Work | None
    peak_bytes: int | None
    first_seconds: float | None


Round = dict[str, Measured]
"""What was measured of each stage in one round, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all stages do.

    Attributes:
        place: a folder for pictures and outputs, which exists.
        pictures: those to scan, at least one.
        images: files to scan, at least 2: links to the pictures.
        model: file of the model.
        input_size: of the model, in pixels.
        device: as `predict` takes it.
        on_cuda: whether that runs the network on GPUs.
        workers, batch_size: as `predict` takes them; None unless given.
        scripts: Python files that are called as `naive` is, by name.
        sizes: numbers of files over which the whole program is measured too.
    """

    place: Path
    pictures: Sequence[Path]
    images: int
    model: str
    input_size: int
    device: str
    on_cuda: bool
    workers: int | None = None
    batch_size: int | None = None
    scripts: dict[str, Path]
    sizes: tuple[int, ...] = ()

    def prepare(self) -> dict[str, list[str]]:
        """Makes the folders of links, once, and says what Python is called with for each stage."""
        folder, single = self._fill("images", self.images), self._fill("single", 1)
        predict = [*self._predict(), "-o", self._output]
        providers = [CUDA_PROVIDER, CPU_PROVIDER] if self.on_cuda else [CPU_PROVIDER]
        script = [self.model, folder, str(self.input_size), *providers]
        batch_size = [] if self.batch_size is None else [str(self.batch_size)]
        return {
            "decoding": ["-m", CEILINGS, "decode", folder, str(self.input_size)],
            "inference": ["-m", CEILINGS, "infer", folder, self.model, self.device, *batch_size],
            "program": [*predict, folder],
            "naive": [os.fspath(Path(__file__).with_name("naive.py")), *script],
            **{name: [os.fspath(path), *script] for name, path in self.scripts.items()},
            "first": [*self._predict(), "-f", "jsonl", single],
            "runtime": ["-m", LOADING, self.model, self.device if self.on_cuda else "cpu"],
            **{sized(count): [*predict, self._fill(f"images{count}", count)] for count in self.sizes},
        }

    def _fill(self, name: str, count: int) -> str:
        return os.fspath(fill(self.place / name, self.pictures, count))

    def _predict(self) -> list[str]:
        options = {"--workers": self.workers, "--batch-size": self.batch_size}
        given = [str(word) for option in options.items() if option[1] is not None for word in option]
        return ["-m", "pneumoscan", "predict", "-q", "--model", self.model, "--device", self.device, *given]

    @property
    def _output(self) -> str:
        return os.fspath(self.place / "scores.jsonl")

    def measure(self, name: str, command: list[str]) -> Measured:
        """Runs a stage.

        Raises:
            ProcessError: it failed, or did not score every picture.
        """
        runs = [run_python(*command) for _ in range(SHORT_RUNS if name in ("first", "runtime") else 1)]
        usage = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
        images = {"first": 1, "runtime": 0} | {sized(count): count for count in self.sizes}
        whole = Work(images=images.get(name, self.images), seconds=usage.seconds, cpu_seconds=usage.cpu_seconds)
        if name in ("program", *map(sized, self.sizes)):
            _check_records(Path(self._output), whole.images)
        steady = None
        if name in ("decoding", "inference", "naive", *self.scripts):
            steady = _told(usage)
            if steady.images != self.images:
                raise ProcessError(f"it scanned {steady.images:,} of {self.images:,} pictures")
        return Measured(whole=whole, steady=steady, peak_bytes=usage.peak_bytes, first_seconds=usage.first_line_seconds)


def sized(count: int) -> str:
    """Name of the stage that is the whole program over so many files."""
    return f"program_{count}"


def take_turns(task: Task, rounds: int) -> Iterator[tuple[int, str, Measured | ProcessError]]:
    """Runs all stages in every round, in turn forwards and backwards, so that a drift of the machine evens out.

    A script that fails is not run again.

    Yields:
        Number of the round from 0, name of the stage, and what was measured, or how a script failed.

    Raises:
        ProcessError: another stage failed.
    """
    commands = task.prepare()
    for number in range(rounds):
        for name in list(commands) if number % 2 == 0 else list(commands)[::-1]:
            try:
                yield number, name, task.measure(name, commands[name])
            except ProcessError as error:
                if name not in task.scripts:
                    raise ProcessError(f"the stage {name} failed: {error}") from error
                del commands[name]
                yield number, name, error


def without_start(round: Round) -> Round:
    """The same round, in which the program's runs have a steady part: what they took beyond a run over one picture."""
    first = round["first"].whole

    def steady(run: Measured) -> Work | None:
        images, seconds = run.whole.images - 1, run.whole.seconds - first.seconds
        if images < 1 or seconds <= 0:  # it is that run, or scanned nothing
            return None
        cpu_seconds = None
        if run.whole.cpu_seconds is not None and first.cpu_seconds is not None:
            cpu_seconds = run.whole.cpu_seconds - first.cpu_seconds
        return Work(images=images, seconds=seconds, cpu_seconds=cpu_seconds)

    return {name: run if run.steady else replace(run, steady=steady(run)) for name, run in round.items()}


def _told(usage: Usage) -> Work:
    """What a stage says of itself in its last line.

    Raises:
        ProcessError: it says nothing.
    """
    try:
        return Work(**json.loads(usage.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError) as error:
        raise ProcessError("its last line is no JSON object of images, seconds and cpu_seconds") from error


def _check_records(output: Path, images: int) -> None:
    """Makes sure that the program scored every picture, since errors would be quicker.

    Raises:
        ProcessError: it did not.
    """
    with output.open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    errors = [record["message"] for record in records if record["status"] == "error"]
    if errors:
        raise ProcessError(f"{len(errors):,} pictures were not scored: {errors[0]}")
    if len(records) != images:
        raise ProcessError(f"it wrote {len(records):,} records for {images:,} pictures")
