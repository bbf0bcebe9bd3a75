"""The shipped models: each lies in a folder here, whose name is the model's, as `model.onnx` with its `CARD.md`, and
with its digest in `model.onnx.sha256`.

Owns their names. Knows nothing of what is in the files, so that listing names costs nothing.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

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


def write_digest(file: Path) -> None:
    """Puts the digest of a model file beside it, as sha256sum does."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n", encoding="utf-8")


def recorded_digest(file: Path) -> str | None:
    """The SHA-256, hexadecimal, that a model file has by what lies beside it; None where nothing does."""
    try:
        digest, *_ = file.with_name(f"{file.name}.sha256").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return digest.lower()


def first_of(digests: Iterable[str]) -> str | None:
    """Name of the shipped model that is the first of these.

    Args:
        digests: SHA-256 of model files, hexadecimal.

    Returns:
        None where none of them is shipped.
    """
    shipped = {hashlib.sha256(file_of(name).read_bytes()).hexdigest(): name for name in names()}
    return next((shipped[digest] for digest in digests if digest in shipped), None)
