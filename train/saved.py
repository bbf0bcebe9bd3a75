"""Checkpoints and weights as files: written whole or not at all, and told in words where they cannot be read."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from pneumoscan.atomic import replace_with
from train.errors import FitError


def save(content: dict[str, object], path: Path) -> None:
    """Writes whole or not at all, so that a kill at any instant leaves a usable checkpoint.

    Raises:
        FitError: it could not be written.
    """
    data = BytesIO()  # to a file, torch would write in its own way, and not say that the disk is full
    torch.save(content, data)
    try:
        replace_with(path, data.getvalue())
    except OSError as error:
        raise FitError(
            f"cannot write {path}: {error.strerror}; when it can be, --resume goes on after the last epoch saved"
        ) from error


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, its tensors on the CPU.

    Raises:
        FitError: it cannot be read, or was damaged since.
    """
    try:
        data = BytesIO(path.read_bytes())
    except OSError as error:
        raise FitError(f"cannot read {path}: {error.strerror}") from error
    try:
        saved: dict[str, Any] = torch.load(data, map_location="cpu", weights_only=True)
    except Exception as error:  # what is damaged raises nearly anything
        raise FitError(f"{path} is damaged: delete it, and fit with --resume makes it again") from error
    return saved
