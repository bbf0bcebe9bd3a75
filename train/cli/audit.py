"""`python -m train audit`: what models rely on."""

from pathlib import Path
from typing import Annotated

import typer

from train.cli.data import training_data
from train.cli.options import DataOption, ScanSize
from train.errors import AuditError
from train.settings import SCAN_SIZE


def audit(
    candidates: Annotated[
        list[str],
        typer.Argument(metavar="RUN|NAME|FILE...", help="Folders of finished fits, shipped models, or ONNX files."),
    ],
    data: DataOption,
    size: ScanSize = SCAN_SIZE,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantise the networks of a fit, as export --int8 does; files stay as they are."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=100, help="Only about so many pictures, whole patients, for a quick try.")
    ] = None,
    sizes: Annotated[
        Path | None,
        typer.Option(help="CSV of name, original_width, original_height; where pictures were resized to one size."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write all figures there; export --audit reads it."),
    ] = None,
) -> None:
    """Show what models rely on: scores pictures plain and changed in many ways. On the CPU.

    The networks of a fit score only pictures that they never saw. A file may have been trained on them.
    """
    from train import report, shortcuts
    from train.audit import audit as run_audit
    from train.audit import draw_both

    if json_file and json_file.is_dir():
        raise AuditError(f"--json {json_file} is a folder; name a file, such as {json_file / 'audit.json'}")
    samples, pixels = training_data(data)
    known = shortcuts.read_sizes(samples, sizes)
    pictures, few = draw_both(samples, limit)
    baselines = shortcuts.shortcuts([samples[each] for each in pictures], pixels[pictures], known[pictures])
    audits = [run_audit(each, samples, pixels, size, limit, int8=int8, sizes=known) for each in candidates]
    counts = len(pictures), len(few)
    typer.echo(report.to_text(audits, baselines, *counts))
    if json_file:
        report.write_json(audits, baselines, *counts, json_file)
