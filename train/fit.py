"""Fine-tuning: one network for each fold, which never saw that fold's patients, and one on everything.

The networks of the folds exist to be measured and calibrated on (out of fold); the one on everything is shipped. All
run the same fixed schedule and keep the average of their weights at its end: no epoch is picked by its score.
"""

import math
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from pneumoscan.lock import InUseError, Lock
from pneumoscan.metrics import roc_auc
from train import saved
from train.dataset import LABELS, Sample, assign_folds, labels_of, resize
from train.errors import FitError
from train.goals import Teach, cross_entropy, make_goals, make_views
from train.network import Network, predict_logits
from train.settings import Settings, check_identity, identify
from train.texture import balance_texture

BLINDING: dict[str, Any] = {"foreign_frames": 0.9, "no_lungs": 0.3, "black_lungs": 0.5}
"""Settings of the last epochs, which unlearn what frames tell. The others alone leave a network that knows nothing of a
bare frame in grey, but ranks those in black."""
BLINDING_RATE = 0.3
"""Learning rate at their beginning, as a share of the peak; half a cosine leads to zero."""
DOUBTING_RATE = 0.5
"""The same of the epochs after them, which have more to unlearn."""


def parts(folds: int) -> list[str]:
    """Names of the networks of a fit, each a folder in its output."""
    return [*(f"fold{fold}" for fold in range(folds)), "all"]


def fit(
    samples: list[Sample],
    pixels: NDArray[np.uint8],
    settings: Settings,
    out: Path,
    *,
    device: str,
    resume: bool,
    only: Collection[str] | None = None,
    teacher: Callable[[str], Teach] | None = None,
    after: Path | None = None,
) -> None:
    """Trains the network of every fold and the one on everything, each into `out/<part>/weights.pt`.

    Args:
        samples: N pictures' labels and groups.
        pixels: uint8 [N, SOURCE_SIZE, SOURCE_SIZE] (see `train.dataset`).
        settings: see `Settings`.
        out: folder for weights, checkpoints and TensorBoard logs.
        device: `cpu` or `cuda`.
        resume: go on where an earlier call with the same data and settings was stopped; what is
            finished stays as it is.
        only: of `parts`, those to train; None for all.
        teacher: for each of `parts`, who tells its network what to say of a view, and saw no other patients than it;
            wanted where `settings.teacher_share` is not 0.
        after: folder of a finished fit of the same data and settings but without doubting epochs. Its networks are
            taught on, for the same result in less time.

    Raises:
        DatasetError: a class has pictures of too few patients for the folds.
        FitError: no CUDA where it is asked for, fewer pictures than a batch, or `out` holds a fit of other data,
            patients or settings, or another fit writes there; or `after` is of others or not finished; or files cannot
            be written.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise FitError("PyTorch finds no CUDA device; train with --device cpu")
    folds = assign_folds(samples, settings.folds, settings.seed)
    identity = identify(samples, pixels, settings, folds)
    held_out = {
        part: np.flatnonzero(folds == fold)  # none for the part that trains on everything
        for fold, part in enumerate(parts(settings.folds))
        if only is None or part in only
    }
    for positions in held_out.values():
        left = len(samples) - len(positions)
        if left < settings.batch_size:
            raise FitError(
                f"{left} pictures are fewer than one batch of {settings.batch_size}; choose a smaller --batch-size"
            )
    if after:
        for part in held_out:
            if not any((out / part / name).exists() for name in ("checkpoint.pt", "weights.pt")):
                _load_former(after / part, settings, identity)
    with _lock(out):
        for part in held_out:
            if not resume and _holds_files(out / part):
                raise FitError(f"{out / part} exists; pass --resume to go on, or choose another --run")
        for part, positions in held_out.items():
            if _is_finished(out / part / "weights.pt", identity):
                continue
            teach = teacher(part) if teacher and settings.teacher_share else None
            try:
                former = after / part if after else None
                _fit_part(samples, pixels, positions, settings, identity, out / part, device, teach, former)
            except OSError as error:  # of a folder or a log
                reason = error.strerror or error
                raise FitError(f"cannot write to {out / part}: {reason}; when it can be, --resume goes on") from error


def _lock(out: Path) -> Lock:
    """Sees to it that no other fit writes into this folder, which need not exist."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Lock(out.resolve())
    except InUseError as error:
        raise FitError(f"{out} is {error}; wait for it, or choose another --run") from error
    except OSError as error:
        raise FitError(f"cannot write to {out.parent}: {error.strerror}") from error


def _fit_part(
    samples: list[Sample],
    pixels: NDArray[np.uint8],
    held_out: NDArray[np.intp],
    settings: Settings,
    identity: dict[str, object],
    folder: Path,
    device: str,
    teach: Teach | None,
    former: Path | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = Network(settings.size, network=settings.network).to(device, memory_format=torch.channels_last)
    trained_on = np.setdiff1d(np.arange(len(samples)), held_out)
    batches = len(trained_on) // settings.batch_size
    update = averaging(settings.average_decay)
    if settings.average_last:
        update = averaging_alike(batches * settings.all_epochs, settings.average_last)
    average = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    state = {"network": network, "average": average, "optimizer": optimizer, "scaler": scaler}
    begin = _load_checkpoint(folder / "checkpoint.pt", state, identity)
    if former and not begin:
        begin = _restore(state, _load_former(former, settings, identity))
        for logs in former.glob("events.out.tfevents.*"):
            shutil.copy(logs, folder)

    images = torch.from_numpy(pixels).to(device)
    targets = torch.tensor([sample.target for sample in samples], device=device)
    labels = torch.from_numpy(labels_of(samples)).to(device)
    goals, doubting_goals = (make_goals(each, each[trained_on], settings) for each in (targets, labels))
    if settings.balance_texture:
        weights = balance_texture(pixels[trained_on], targets[trained_on].cpu().numpy() > 0)
        for each in (goals, doubting_goals):
            each[trained_on] *= torch.from_numpy(weights).to(each)[:, None]

    with SummaryWriter(str(folder), purge_step=begin * batches) as log:
        for epoch in range(begin, settings.all_epochs):
            recipe = settings if epoch < settings.epochs else replace(settings, **BLINDING)
            doubting = epoch >= settings.epochs + settings.blinding_epochs
            learned = doubting_goals if doubting else goals
            network.train()
            losses = []
            steps = tqdm(
                _batches(trained_on, settings, epoch),
                desc=f"{folder.name} {epoch + 1}/{settings.all_epochs}",
                total=batches,
                unit="batch",
                mininterval=2,
            )
            for step, (batch, generator) in enumerate(steps, start=epoch * batches):
                rate = settings.learning_rate * learning_rate_share(step / batches, settings)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                views, goal = make_views(
                    images[batch], learned[batch], learned[-1], recipe, generator, teach, doubting=doubting
                )
                with torch.autocast(device, torch.float16, enabled=device == "cuda"):
                    logits, _ = network(views)
                loss = cross_entropy(logits.float(), goal)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                average.update_parameters(network)
                losses.append(loss.detach())
                if step % 20 == 0:
                    log.add_scalar("loss/train", loss.item(), step)
                    log.add_scalar("learning_rate", rate, step)
            if not torch.stack(losses).isfinite().all():
                raise FitError(f"the loss of {folder.name} is not finite in epoch {epoch + 1}; lower the learning rate")
            if len(held_out):
                _log_validation(log, average, pixels, held_out, targets, settings.size, (epoch + 1) * batches)
            saved.save(
                {**{key: part.state_dict() for key, part in state.items()}, "epoch": epoch + 1, **identity},
                folder / "checkpoint.pt",
            )
    saved.save({"weights": average.module.state_dict(), **identity}, folder / "weights.pt")


def averaging(decay: float) -> Callable[..., None]:
    """An exponential moving average for `AveragedModel` that forgets its beginning.

    It looks back over a tenth of the steps so far, until that is what `decay` says. Else the first weights would be
    most of a fit of few pictures or epochs: 0.995 to the power of the number of its steps.
    """

    def update(averaged: list[Tensor], current: list[Tensor], steps: Tensor) -> None:
        get_ema_multi_avg_fn(min(decay, (1 + int(steps)) / (10 + int(steps))))(averaged, current, steps)

    return update


def averaging_alike(steps: int, share: float) -> Callable[..., None]:
    """The mean of the weights after the last `share` of so many steps, for `AveragedModel`; before, the weights."""
    first = steps - round(share * steps)

    def update(averaged: list[Tensor], current: list[Tensor], done: Tensor) -> None:
        kept = max(0, int(done) - first)
        get_ema_multi_avg_fn(kept / (kept + 1))(averaged, current, done)

    return update


def _batches(trained_on: NDArray[np.intp], settings: Settings, epoch: int) -> Iterator[tuple[Tensor, torch.Generator]]:
    """Positions of each batch of an epoch, and the generator for its augmentation.

    Everything random is drawn anew from seed and epoch, so that a resumed epoch is the epoch that was lost.
    """
    torch.manual_seed(settings.seed * 10_007 + epoch)
    generator = torch.Generator().manual_seed(settings.seed * 10_007 + epoch)
    order = torch.from_numpy(trained_on)[torch.randperm(len(trained_on), generator=generator)]
    for batch in order.split(settings.batch_size)[: len(order) // settings.batch_size]:
        yield batch, generator


def learning_rate_share(epoch: float, settings: Settings) -> float:
    """Learning rate as a share of its peak: linear over the first epoch, then half a cosine, then two lower ones."""
    if epoch < 1:
        return epoch
    if epoch < settings.epochs:
        return _half_cosine((epoch - 1) / max(1, settings.epochs - 1))
    epoch -= settings.epochs
    if epoch < settings.blinding_epochs:
        return BLINDING_RATE * _half_cosine(epoch / settings.blinding_epochs)
    return DOUBTING_RATE * _half_cosine((epoch - settings.blinding_epochs) / settings.doubting_epochs)


def _half_cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def _log_validation(
    log: SummaryWriter,
    average: torch.nn.Module,
    pixels: NDArray[np.uint8],
    held_out: NDArray[np.intp],
    targets: Tensor,
    size: int,
    step: int,
) -> None:
    logits = torch.from_numpy(predict_logits(average, resize(pixels[held_out], size)))
    truth = targets[held_out].cpu()
    ill = 1 - logits.softmax(1)[:, 0]
    goal = torch.eye(len(LABELS))[truth]
    log.add_scalar("loss/validation", cross_entropy(logits, goal).item(), step)
    log.add_scalar("auc/validation", roc_auc((truth > 0).numpy(), ill.double().numpy()), step)


def _holds_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _is_finished(path: Path, identity: dict[str, object]) -> bool:
    """Whether the weights of a part are there, never to be written again: a pupil knows its teachers by their bytes."""
    if not path.exists():
        return False
    check_identity(saved.load(path), identity, path)
    return True


def _load_checkpoint(path: Path, state: dict[str, object], identity: dict[str, object]) -> int:
    """Restores `state` from a checkpoint and returns the epochs done, 0 where there is none."""
    if not path.exists():
        return 0
    content = saved.load(path)
    check_identity(content, identity, path)
    return _restore(state, content)


def _restore(state: dict[str, object], content: dict[str, Any]) -> int:
    for key, part in state.items():
        if content[key]:  # the scaler of a fit begun on a CPU has no state
            part.load_state_dict(content[key])  # type: ignore[attr-defined]
    return int(content["epoch"])


def _load_former(folder: Path, settings: Settings, identity: dict[str, object]) -> dict[str, Any]:
    """The last checkpoint of a network that was made with the same settings but for doubting epochs."""
    undoubting = replace(settings, doubting_epochs=0)
    wanted = {key: each for key, each in identity.items() if key != "doubts"} | {"settings": asdict(undoubting)}
    path = folder / "checkpoint.pt"
    if not path.exists() and not (folder / "weights.pt").exists():
        raise FitError(f"{folder} is not finished: run or resume that fit first")
    try:
        content = saved.load(path)
    except FitError as error:
        raise FitError(f"{path} cannot be read: delete {folder}, and resume that fit") from error
    check_identity(content, wanted, path, "--after")
    if content["epoch"] < undoubting.all_epochs:
        raise FitError(f"{folder} is not finished: run or resume that fit first")
    return content
