"""Finds runs of pictures whose kind of pneumonia networks cannot tell, in the order of the numbers in their names."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from sklearn.linear_model import LogisticRegression

from pneumoscan import metrics
from pneumoscan.metrics import Interval
from train.candidates import held_out_logits
from train.dataset import Sample, tells_kind
from train.doubts import SPELT, Run, read_name
from train.errors import DatasetError
from train.fitted import open_fit

REACH = 20
"""So many neighbours on either side decide whether a label lies in a run; a run has at least twice as many pictures."""
BEST = 0.9
"""Quantile of the agreement that labels without doubt are taken to have."""


class Doubt(NamedTuple):
    """A run, how many pictures it has, and the mean agreement of their labels with the networks, 0 to 1."""

    run: Run
    pictures: int
    agreement: float


class Found(NamedTuple):
    """What fits say of the labels of pneumonias.

    Attributes:
        doubts: see `find_runs`.
        aucs: viral against bacterial by the labels, of all pneumonias, and of those in `train.doubts.DOUBTFUL` and
            the others, with 95 % intervals by a bootstrap over patients.
    """

    doubts: list[Doubt]
    aucs: dict[str, Interval]


def find_doubts(runs: Sequence[Path], samples: list[Sample], pixels: NDArray[np.uint8], size: int) -> Found:
    """Holds labels against the mean of what finished fits say of pictures as they are, out of fold.

    Args:
        runs: folders of the fits.
        samples, pixels: as of `train.fit.fit`.
        size: side at which the networks scan, in pixels.

    Raises:
        DatasetError: as of `find_runs`.
        FitError: a fit is not finished, or was made from other pictures.
    """
    ill = np.flatnonzero(tells_kind(np.array([sample.target for sample in samples])))
    paths = [samples[each].path for each in ill]
    _read_names(paths)  # what they lack is said before the networks take their time
    said = []
    for run in runs:
        fit = open_fit(run, samples, pixels, size, int8=True)
        logits = held_out_logits(fit, range(fit.settings.folds), {"plain": ill})["plain"]
        said.append(logits[:, 2] - logits[:, 1])
    viral = np.mean(said, axis=0)
    doubts = find_runs(paths, viral)

    labelled = np.array([samples[each].target == 2 for each in ill])
    doubtful = np.array([samples[each].doubtful for each in ill])
    groups = np.array([samples[each].group for each in ill])

    def auc(some: NDArray[np.bool_]) -> Interval:
        return metrics.bootstrap(lambda at: metrics.roc_auc(labelled[some][at], viral[some][at]), groups[some])

    parts = {"all pneumonias": np.ones_like(doubtful), "recorded as in doubt": doubtful, "the others": ~doubtful}
    return Found(doubts, {name: auc(some) for name, some in parts.items()})


def find_runs(paths: Sequence[PurePath], viral: NDArray[np.floating]) -> list[Doubt]:
    """The runs among pneumonias whose labels agree no better than by chance with networks that did not see them.

    A label agrees by the probability that a logistic regression on `viral` gives to it. Of each kind, in the order of
    the numbers, that is averaged over neighbours; where it is nearer to what chance would give, the share of the kind,
    than to what the best tenth has, a label is in doubt. What is shorter than `REACH` is smoothed away.

    Args:
        paths: N pneumonias; those without a name as of the published data are left out.
        viral: float [N], out of fold, the logit of viral less that of bacterial.

    Raises:
        DatasetError: not both kinds have such names, or one has too few for a run.
    """
    kinds, numbers = _read_names(paths)
    named = kinds != ""
    kinds, numbers, viral = kinds[named], numbers[named], viral[named]
    is_viral = kinds == "virus"
    said = LogisticRegression().fit(viral[:, None], is_viral).predict_proba(viral[:, None])[:, 1]
    found = []
    for kind in SPELT:
        ordered = np.flatnonzero(kinds == kind)
        ordered = ordered[np.argsort(numbers[ordered], kind="stable")]
        agreement = said[ordered] if kind == "virus" else 1 - said[ordered]
        window = np.ones(2 * REACH + 1)
        around = np.convolve(agreement, window, "same") / np.convolve(np.ones(len(ordered)), window, "same")
        limit = (len(ordered) / len(kinds) + np.quantile(around, BEST)) / 2
        low = median_filter((around < limit).astype(np.int8), 2 * REACH + 1, mode="nearest")
        edges = np.flatnonzero(np.diff(low, prepend=0, append=0))
        for begin, end in edges.reshape(-1, 2):
            if end - begin >= 2 * REACH:
                run = Run(kind, int(numbers[ordered[begin]]), int(numbers[ordered[end - 1]]))
                found.append(Doubt(run, int(end - begin), float(agreement[begin:end].mean())))
    return found


def _read_names(paths: Sequence[PurePath]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Kinds as in the names of N pneumonias, empty where there is none, and numbers [N]. Raises as `find_runs` does."""
    names = [read_name(path) for path in paths]
    kinds, numbers = np.array([kind for kind, _ in names]), np.array([number for _, number in names])
    if set(kinds[kinds != ""]) != set(SPELT):
        raise DatasetError("no pictures of both kinds with names such as person1_virus_7.jpeg, which tell their order")
    if (fewest := min(np.count_nonzero(kinds == kind) for kind in SPELT)) <= 2 * REACH:
        raise DatasetError(f"{fewest} pictures of a kind are too few to look for runs of {2 * REACH} among them")
    return kinds, numbers
