"""`python -m train`: from labelled pictures to the model file."""

import logging
import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from pneumoscan.labels import TOLD, OtherFiles
from pneumoscan.metrics import Interval
from train import dataset
from train.dataset import Sample
from train.errors import AuditError, DatasetError, ExportError, TrainError
from train.settings import NETWORKS, SCAN_SIZE, WEIGHTS_LICENCE, Settings

SMALLEST = 32
"""Side in pixels of the one cell that networks see at least."""
TEACHER_SHARE = 0.75
DEFAULTS = Settings()

Data = Annotated[Path, typer.Argument(metavar="DATA", help="A chest_xray folder, or a CSV of path, label, group.")]
Run = Annotated[Path, typer.Option(help="Folder of the fit: weights, checkpoints, TensorBoard logs.")]

ScanSize = Annotated[
    int,
    typer.Option(
        min=SMALLEST,
        max=dataset.SOURCE_SIZE,
        help="Side at which the networks of a fit scan, in pixels. Training keeps no more of a picture than the "
        "maximum: at a larger side, enlarged pictures would be measured and real ones scanned.",
    ),
]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Train the model that pneumoscan scans with. Research use only; not a medical device.",
)


def _network(name: str) -> str:
    if name not in NETWORKS:
        raise typer.BadParameter(f"there is no network {name}; there are {', '.join(NETWORKS)}")
    return name


def _learning_rate(value: float) -> float:
    if not 0 < value <= 1:
        raise typer.BadParameter(f"{value} is not above 0 and at most 1")
    return value


@app.command()
def index(data: Data) -> None:
    """Print classes, patient groups, duplicates, and leaks between splits of DATA."""
    samples = _read_samples(data)
    pixels = dataset.load_pixels(samples, dataset.SOURCE_SIZE)
    _tell_doubts(samples, data)
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


@app.command()
def fit(
    data: Data,
    run: Run = Path("runs/lite0"),
    size: Annotated[
        int, typer.Option(min=SMALLEST, max=dataset.SOURCE_SIZE, help="Side of the training crops in pixels.")
    ] = DEFAULTS.size,
    folds: Annotated[int, typer.Option(min=2, help="Patient-wise folds to measure and calibrate on.")] = DEFAULTS.folds,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the pictures, for each fold and for the final network.")
    ] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=2, help="Pictures per step.")] = DEFAULTS.batch_size,
    learning_rate: Annotated[
        float, typer.Option(callback=_learning_rate, help="Peak of the schedule, above 0 and at most 1.")
    ] = DEFAULTS.learning_rate,
    detail: Annotated[
        float, typer.Option(min=0, max=3, help="Largest change of the logarithm of the strength of fine detail.")
    ] = DEFAULTS.detail,
    balance_texture: Annotated[
        bool, typer.Option("--balance-texture", help="Weigh pictures so that texture tells less of the class.")
    ] = DEFAULTS.balance_texture,
    doubting_epochs: Annotated[
        int, typer.Option(min=0, help="Last epochs, which unlearn kinds of pneumonia that are in doubt (see doubts).")
    ] = DEFAULTS.doubting_epochs,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = DEFAULTS.seed,
    network: Annotated[
        str, typer.Option(metavar="|".join(NETWORKS), parser=_network, help="What to train.")
    ] = DEFAULTS.network,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN", help="A finished fit of the same pictures and folds, to learn from; may be repeated."
        ),
    ] = None,
    teacher_share: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, show_default=str(TEACHER_SHARE), help="How much the teachers count; the label has the rest."
        ),
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="A finished fit of the same recipe without --doubting-epochs, to save its time."
        ),
    ] = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="cuda trains with mixed precision.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a fit that was stopped.")] = False,
) -> None:
    """Fine-tune one network for each fold, and one on everything."""
    from train.fit import fit as run_fit
    from train.network import best_device
    from train.teacher import fingerprint, load_teachers

    if teacher_share is not None and not teacher:
        raise typer.BadParameter("--teacher-share needs a --teacher")
    if after and not doubting_epochs:
        raise typer.BadParameter("--after needs --doubting-epochs, which are all that it leaves to do")
    share = TEACHER_SHARE if teacher_share is None else teacher_share
    settings = Settings(
        size=size,
        folds=folds,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        network=network,
        teacher_share=share if teacher else 0.0,
        teacher=fingerprint(teacher) if teacher else "",
        detail=detail,
        balance_texture=balance_texture,
        doubting_epochs=doubting_epochs,
        seed=seed,
    )
    samples, pixels = _training_data(data)
    run_fit(
        samples,
        pixels,
        settings,
        run,
        device=best_device() if device == "auto" else device,
        resume=resume,
        teacher=load_teachers(teacher, samples, pixels, settings) if teacher else None,
        after=after,
    )
    place, pictures = (shlex.quote(str(path)) for path in (run, data))
    typer.echo(
        f"the fit is in {place}; next: python -m train audit {place} --data {pictures}; "
        f"python -m train export {pictures} --run {place}"
    )


@app.command()
def compare(
    data: Data,
    run: Run = Path("runs/compare"),
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Of the candidates, this one; may be repeated.")
    ] = None,
    folds: Annotated[int, typer.Option(min=1, max=DEFAULTS.folds, help="How many folds to fit and to score.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="cuda trains with mixed precision.")] = "auto",
) -> None:
    """Fit candidate recipes shortly, and print what each is worth plain and stressed. Goes on where it stopped."""
    from train import compare as comparison
    from train.network import best_device

    names = [*comparison.CANDIDATES, *comparison.MIRRORED]
    unknown = set(only or ()) - set(names)
    if unknown:
        raise typer.BadParameter(f"no candidate {', '.join(sorted(unknown))}; there are {names}")
    samples, pixels = _training_data(data)
    found = comparison.compare(
        only or names, samples, pixels, run, folds, best_device() if device == "auto" else device
    )
    typer.echo(comparison.to_markdown(found))


@app.command()
def audit(
    candidates: Annotated[
        list[str],
        typer.Argument(metavar="RUN|NAME|FILE...", help="Folders of finished fits, shipped models, or ONNX files."),
    ],
    data: Annotated[Path, typer.Option(help="As of fit: a chest_xray folder, or a CSV of path, label, group.")],
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
    from train.audit import SAMPLE, draw
    from train.audit import audit as run_audit

    if json_file and json_file.is_dir():
        raise AuditError(f"--json {json_file} is a folder; name a file, such as {json_file / 'audit.json'}")
    samples, pixels = _training_data(data)
    known = shortcuts.read_sizes(samples, sizes)
    pictures = draw(samples, limit)
    baselines = shortcuts.shortcuts([samples[each] for each in pictures], pixels[pictures], known[pictures])
    audits = [run_audit(each, samples, pixels, size, limit, int8=int8, sizes=known) for each in candidates]
    counts = len(pictures), len(draw(samples, min(SAMPLE, len(pictures))))
    typer.echo(report.to_text(audits, baselines, *counts))
    if json_file:
        report.write_json(audits, baselines, *counts, json_file)


@app.command()
def doubts(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished fits.")],
    data: Annotated[Path, typer.Option(help="As of fit: a chest_xray folder, or a CSV of path, label, group.")],
    size: ScanSize = SCAN_SIZE,
) -> None:
    """Find runs of pictures, in the order of their numbers, whose kind of pneumonia fits cannot tell. On the CPU."""
    from train.find_doubts import find_doubts

    found = find_doubts(runs, *_training_data(data), size)
    typer.echo("runs of labels that agree with these fits, out of fold, as if by chance:")
    for run, pictures, agreement in found.doubts:
        typer.echo(f"  {run.kind:8} {run.first:5} to {run.last:5}  {pictures:5,} pictures, {agreement:.2f} agree")
    typer.echo("AUC, viral against bacterial, out of fold:")
    for name, figure in found.aucs.items():
        typer.echo(f"  {name:20} {figure}")


@app.command()
def heat(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A shipped model's name, or an ONNX file.")],
    data: Annotated[Path, typer.Option(help="Labelled pictures: a folder or CSV as of pneumoscan evaluate.")],
) -> None:
    """Measure how much of a model's heat lies in the middle of pictures that it calls PNEUMONIA. On the CPU.

    The exit code is 1 where pictures could not be scored.
    """
    from train.heat import CENTRE, measure

    found = measure(model, data)
    typer.echo(f"{found.pictures:,} pictures called PNEUMONIA; share in the middle, {CENTRE:.0%} of each side:")
    for name in ("heat", "evidence"):
        typer.echo(f"  {name:8} {getattr(found, name)}")
    typer.echo(f"  {'even':8} {CENTRE**2:.3f}")
    if found.failed:
        more = "; …" if len(found.failed) > TOLD else ""
        _warn(f"{len(found.failed):,} pictures could not be scored: {'; '.join(found.failed[:TOLD])}{more}")
        raise typer.Exit(1)


@app.command()
def export(
    data: Data,
    run: Run = Path("runs/lite0"),
    out: Annotated[
        Path | None, typer.Option(help="The model file; its card goes beside it. Unless given, model.onnx of the fit.")
    ] = None,
    size: ScanSize = SCAN_SIZE,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Quantise to 8 bits, which is faster on CPUs, and measure the folds so too."),
    ] = False,
    name: Annotated[str, typer.Option(help="Of the model; that of the fit's network unless given.")] = "",
    version: Annotated[str, typer.Option(help="Of the model.")] = "0",
    source: Annotated[
        str,
        typer.Option(
            help="Where the pictures are from and under which licence, for the card. Unless given, a folder with as "
            "many pictures of each class as the published data set is taken for it, all else for pictures of your own.",
        ),
    ] = "",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = WEIGHTS_LICENCE,
    audit_json: Annotated[
        Path | None, typer.Option("--audit", metavar="FILE", help="What audit --json wrote of this fit, for the card.")
    ] = None,
    compare_json: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="The compare.json of compare, for the card.")
    ] = None,
) -> None:
    """Calibrate a finished fit on its folds, and write the ONNX file and its CARD.md."""
    from train.release import find_weaknesses, release, source_of

    out = out or run / "model.onnx"
    if out.is_dir():
        raise ExportError(f"--out {out} is a folder; name a file, such as {out / 'model.onnx'}")
    samples, pixels = _training_data(data)
    card, calibration = release(
        samples,
        pixels,
        run,
        out,
        size=size,
        int8=int8,
        name=name,
        version=version,
        source=source or source_of(samples, data),
        licence=licence,
        audit=audit_json,
        comparison=compare_json,
    )
    for key, figure in card.figures.items():
        typer.echo(f"{key:40} {Interval(*figure)}")
    typer.echo(f"temperature {calibration.temperature:.3f}, offsets {calibration.offsets}")
    typer.echo(f"threshold {card.threshold}, review band {card.review_band}")
    typer.echo(f"outlier threshold {card.outlier_threshold}, unfamiliar threshold {card.unfamiliar_threshold}")
    typer.echo(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB) and {out.with_name('CARD.md')}")
    if weaknesses := find_weaknesses(card.figures):
        _warn(f"the model is of little use: {'; '.join(weaknesses)}")


@app.command()
def cost(
    models: Annotated[list[str], typer.Argument(metavar="NAME|FILE...", help="Shipped models, or ONNX files.")],
    repeats: Annotated[int, typer.Option(min=1, help="Batches of each model that are timed, in turns.")] = 25,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a batch.")] = 16,
) -> None:
    """Print a table of what models cost in one thread of the CPU, and of their cards' figures."""
    from train.cost import costs, to_markdown

    typer.echo(to_markdown(costs(models, repeats, batch)))


def _training_data(data: Path) -> tuple[list[Sample], NDArray[np.uint8]]:
    """Samples of the training split (all, where the data set has no splits), identical pictures in one group, and
    their pixels. What is doubtful about them goes to standard error.
    """
    samples = [sample for sample in _read_samples(data) if sample.split in ("", "train")]
    if not samples:
        raise DatasetError(f"{data}: no pictures in the split train")
    pixels = dataset.load_pixels(samples, dataset.SOURCE_SIZE)
    _tell_doubts(samples, data)
    duplicates = dataset.find_duplicates(pixels)
    if conflicts := dataset.find_conflicts(samples, duplicates):
        first = ", ".join(str(sample.path) for sample in conflicts[0])
        _warn(
            f"{len(conflicts):,} sets of identical pictures are labelled differently, the first: {first}; "
            "python -m train index tells all"
        )
    return dataset.merge_groups(samples, duplicates), pixels


def _read_samples(data: Path) -> list[Sample]:
    """All samples of DATA; what lies there and is no picture goes to standard error."""
    others = OtherFiles()
    samples = dataset.read_samples(data, others.add)
    if str(others):
        _warn(f"{data}: left out: {others}")
    return samples


def _tell_doubts(samples: list[Sample], data: Path) -> None:
    """Tells what of DATA was perhaps meant otherwise than it was read."""
    if unused := dataset.unused_columns(data):
        used = ", ".join(dataset.COLUMNS)
        _warn(f"{data}: columns that are not used: {', '.join(map(repr, unused))}; used are {used}")
    if unknown := dataset.without_patient(samples, data):
        _warn(
            f"{len(unknown):,} of {len(samples):,} pictures have no known patient and count as patients of their own: "
            "then pictures of one patient may part, which flatters figures; a CSV names patients in its column group"
        )
    ill = [sample for sample in samples if sample.target]
    if unnamed := sum(sample.target == dataset.SOME_PNEUMONIA for sample in ill):
        _warn(
            f"{unnamed:,} of {len(ill):,} pneumonias are neither bacterial nor viral by name or subtype: their "
            "labels teach only that they are pneumonias"
            + (", and the model will name no subtype" if unnamed == len(ill) else "")
        )


def _warn(message: str) -> None:
    typer.echo(f"train: {message}", err=True)


def main() -> None:
    """Runs the command line; what went wrong with data or fit is a message, not a traceback."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        app(prog_name="python -m train")
    except TrainError as error:
        typer.echo(f"train: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
