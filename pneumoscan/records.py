"""What is said of one input: `Record`, its statuses, error codes and schema version. Knows nothing of formats."""

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1


class Status(StrEnum):
    """What became of an input."""

    OK = "ok"
    REJECTED = "rejected"
    """Readable, but not a chest X-ray that the model may judge."""
    ERROR = "error"


class Label(StrEnum):
    """The verdict at the threshold."""

    NORMAL = "NORMAL"
    PNEUMONIA = "PNEUMONIA"


class Subtype(StrEnum):
    """The likelier kind of a pneumonia."""

    BACTERIAL = "bacterial"
    VIRAL = "viral"


class ErrorCode(StrEnum):
    """Why an input has no verdict. Stable: programs may rely on these words."""

    NOT_FOUND = "not_found"
    PERMISSION_DENIED = "permission_denied"
    EMPTY_FILE = "empty_file"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"
    IO_ERROR = "io_error"
    INFERENCE_FAILED = "inference_failed"
    NOT_A_CHEST_XRAY = "not_a_chest_xray"
    """With status `rejected`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One input path's result. The fields' order is the order of CSV columns and JSON keys.

    Attributes:
        path: as found; relative inputs stay relative.
        status: `ok`, `rejected` or `error`.
        label: verdict at `threshold`; None unless `ok`.
        probability: calibrated probability of pneumonia, `p_bacterial + p_viral`, 0 to 1; None unless `ok`.
        p_normal, p_bacterial, p_viral: class probabilities, 0 to 1, summing to 1; None unless `ok`.
        subtype: the likelier kind; only for PNEUMONIA.
        review: True when a person must look: the probability lies in the model's ambiguous band.
        outlier_score: how little this looks like a chest X-ray; None on `error`, or where the model has none.
        width, height: of the original in pixels; None if unknown.
        error: code of what went wrong; None when `ok`.
        message: a sentence; None when there is nothing to say.
        model, model_sha256: name-version of the model, and the digest of its file (hexadecimal).
        threshold: probability at and above which the label is PNEUMONIA.
        device: what ran the network: `cpu` or `cuda`; None when none did.
        schema: `SCHEMA_VERSION`.
    """

    path: str
    status: Status
    label: Label | None = None
    probability: float | None = None
    p_normal: float | None = None
    p_bacterial: float | None = None
    p_viral: float | None = None
    subtype: Subtype | None = None
    review: bool = False
    outlier_score: float | None = None
    width: int | None = None
    height: int | None = None
    error: ErrorCode | None = None
    message: str | None = None
    model: str
    model_sha256: str
    threshold: float
    device: str | None = None
    schema: int = SCHEMA_VERSION
