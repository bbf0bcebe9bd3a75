"""What decides the result of a fit, and whether a file was made by the same. Imports no torch: help is quick."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.dataset import Sample, digest
from train.errors import FitError

NETWORKS = {"lite0": 16, "lite0-9": 9, "compact": 9, "lite1": 21}
"""Names of the networks, with the number of blocks that they keep: the first ones of EfficientNet-Lite."""

SCAN_SIZE = 192
"""Side at which pictures are scanned, in pixels, unless another is given. Below that of the published small copies, so
that copies are scaled down as originals are, and look like them."""

WEIGHTS_LICENCE = "Apache-2.0"
"""Of the weights of a model, unless another is given."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides the result of a fit.

    Attributes:
        size: side of the training crops in pixels.
        folds: patient-wise folds for validation and calibration, at least 2.
        epochs, batch_size, learning_rate, weight_decay: of AdamW under one warm-up epoch and a cosine to zero.
        average_decay: of the exponential moving average of the weights, per step; less at first (see
            `train.fit.averaging`).
        average_last: share of the steps, the last ones, whose weights are averaged alike instead; 0 for none (Izmailov
            et al., UAI 2018).
        crop_area: least share of a picture that a view keeps.
        stretch: largest ratio by which a view is stretched, either way; at least 1.
        foreign_frames: share of the pictures that get the frame of another one (see `train.augment.swap_frames`).
        no_lungs: share that lose all but their frame, and from which the network must learn to say only how frequent
            each class is.
        black_lungs: share of these whose middle is black, and not any grey.
        blinding_epochs: after the others, with `train.fit.BLINDING`.
        doubting_epochs: after these, in the same way, that unlearn what labels in doubt say of kinds (see
            `train.doubts`): of these pictures nothing is learned but that they are pneumonias, and of teachers only how
            likely that is.
        label_smoothing: share of each target that goes to all classes alike.
        subtype_smoothing: share of a pneumonia's target that goes to the other kind: these labels are noisy.
        mixup: parameter of the beta distribution by which pairs of pictures are mixed; 0 for none (Zhang et al., ICLR
            2018).
        cutmix: parameter of the beta distribution by which a rectangle of each picture is replaced by another one's; 0
            for none (Yun et al., ICCV 2019).
        balance: weigh the classes so that normal and pneumonia count alike.
        detail: largest change of the logarithm of the strength of fine detail (see `train.augment.change_detail`).
        balance_texture: weigh pictures so that texture tells less of the class (see `train.texture`).
        network: one of `NETWORKS`.
        teacher_share: share of each target that is what a teacher says of the very view, 0 to 1.
        teacher: digests of the teachers (see `train.teacher.fingerprint`), empty for none.
        seed: of folds, order, augmentation and dropout.
    """

    size: int = 160
    folds: int = 4
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.02
    average_decay: float = 0.995
    average_last: float = 0.0
    crop_area: float = 0.1
    stretch: float = 4 / 3
    foreign_frames: float = 0.5
    no_lungs: float = 0.1
    black_lungs: float = 0.0
    blinding_epochs: int = 2
    doubting_epochs: int = 0
    label_smoothing: float = 0.0
    subtype_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    balance: bool = False
    detail: float = 0.0
    balance_texture: bool = False
    network: str = "lite0"
    teacher_share: float = 0.0
    teacher: str = ""
    seed: int = 0

    @property
    def all_epochs(self) -> int:
        """All passes over the pictures."""
        return self.epochs + self.blinding_epochs + self.doubting_epochs


def identify(
    samples: list[Sample], pixels: NDArray[np.uint8], settings: Settings, folds: NDArray[np.int64]
) -> dict[str, object]:
    """What a checkpoint must have been made from to be of use: settings, pictures, and who is in which fold."""
    identity: dict[str, object] = {
        "settings": asdict(settings),
        "data": digest(samples, pixels),
        "folds": hashlib.sha256(folds.tobytes()).hexdigest(),
        "held_out": digest(samples, pixels, folds),
    }
    if settings.doubting_epochs:
        doubtful = sorted(sample.path.name for sample in samples if sample.doubtful)
        identity["doubts"] = hashlib.sha256("\n".join(doubtful).encode(errors="surrogateescape")).hexdigest()
    return identity


_OTHER_PATIENTS = (
    "held out other patients, since patients or the order of pictures have changed: choose another {option}, or go "
    "back to the former data"
)
_OTHERS = {
    "data": "was made from other pictures or labels: choose another {option}, or go back to the former data",
    "doubts": "was made when other labels were in doubt: choose another {option}",
    "folds": _OTHER_PATIENTS,
    "held_out": _OTHER_PATIENTS,
}
"""What is said where these parts of an identity differ."""


def check_identity(saved: dict[str, Any], identity: dict[str, Any], path: Path, option: str = "--run") -> None:
    """Raises `FitError` when a file was made from other data or settings than asked for; `option` named it.

    A setting that did not exist when the file was made had the value that is the default now; which picture is in which
    fold was not always noted.
    """
    had, wanted = asdict(Settings()) | saved.get("settings", {}), identity["settings"]
    others = [key for key in had | wanted if had.get(key) != wanted.get(key)]
    if others:
        told = ", ".join(f"{key}: {had.get(key)!r} instead of {wanted.get(key)!r}" for key in others)
        raise FitError(f"{path} was made with other settings ({told}): choose another {option}, or the former settings")
    saved = {"held_out": identity.get("held_out")} | saved
    for key, told in _OTHERS.items():
        if saved.get(key) != identity.get(key):
            raise FitError(f"{path} {told.format(option=option)}")
