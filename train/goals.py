"""Views of pictures to train on, and what the network must say of each."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pneumoscan.card import CLASSES
from train.augment import augment, change_detail, remove_lungs, swap_frames
from train.dataset import SOME_PNEUMONIA
from train.settings import Settings

Teach = Callable[[Tensor, torch.Generator], Tensor]
"""From views float [N, S, S] to class probabilities [N, C]; the generator is for what is drawn at random."""


def make_goals(labels: Tensor, trained_on: Tensor, settings: Settings) -> Tensor:
    """What the network must say of each of N pictures, float [N + 1, C + 1], and last of one that shows nothing.

    Labels int64 [N], and those `trained_on`, are indices into `CLASSES`, or `SOME_PNEUMONIA`, which has the last
    column: either kind is right. Where no label tells a kind, both are said to be as likely, so that networks do not
    name one by chance. Rows sum to 1, or to the weight of the class where classes are balanced.
    """
    shares = torch.bincount(trained_on, minlength=len(CLASSES) + 1) / len(trained_on)
    confusion = torch.eye(len(CLASSES) + 1, device=labels.device)
    noise = settings.subtype_smoothing
    confusion[1:SOME_PNEUMONIA, 1:SOME_PNEUMONIA] = torch.tensor([[1 - noise, noise], [noise, 1 - noise]])
    confusion *= 1 - settings.label_smoothing
    confusion[:, :SOME_PNEUMONIA] += settings.label_smoothing / len(CLASSES)
    if not shares[1:SOME_PNEUMONIA].any():
        either = torch.eye(len(CLASSES) + 1, device=labels.device)
        either[SOME_PNEUMONIA] = torch.tensor([0, 0.5, 0.5, 0])
        shares, confusion = shares @ either, confusion @ either
    if settings.balance:
        weights = 0.5 / torch.cat([shares[:1], (1 - shares[:1]).expand(len(CLASSES))])
        shares, confusion = shares * weights, confusion * weights[:, None]
    return torch.cat([confusion[labels], shares[None]])


def cross_entropy(logits: Tensor, goals: Tensor) -> Tensor:
    """Mean cross entropy of logits float [N, C] against goals float [N, C + 1], as of `make_goals`."""
    said = logits.log_softmax(1)
    said = torch.cat([said, said[:, 1:].logsumexp(1, keepdim=True)], 1)
    return -(goals * said).sum(1).mean()


def make_views(
    images: Tensor,
    goals: Tensor,
    nothing: Tensor,
    settings: Settings,
    generator: torch.Generator,
    teach: Teach | None = None,
    *,
    doubting: bool = False,
) -> tuple[Tensor, Tensor]:
    """Random views float [N, size, size] of pictures uint8 [N, H, W], and what must be said of each, float [N, C + 1].

    The teacher sees them before their detail is changed, of which it may know nothing. Where it is doubted, it only
    tells how likely pneumonia is.
    """
    images, empty = remove_lungs(images, settings.no_lungs, generator, settings.black_lungs)
    images = swap_frames(images, settings.foreign_frames, generator)
    views = augment(images, settings.size, generator, settings.crop_area, settings.stretch)
    if teach:
        said = teach(views, generator)
        taught = goals.sum(1, keepdim=True) * functional.pad(said, (0, 1))
        if doubting:
            taught = _of_the_kinds_in(goals, taught)
        goals = (1 - settings.teacher_share) * goals + settings.teacher_share * taught
    if settings.detail:
        views = change_detail(views, settings.detail, generator)
    goals = torch.where(empty[:, None], nothing, goals)
    if settings.mixup:
        share = _beta(settings.mixup, generator)
        views, goals = (share * each + (1 - share) * each.flip(0) for each in (views, goals))
    if settings.cutmix:
        views, goals = cut_mix(views, goals, _beta(settings.cutmix, generator), generator)
    return views, goals


def _of_the_kinds_in(goals: Tensor, taught: Tensor) -> Tensor:
    """What is taught, float [N, C + 1], with as much pneumonia, but of the kinds in the goals; of any where these have
    none. Teachers may have learned kinds from labels that are in doubt.
    """
    ill = goals[:, 1:].sum(1, keepdim=True)
    kinds = torch.where(ill > 0, goals[:, 1:] / ill.clamp(min=1e-6), torch.eye(SOME_PNEUMONIA)[-1].to(goals))
    return torch.cat([taught[:, :1], taught[:, 1:].sum(1, keepdim=True) * kinds], 1)


def cut_mix(views: Tensor, goals: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Views float [N, H, W] that keep about this share of themselves, of 0 to 1, while a rectangle, the same for all,
    shows what another one has there; and their goals float [N, C + 1], mixed by what they do show.
    """
    foreign = torch.zeros(views.shape[1:], dtype=torch.bool, device=views.device)
    side = math.sqrt(1 - share)
    (top, bottom), (left, right) = (
        (max(0, round((middle - side / 2) * length)), round((middle + side / 2) * length))
        for length, middle in zip(foreign.shape, torch.rand(2, generator=generator).tolist(), strict=True)
    )
    foreign[top:bottom, left:right] = True
    taken = foreign.float().mean()
    return torch.where(foreign, views.flip(0), views), (1 - taken) * goals + taken * goals.flip(0)


def _beta(parameter: float, generator: torch.Generator) -> float:
    seed = int(torch.randint(2**31, (), generator=generator))
    return float(np.random.default_rng(seed).beta(parameter, parameter))
