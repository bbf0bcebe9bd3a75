"""Who is audited: the networks of a fit, each on its own hold-out, or a model file, and what they say of pictures."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pneumoscan.model import Model, ModelError
from pneumoscan.runtime import available_cores
from train import dataset, stress
from train.calibrate import Logits, fit_calibration_of_folds, judge_out_of_fold
from train.dataset import CLASSES, Sample
from train.errors import AuditError
from train.graph import reader
from train.settings import identify
from train.validate import STRESS_SEED, load_network, load_settings

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
    run: Path, samples: list[Sample], pixels: NDArray[np.uint8], bench: Mapping[str, Positions], size: int
) -> tuple[dict[str, Answers], dict[str, object]]:
    """What a fit says: of every picture the network that did not train on its patient, calibrated on the other folds.

    Args:
        run: folder of a finished fit.
        samples: N pictures' labels and groups.
        pixels: uint8 [N, H, W], as training keeps them (see `train.dataset`).
        bench: by stress, the ascending positions of the pictures to score; the same ones under each of `FULL`, on which
            the calibrations are fitted.
        size: side at which pictures are scanned.

    Returns:
        The answers by stress, and the identity of the fit (see `train.settings.identify`).

    Raises:
        FitError: not finished, or made from other pictures or patients.
    """
    settings = load_settings(run)
    folds = dataset.assign_folds(samples, settings.folds, settings.seed)
    identity = identify(samples, pixels, settings, folds)
    logits = held_out_logits(run, range(settings.folds), folds, pixels, bench, size, identity)
    pictures = bench["plain"]
    targets = np.array([sample.target for sample in samples])
    calibrations = fit_calibration_of_folds({name: logits[name] for name in FULL}, targets[pictures], folds[pictures])
    answers = {}
    for name, pictures in bench.items():
        scores, verdicts = judge_out_of_fold(logits[name], calibrations, folds[pictures])
        viral = logits[name][:, 2] - logits[name][:, 1]
        answers[name] = Answers(pictures, scores, verdicts, viral, folds[pictures])
    return answers, identity


def held_out_logits(
    run: Path,
    scored: Iterable[int],
    folds: NDArray[np.integer],
    pixels: NDArray[np.uint8],
    bench: Mapping[str, Positions],
    size: int,
    identity: dict[str, object],
) -> dict[str, Logits]:
    """Logits [M, 3] by stress, of each picture by the network of its fold; arguments as of `ask_fit`.

    `folds` [N] is where each picture of the data was held out, and `scored` names the folds of those in the bench.
    """
    logits = {name: np.empty((len(pictures), len(CLASSES)), np.float32) for name, pictures in bench.items()}
    for fold in scored:
        ask = load_reader(run, f"fold{fold}", size, identity)
        held_out = {name: pictures[folds[pictures] == fold] for name, pictures in bench.items()}
        for name, answer in ask_each(ask, pixels, held_out, size, f"{run} fold{fold}").items():
            logits[name][folds[bench[name]] == fold] = answer
    return logits


def load_reader(run: Path, part: str, size: int, identity: dict[str, object]) -> Callable[[NDArray[np.uint8]], Logits]:
    """The logits of a network of a fit."""
    read = reader(load_network(run, part, size, identity), size)
    return lambda images: read(images).logits


def ask_model(
    path: Path, pixels: NDArray[np.uint8], bench: Mapping[str, Positions]
) -> tuple[dict[str, Answers], Model]:
    """What a model file says, with its own threshold; and the model. Arguments as of `ask_fit`.

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
    for name, logits in ask_each(ask, pixels, bench, model.card.input_size, str(path)).items():
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
) -> dict[str, Logits]:
    """Logits [M, 3] by stress. A picture's stress depends on its position in the data alone."""
    logits = {name: np.empty((len(pictures), len(CLASSES)), np.float32) for name, pictures in bench.items()}
    with tqdm(desc=title, total=sum(map(len, bench.values())), unit="picture", disable=None) as progress:
        for name, pictures in bench.items():
            for start in range(0, len(pictures), BATCH):
                batch = pictures[start : start + BATCH]
                logits[name][start : start + BATCH] = ask(stress.apply(name, pixels[batch], size, STRESS_SEED, batch))
                progress.update(len(batch))
    return logits
