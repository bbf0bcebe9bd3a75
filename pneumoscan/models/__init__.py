"""The shipped models: each lies in a folder here, whose name is the model's, as `model.onnx` with its `CARD.md`, and
with its digest in `model.onnx.sha256`.

Owns their names. Knows nothing of what is in the files, so that listing names costs nothing.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from pneumoscan.atomic import replace_with

FOLDER = Path(__file__).parent
DEFAULT_MODEL = "fast"
"""Name of the model that is used where none is named."""


def names() -> list[str]:
    """Names of the shipped models, sorted."""
    return sorted(file.parent.name for file in FOLDER.glob("*/model.onnx"))


def file_of(name: str) -> Path:
    """Where the shipped model of that name lies."""
    return FOLDER / name / "model.onnx"


def find(model: str | os.PathLike[str] | None) -> Path:
    """The file of a model, which need not exist.

    Args:
        model: a name as text, or any other path; None for the default. A file in the current folder that is called
            like a shipped model is told from it by a path with a separator (`./fast`) or by being a `Path`.
    """
    if model is None:
        return file_of(DEFAULT_MODEL)
    return file_of(model) if isinstance(model, str) and model in names() else Path(model)


def put(new: Path, file: Path) -> None:
    """Puts a new model file in its place, with its digest beside it as sha256sum writes it.

    A kill in between leaves it without a digest, not with that of an older file.
    """
    digest = hashlib.sha256(new.read_bytes()).hexdigest()
    beside = _digest_of(file)
    beside.unlink(missing_ok=True)
    new.replace(file)
    replace_with(beside, f"{digest}  {file.name}\n".encode())


def recorded_digest(file: Path) -> str | None:
    """The SHA-256, hexadecimal, that a model file has by what lies beside it; None where nothing does."""
    try:
        lines = _digest_of(file).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    found = (re.search(r"\b[0-9a-fA-F]{64}\b", line) for line in lines if file.name in line)
    return next((match[0].lower() for match in found if match), None)


def _digest_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def first_of(digests: Iterable[str]) -> str | None:
    """Name of the shipped model that is the first of these.

    Args:
        digests: SHA-256 of model files, hexadecimal.

    Returns:
        None where none of them is shipped.
    """
    shipped = {hashlib.sha256(file_of(name).read_bytes()).hexdigest(): name for name in names()}
    return next((shipped[digest] for digest in digests if digest in shipped), None)
