"""Who is audited: the networks of a fit, each on its own hold-out, or a model file, and what they say of pictures."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pneumoscan.card import CLASSES
from pneumoscan.limits import available_cores
from pneumoscan.model import Model, ModelError
from train import stress
from train.calibrate import Logits, fit_calibration_of_folds, judge_out_of_fold
from train.errors import AuditError
from train.fitted import Fitted
from train.graph import Read

FULL = ("plain", "stressed")
"""Stresses that a fit is calibrated on; these are scored on all pictures, the others on a sample."""
BATCH = 16

Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a candidate says of M pictures under one stress.

    Attributes:
        pictures: intp [M], ascending positions in the data.
        scores: float [M], probability of pneumonia.
        verdicts: bool [M], whether that reaches the threshold.
        viral: float [M], logit of viral less that of bacterial.
        networks: intp [M], which of the candidate's networks said so: the fold, or 0.
    """

    pictures: Positions
    scores: NDArray[np.floating]
    verdicts: NDArray[np.bool_]
    viral: NDArray[np.floating]
    networks: NDArray[np.integer]

    def of(self, pictures: Positions) -> "Answers":
        """What is said of only those of the pictures that are among the ascending positions given."""
        kept = np.isin(self.pictures, pictures)
        return Answers(*(getattr(self, each.name)[kept] for each in fields(self)))


def ask_fit(
    fit: Fitted, bench: Mapping[str, Positions], ratios: NDArray[np.floating] | None = None
) -> dict[str, Answers]:
    """What a fit says: of every picture the network that did not train on its patient, calibrated on the other folds.

    Args:
        fit: finished.
        bench: by stress, the ascending positions of the pictures to score; the same ones under each of `FULL`, on which
            the calibrations are fitted.
        ratios: float [N], width by height of the originals, where the bench has `train.stress.PROPORTIONS`.

    Raises:
        FitError: not finished, or made from other pictures or patients.
    """
    logits = held_out_logits(fit, range(fit.settings.folds), bench, ratios)
    pictures = bench["plain"]
    calibrations = fit_calibration_of_folds(
        {name: logits[name] for name in FULL}, fit.labels[pictures], fit.folds[pictures]
    )
    answers = {}
    for name, pictures in bench.items():
        judged = judge_out_of_fold(logits[name], calibrations, fit.folds[pictures])
        viral = logits[name][:, 2] - logits[name][:, 1]
        answers[name] = Answers(pictures, judged.scores, judged.verdicts, viral, fit.folds[pictures])
    return answers


def held_out_logits(
    fit: Fitted,
    scored: Iterable[int],
    bench: Mapping[str, Positions],
    ratios: NDArray[np.floating] | None = None,
    *,
    mirrored: bool = False,
) -> dict[str, Logits]:
    """Logits [M, 3] by stress, of each picture by the network of its fold.

    Args:
        fit: with finished networks of the folds in `scored`.
        scored: the folds of the pictures in the bench.
        bench, ratios: as of `ask_fit`.
        mirrored: whether each picture's logits are the mean of its own and of those of its mirror image.
    """
    logits = {name: np.empty((len(pictures), len(CLASSES)), np.float32) for name, pictures in bench.items()}
    for fold in scored:
        ask = partial(_logits, fit.reader(f"fold{fold}"), mirrored=mirrored)
        held_out = {name: pictures[fit.folds[pictures] == fold] for name, pictures in bench.items()}
        answers = ask_each(ask, fit.pixels, held_out, fit.size, f"{fit.run} fold{fold}", ratios)
        for name, answer in answers.items():
            logits[name][fit.folds[bench[name]] == fold] = answer
    return logits


def _logits(read: Read, images: NDArray[np.uint8], *, mirrored: bool) -> Logits:
    logits = read(images).logits
    return (logits + read(images[:, :, ::-1]).logits) / 2 if mirrored else logits


def ask_model(
    path: Path,
    pixels: NDArray[np.uint8],
    bench: Mapping[str, Positions],
    ratios: NDArray[np.floating] | None = None,
) -> tuple[dict[str, Answers], Model]:
    """What a model file says, with its own threshold; and the model.

    Args:
        path: of the file.
        pixels: uint8 [N, H, W], as training keeps them (see `train.dataset`).
        bench, ratios: as of `ask_fit`.

    Raises:
        AuditError: no such file, or not of the contract.
    """
    try:
        model = Model(path, "cpu", threads=available_cores())
    except ModelError as error:
        raise AuditError(f"{path}: {error}") from error

    def ask(images: NDArray[np.uint8]) -> Logits:
        return np.log(np.maximum(model.predict(images).probabilities, np.finfo(np.float32).tiny))

    answers = {}
    for name, logits in ask_each(ask, pixels, bench, model.card.input_size, str(path), ratios).items():
        scores = 1 - np.exp(logits[:, 0])
        viral = logits[:, 2] - logits[:, 1]
        networks = np.zeros(len(scores), np.int64)
        answers[name] = Answers(bench[name], scores, scores >= model.card.threshold, viral, networks)
    return answers, model


def ask_each(
    ask: Callable[[NDArray[np.uint8]], Logits],
    pixels: NDArray[np.uint8],
    bench: Mapping[str, Positions],
    size: int,
    title: str,
    ratios: NDArray[np.floating] | None = None,
) -> dict[str, Logits]:
    """Logits [M, 3] by stress. A picture's stress depends on its position in the data alone."""
    logits = {name: np.empty((len(pictures), len(CLASSES)), np.float32) for name, pictures in bench.items()}
    with tqdm(desc=title, total=sum(map(len, bench.values())), unit="picture", disable=None) as progress:
        for name, pictures in bench.items():
            for start in range(0, len(pictures), BATCH):
                batch = pictures[start : start + BATCH]
                of_batch = None if ratios is None else ratios[batch]
                views = stress.apply(name, pixels[batch], size, stress.STRESS_SEED, batch, of_batch)
                logits[name][start : start + BATCH] = ask(views)
                progress.update(len(batch))
    return logits
