"""The gate: how little a picture looks like the chest X-rays of the training data, and what is too little.

The outlier score is computed from what the network sees anyway, and is the larger of two parts. One is a Mahalanobis
distance (Lee et al., NeurIPS 2018), for pictures that are anything else; the other a linear classifier of chest X-rays
against the same X-rays turned, inverted, enlarged and shuffled (after Hendrycks et al., NeurIPS 2019), for X-rays that
are not as they should be. Neither has ever seen another picture.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from pneumoscan import metrics
from pneumoscan.metrics import Interval
from train.alter import ALTERATIONS, mild
from train.graph import Read
from train.stress import stress

PICTURES = 400
"""Training pictures that a gate is fitted on: each as it is, mildly changed, stressed; a third altered in each way."""
COMPONENTS = 96
"""Principal components in which the distance is measured; the rest counts as one more."""
INVERSE_PENALTY = 3.0
"""Of the linear classifier; inputs are standardised and divided by the root of their number."""
CLIP = 5.0
"""Standard deviations at which the classifier's inputs end: it must not extrapolate."""
REJECTED = 0.008
"""Share of the hold-outs, of whichever kind suffers most, beyond the outlier threshold. Below 1 %, to stay there."""
UNFAMILIAR = 0.05
"""The same beyond the unfamiliar threshold."""
SEED = 17
"""Of the changes that a gate is fitted on: other ones than those that `train.validate` measures it with."""

Scores = NDArray[np.float32]


class Limits(NamedTuple):
    """Outlier scores above which a picture is rejected, and above which a person must look."""

    rejected: float
    unfamiliar: float


class Gate(nn.Module):
    """Texture (see `train.network.Reading`) to outlier score.

    Both parts are 0 at the median of the chest X-rays that the gate was fitted on and 1 at their 99th percentile, so
    that the gates of different networks score alike: limits found on the folds' hold-outs, which each gate's own
    pictures flatter as much, hold for the network on everything.
    """

    def __init__(self, width: int, components: int = COMPONENTS) -> None:
        """Makes a gate for textures of `width` numbers, to be filled by `fit_gate` or a state."""
        super().__init__()
        shapes = {
            "mean": (width,),
            "deviation": (width,),
            "axes": (components, width),
            "variances": (components,),
            "rest": (),
            "weights": (1 + len(ALTERATIONS), width),
            "biases": (1 + len(ALTERATIONS),),
            "medians": (2,),
            "spreads": (2,),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.ones(shape))

    def forward(self, texture: Tensor) -> Tensor:
        """Outlier scores [N] of textures [N, T]."""
        return ((self.parts(texture) - self.medians) / self.spreads).amax(1)

    def parts(self, texture: Tensor) -> Tensor:
        """Logarithm of the distance, and log odds of being altered, [N, 2], of textures [N, T]."""
        standard = (texture - self.mean) / self.deviation
        along = standard @ self.axes.T
        beside = (standard - along @ self.axes).square().sum(1)
        distance = (along.square() / self.variances).mean(1) + beside / self.rest
        logits = standard.clamp(-CLIP, CLIP) @ self.weights.T + self.biases
        return torch.stack([distance.log(), logits[:, 1:].logsumexp(1) - logits[:, 0]], 1)


def fit_gate(read: Read, images: NDArray[np.uint8]) -> Gate:
    """Fits a gate to a network.

    Args:
        read: the network (see `train.fitted.Fitted.reader`).
        images: uint8 [N, S, S], chest X-rays that the network was trained on, at scanning size; at most `PICTURES` are
            used.
    """
    random = np.random.default_rng(SEED)
    images = images[np.sort(random.permutation(len(images))[:PICTURES])]
    size = images.shape[1]
    views = np.concatenate([images, mild(images, SEED), stress(images, size, SEED)])
    sound = read(views).texture
    altered = [
        read(np.ascontiguousarray(alter(mild(images[kind % 3 :: 3], SEED + 1), SEED))).texture
        for kind, alter in enumerate(ALTERATIONS.values())
    ]
    return fit_textures(sound, altered)


def fit_textures(sound: NDArray[np.float32], altered: list[NDArray[np.float32]]) -> Gate:
    """Fits a gate to textures [N, T] of chest X-rays, and of each kind of `ALTERATIONS`, [M, T]."""
    mean, deviation = sound.mean(0), sound.std(0)
    deviation = deviation + 1e-3 * deviation.mean()  # a channel that is always 0 must not decide alone
    standard = (sound - mean) / deviation
    components = min(COMPONENTS, len(sound) // 2, sound.shape[1] // 2)
    analysis = PCA(components, svd_solver="full").fit(standard)
    axes = analysis.components_
    beside = standard - standard @ axes.T @ axes

    pictures = np.concatenate([standard, *((each - mean) / deviation for each in altered)]).clip(-CLIP, CLIP)
    kinds = np.repeat(np.arange(1 + len(altered)), [len(sound), *map(len, altered)])
    scale = np.sqrt(pictures.shape[1])
    classifier = LogisticRegression(C=INVERSE_PENALTY, max_iter=100, tol=1e-3).fit(pictures / scale, kinds)

    gate = Gate(sound.shape[1], components)
    found = {
        "mean": mean,
        "deviation": deviation,
        "axes": axes,
        "variances": analysis.explained_variance_,
        "rest": np.square(beside).sum(1).mean(),
        "weights": classifier.coef_ / scale,
        "biases": classifier.intercept_,
    }
    gate.load_state_dict({key: torch.tensor(value, dtype=torch.float32) for key, value in found.items()}, strict=False)
    with torch.inference_mode():
        median, high = np.quantile(gate.parts(torch.from_numpy(sound)).numpy(), (0.5, 0.99), axis=0)
    gate.medians, gate.spreads = (torch.tensor(value, dtype=torch.float32) for value in (median, high - median))
    return gate.eval()


def score(gate: Gate, texture: NDArray[np.float32]) -> Scores:
    """Outlier scores float32 [N] of textures [N, T]."""
    with torch.inference_mode():
        scores: Scores = gate(torch.from_numpy(texture)).numpy()
    return scores


def fit_limits(scores: Mapping[str, Scores]) -> Limits:
    """Limits that of each kind of chest X-rays, held out, leave at most `REJECTED` and `UNFAMILIAR` beyond.

    Args:
        scores: [N] by kind; not a number where a picture was not scored.
    """
    rejected, unfamiliar = (
        max(float(np.nanquantile(each, 1 - share, method="higher")) for each in scores.values())
        for share in (REJECTED, UNFAMILIAR)
    )
    return Limits(rejected, unfamiliar)


def judge(
    sound: Mapping[str, Scores], other: Mapping[str, Scores], folds: NDArray[np.integer]
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, Interval]]:
    """What limits from the other folds say of each fold's hold-outs.

    Args:
        sound: outlier scores [N] out of fold of what must be taken, by kind.
        other: the same of what must be refused.
        folds: [N], the fold in which each picture was held out.

    Returns:
        Which pictures of the kinds in `sound` are unfamiliar or worse, bool [N], and shares with their intervals:
        `<kind>_rejected` of all kinds, and `<kind>_unfamiliar`, not rejected, of those in `sound`.
    """
    rejected, unfamiliar = np.empty(len(folds)), np.empty(len(folds))
    for fold in np.unique(folds):
        limits = fit_limits({kind: scores[folds != fold] for kind, scores in sound.items()})
        rejected[folds == fold], unfamiliar[folds == fold] = limits

    figures = {}
    for kind, scores in {**sound, **other}.items():
        count = int(np.isfinite(scores).sum())
        figures[f"{kind}_rejected"] = metrics.wilson(int((scores > rejected).sum()), count)
        if kind in sound:
            beyond = (scores > unfamiliar) & ~(scores > rejected)
            figures[f"{kind}_unfamiliar"] = metrics.wilson(int(beyond.sum()), count)
    return {kind: scores > unfamiliar for kind, scores in sound.items()}, figures
