"""`python -m train fit`: the networks of the folds, and the one on everything."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from train import dataset
from train.cli.data import training_data
from train.cli.options import SMALLEST, Data, Device, Run
from train.settings import NETWORKS, Settings

TEACHER_SHARE = 0.75
DEFAULTS = Settings()


def _network(name: str) -> str:
    if name not in NETWORKS:
        raise typer.BadParameter(f"there is no network {name}; there are {', '.join(NETWORKS)}")
    return name


def _learning_rate(value: float) -> float:
    if not 0 < value <= 1:
        raise typer.BadParameter(f"{value} is not above 0 and at most 1")
    return value


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
        bool, typer.Option("--balance-texture", help="Weight pictures so that texture tells less of the class.")
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
    device: Device = "auto",
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
    samples, pixels = training_data(data)
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
