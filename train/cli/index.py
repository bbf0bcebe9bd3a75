"""`python -m train index`: what is in a data set."""

from collections import Counter

import typer

from train import dataset
from train.cli.data import read_samples, tell_doubts
from train.cli.options import Data


def index(data: Data) -> None:
    """Print classes, patient groups, duplicates, and leaks between splits of DATA."""
    samples = read_samples(data)
    pixels = dataset.load_pixels(samples, dataset.SOURCE_SIZE)
    tell_doubts(samples, data)
    duplicates = dataset.find_duplicates(pixels)
    merged = dataset.merge_groups(samples, duplicates)
    leaks = dataset.find_leaks(merged)

    width = max(len(dataset.LABELS[sample.target]) for sample in samples) + 1
    typer.echo(f"{'split':8} {'class':{width}} {'pictures':>8} {'groups':>8}")
    for (split, target), count in sorted(Counter((sample.split, sample.target) for sample in samples).items()):
        groups = {sample.group for sample in samples if (sample.split, sample.target) == (split, target)}
        typer.echo(f"{split or '-':8} {dataset.LABELS[target]:{width}} {count:8,} {len(groups):8,}")
    typer.echo(
        f"{len({sample.group for sample in samples}):,} groups; {len({s.group for s in merged}):,} when those "
        "that share a picture are one"
    )
    typer.echo(f"{len(duplicates)} sets of identical pictures, {sum(map(len, duplicates)):,} files")
    for same in dataset.find_conflicts(samples, duplicates):
        typer.echo("  differently labelled: " + ", ".join(str(sample.path) for sample in same))
    if doubtful := sum(sample.doubtful for sample in samples):
        typer.echo(f"{doubtful:,} pneumonias whose label bacterial or viral is in doubt (see train/doubts.py)")
    typer.echo(f"{len(leaks)} groups in more than one split" + (":" if leaks else ""))
    for group, splits in sorted(leaks.items()):
        typer.echo(f"  {group}: {', '.join(sorted(splits))}")
