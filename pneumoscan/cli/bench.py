"""`pneumoscan bench`: tell how near a scan comes to what nobody can avoid."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscan.atomic import replace_with
from pneumoscan.cli.exits import Exit, complain, fail, misuse, need_no_picture, need_place, need_target, say
from pneumoscan.cli.options import RESULTS, BatchSize, DeviceName, ModelName, Quiet, Workers
from pneumoscan.cli.progress import progress
from pneumoscan.cli.start import configure_messages, load_scanner
from pneumoscan.cli.stop import StopSignal

if TYPE_CHECKING:
    from pneumoscan.benchmark.pictures import Pictures
    from pneumoscan.benchmark.rounds import Round, Task

MEASURE = "What is measured"
"""Panel of the help."""
STDOUT = Path("-")
PLOT_FORMATS = (".png", ".svg", ".pdf")
OWN_STAGES = ("decoding", "inference", "program", "naive", "first", "runtime")
OWN_RATIOS = ("slower_ceiling", "both_ceilings", "cpu_of_decoding")


def bench(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Pictures to scan. Unless given: drawn ones."),
    ] = None,
    images: Annotated[
        int,
        typer.Option(
            min=2, help="Files to scan: a random choice, or each picture several times.", rich_help_panel=MEASURE
        ),
    ] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each stage has its turn.", rich_help_panel=MEASURE)] = 3,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Also scan so many files each: do time per picture and memory stay the same?",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Also run this Python program, which takes and prints what pneumoscan/benchmark/naive.py says. May be "
            "given again. In a checkout, [bold]make bench[/] adds a loop in PyTorch, where that is installed.",
            rich_help_panel=MEASURE,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            readable=False,
            help="Save all that was measured, in JSON ([bold]-[/]: in place of the tables).",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", readable=False, help="Append the same as one line of JSON Lines.", rich_help_panel=RESULTS
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Also scan with several numbers of workers and batch sizes, and draw (.png, .svg, .pdf) what they do.",
            rich_help_panel=RESULTS,
        ),
    ] = None,
    model: ModelName = None,
    device: DeviceName = "auto",
    workers: Workers = None,
    batch_size: BatchSize = None,
    quiet: Quiet = False,
) -> None:
    """Measure how near a scan comes to what nobody can avoid: decoding the pictures, and running the network.

    In each round, on the same files, one after the other: decoding alone, on all cores; the network alone, on batches
    in memory; the whole program, as [bold]predict[/] with these options; and a naive loop, which opens and
    scores one picture at a time. Figures are medians over the rounds, with the lowest and the highest; ratios are
    made within a round. Takes minutes; let nothing else run meanwhile.

    Exit codes: 0 measured; 1 a stage failed, or a result could not be written; 2 wrong usage; 3 no pictures that can be
    decoded; 4 model or device unavailable; 129, 130 or 143 stopped by a signal.
    """
    counts = _counts(sizes)
    scripts = _scripts(compare or [], counts)
    _check_outputs([save, history, plot])
    if plot is not None:
        _check_plot(plot)
    configure_messages(quiet)

    from tempfile import TemporaryDirectory

    from pneumoscan.benchmark.result import as_json
    from pneumoscan.benchmark.rounds import Task

    with StopSignal() as stop, TemporaryDirectory(prefix="pneumoscan-bench-") as place:
        scanner = load_scanner(model, device=device, workers=workers, batch_size=batch_size)
        pictures = _pictures(folder, Path(place), images, scanner.model.card.input_size)
        task = Task(
            place=Path(place),
            pictures=pictures.paths,
            images=images,
            model=str(scanner.model.path.absolute()),
            input_size=scanner.model.card.input_size,
            device=device,
            on_cuda=scanner.model.device == "cuda",
            workers=workers,
            batch_size=batch_size,
            scripts=scripts,
            sizes=counts,
        )
        measured, failed = _measured(task, rounds, stop, quiet)
        result = as_json(task, scanner.model, pictures, measured, failed=failed, drawn=folder is None)
        picture = b""
        if plot is not None:
            from pneumoscan.benchmark.settings import as_picture, try_settings

            def watch(turns: Sequence[Any]) -> Iterator[Any]:
                yield from progress(stop.until(iter(turns)), "scans", quiet=quiet, total=len(turns))
                stop.exit_if_any()

            result["settings_tried"] = tried = try_settings(task, rounds, watch)
            picture = as_picture(tried, plot.suffix[1:].lower())
    _write(result, save, history, plot, picture)
    if failed:
        raise typer.Exit(Exit.INPUT_ERRORS)


def _counts(sizes: str | None) -> tuple[int, ...]:
    try:
        counts = tuple(sorted({int(word) for word in sizes.split(",")})) if sizes is not None else ()
    except ValueError:
        misuse(f"{sizes}: expected numbers, as in 200,2000,20000", "--sizes")
    if counts and counts[0] < 2:
        misuse("each must be at least 2", "--sizes")
    return counts


def _scripts(files: list[Path], counts: tuple[int, ...]) -> dict[str, Path]:
    """By the names that they have in the results, which hold others too."""
    from pneumoscan.benchmark.rounds import sized

    scripts = {file.stem: file for file in files}
    taken = (*OWN_STAGES, *OWN_RATIOS, *map(sized, counts))
    if len(scripts) < len(files) or not scripts.keys().isdisjoint(taken):
        misuse(f"their names without suffix must differ, also from {', '.join(taken)}", "--compare")
    return scripts


def _check_outputs(files: list[Path | None]) -> None:
    """Says at once, and not after minutes, what could not be written."""
    for option, file in zip(("--json", "--history", "--plot"), files, strict=True):
        if file is None or (file == STDOUT and option == "--json"):
            continue
        if os.path.isdir(file):
            misuse(f"{file} is a directory", option)
        if option != "--history":
            need_target(file, option)
        elif not file.exists():  # else it may be a pipe or a device
            need_place(file.parent, option, file)
        if option != "--plot":
            need_no_picture(file, option)


def _check_plot(file: Path) -> None:
    if file.suffix.lower() not in PLOT_FORMATS:
        misuse(f"{file}: name a file {', '.join(PLOT_FORMATS)}", "--plot")
    try:
        import pneumoscan.benchmark.settings  # noqa: F401
    except ModuleNotFoundError as error:
        fail(str(error), Exit.USAGE)


def _pictures(folder: Path | None, place: Path, images: int, size: int) -> "Pictures":
    """The user's, or drawn ones."""
    from pneumoscan.benchmark.pictures import DRAWN, draw, find

    if folder is None:
        draw(place / "drawn", min(DRAWN, images))
    found = find(place / "drawn" if folder is None else folder, images, size)
    if not found.paths:
        what = f": none of {found.undecodable:,} can be decoded" if found.undecodable else ""
        fail(f"nothing to scan: no pictures in {folder}{what}", Exit.NOTHING_TO_SCAN)
    return found


def _measured(task: "Task", rounds: int, stop: StopSignal, quiet: bool) -> "tuple[list[Round], dict[str, str]]":
    """What was measured in each round, and how scripts failed, which are reported and left out."""
    from pneumoscan.benchmark.process import ProcessError
    from pneumoscan.benchmark.rounds import take_turns, without_start

    measured: list[Round] = [{} for _ in range(rounds)]
    failed: dict[str, str] = {}
    total = rounds * (len(OWN_STAGES) + len(task.scripts) + len(task.sizes))
    turns: Iterator[Any] = stop.until(take_turns(task, rounds))
    try:
        for number, name, found in progress(turns, "runs", quiet=quiet, total=total):
            if isinstance(found, ProcessError):
                failed[name] = str(found)
                complain(f"{task.scripts[name]} failed, and is left out: {found}")
            else:
                measured[number][name] = found
    except ProcessError as error:
        fail(str(error), Exit.INPUT_ERRORS)
    stop.exit_if_any()
    return [without_start(round) for round in measured], failed


def _write(result: dict[str, Any], save: Path | None, history: Path | None, plot: Path | None, picture: bytes) -> None:
    """The tables or the JSON on standard output, and the files."""
    from pneumoscan.cli.bench_output import as_text

    text = json.dumps(result, indent=2) + "\n"
    say(text if save == STDOUT else as_text(result))
    target = save
    try:
        if save is not None and save != STDOUT:
            replace_with(save, text.encode())
        if history is not None:
            target = history
            with history.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
        if plot is not None:
            target = plot
            replace_with(plot, picture)
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}", Exit.INPUT_ERRORS)
