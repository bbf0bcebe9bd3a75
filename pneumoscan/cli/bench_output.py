"""What was measured, as tables for people."""

import sys
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STAGES = {
    "decoding": "a  decoding alone",
    "inference": "b  network alone",
    "program": "c  whole program",
    "naive": "d  naive loop",
}
ALONE = ("decoding", "inference")
"""Stages of which only the steady part counts, being ceilings."""
RATIOS = {
    "slower_ceiling": "c / the slower of a and b",
    "both_ceilings": "c / a and b in turn on the same cores",
    "decoding": "c / a",
    "naive": "c / d",
    "cpu_of_decoding": "CPU time per image, c / a",
}
PARTS = {"whole": "with start", "steady": "steady"}


def as_text(result: dict[str, Any]) -> str:
    """All figures; with colours and the terminal's width where standard output is one."""
    text = StringIO()
    is_terminal = sys.stdout.isatty()
    console = Console(file=text, highlight=False, force_terminal=is_terminal or None, width=None if is_terminal else 96)
    for line in _opening(result):
        console.print(Text(line))
    scripts = [name for name in result["stages"] if name not in STAGES]
    letters = {name: f"{chr(ord('e') + place)}  {name}" for place, name in enumerate(scripts)}
    console.print()
    console.print(_stages(result["stages"], STAGES | letters))
    console.print()
    console.print(_ratios(result["ratios"], RATIOS | {name: f"c / {words[0]}" for name, words in letters.items()}))
    console.print()
    start = result["start"]
    console.print(
        Text(
            f"From start to first record {_seconds(start['first_record_seconds'])}: {_figure(start['ratio'], 2)} times "
            f"the {_seconds(start['runtime_seconds'])} of a program that only imports ONNX Runtime and loads the model."
        )
    )
    if result["sizes"]:
        console.print()
        console.print(_sizes(result["sizes"]))
    console.print()
    console.print(
        Text(
            f"{_rounds(result['settings']['rounds'])} Ratios are of images per second, "
            "made within each round. Steady: without the start and end of the process."
        )
    )
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _rounds(count: int) -> str:
    return "One round." if count == 1 else f"Medians of {count} rounds (lowest to highest)."


def _opening(result: dict[str, Any]) -> list[str]:
    """What was scanned, with what, and where."""
    pictures, model, machine, settings = (result[name] for name in ("pictures", "model", "machine", "settings"))
    left_out = f"; {pictures['undecodable']:,} that cannot be decoded left out" if pictures["undecodable"] else ""
    chosen = {"workers": settings["workers"], "batch size": settings["batch_size"]}
    given = "".join(f", {name} {value}" for name, value in chosen.items() if value is not None)
    return [
        f"{pictures['files']:,} files, {pictures['different']:,} different{' drawn' if pictures['drawn'] else ''} "
        f"pictures of {pictures['megapixels']:.2f} megapixels and {pictures['kilobytes']:.0f} kB on average{left_out}.",
        f"pneumoscan {result['version']}, {model['name']} on {model['device']}, "
        f"{model['input_size']} x {model['input_size']} pixels{given}.",
        f"{', '.join([machine['cpu'], *machine['gpus']])}, {machine['cores']} of {machine['cores_of_machine']} cores, "
        f"{machine['system']}, Python {machine['python']}, Pillow {machine['pillow']}, "
        f"ONNX Runtime {machine['onnxruntime']}.",
    ]


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column is table.columns[0] else "right"
    return table


def _stages(stages: dict[str, Any], names: dict[str, str]) -> Table:
    table = _table("", "images/s", "", "wall ms", "CPU ms", "peak MiB")
    for name, words in names.items():
        stage = stages[name]
        for part in ["steady"] if name in ALONE else PARTS:
            cost = stage[part]
            table.add_row(
                words if name in ALONE else f"{words}, {PARTS[part]}",
                _median(cost["images_per_second"], 1),
                _range(cost["images_per_second"], 1),
                _median(cost["wall_ms"], 2),
                _median(cost["cpu_ms"], 2),
                _median(stage["peak_mib"], 0),
            )
    return table


def _ratios(ratios: dict[str, Any], names: dict[str, str]) -> Table:
    table = _table("", *PARTS.values())
    for name, words in names.items():
        figures = [ratios[part][name] for part in PARTS]
        if any(figures):
            table.add_row(words, *(_figure(figure, 2) for figure in figures))
    return table


def _sizes(sizes: dict[str, Any]) -> Table:
    """Time and memory, and both relative to the fewest files."""
    table = _table("files", "steady wall ms", "relative", "peak MiB", "relative")
    table.columns[0].justify = "right"
    fewest = next(iter(sizes.values()))
    for count, cost in sizes.items():
        row = [f"{int(count):,}"]
        for figure, base, digits in (
            (cost["steady"]["wall_ms"], fewest["steady"]["wall_ms"], 2),
            (cost["peak_mib"], fewest["peak_mib"], 0),
        ):
            relative = f"{figure['median'] / base['median']:.2f}" if figure and base else "n/a"
            row += [_figure(figure, digits), relative]
        table.add_row(*row)
    return table


def _median(figure: dict[str, float] | None, digits: int) -> str:
    return "n/a" if figure is None else f"{figure['median']:,.{digits}f}"


def _range(figure: dict[str, float] | None, digits: int) -> str:
    return (
        ""
        if figure is None or figure["low"] == figure["high"]
        else f"({figure['low']:,.{digits}f} to {figure['high']:,.{digits}f})"
    )


def _figure(figure: dict[str, float] | None, digits: int) -> str:
    return f"{_median(figure, digits)} {_range(figure, digits)}".rstrip()


def _seconds(figure: dict[str, float] | None) -> str:
    return f"{_median(figure, 2)} s"
