"""What is said of one input: `Record`, its statuses, error codes and schema version. Knows nothing of formats."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

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


def _field(meaning: str, **options: Any) -> Any:
    """A field with its meaning, from which schema and documentation are made, and its range (`minimum`, `maximum`)."""
    default = {"default": options.pop("default")} if "default" in options else {}
    return field(metadata={"meaning": meaning, **options}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One input path's result. The fields' order is the order of CSV columns and JSON keys.

    Each field's metadata holds its `meaning`; `pneumoscan.schema` makes the JSON Schema and the table in the README
    of them.
    """

    path: str = _field("as found; relative inputs stay relative")
    status: Status = _field("`ok`, `rejected` (readable, but not a chest X-ray that the model may judge) or `error`")
    label: Label | None = _field("`NORMAL` or `PNEUMONIA`; null unless `ok`", default=None)
    probability: float | None = _field(
        "calibrated probability of pneumonia, `p_bacterial` + `p_viral`; null unless `ok`",
        default=None,
        minimum=0,
        maximum=1,
    )
    p_normal: float | None = _field("class probability; null unless `ok`", default=None, minimum=0, maximum=1)
    p_bacterial: float | None = _field("class probability; null unless `ok`", default=None, minimum=0, maximum=1)
    p_viral: float | None = _field("class probability; null unless `ok`", default=None, minimum=0, maximum=1)
    subtype: Subtype | None = _field(
        "`bacterial` or `viral`, the likelier one; only for PNEUMONIA, and only where the model can tell", default=None
    )
    review: bool = _field(
        "true when a person must look: the probability lies in the model's review band (or between it and another "
        "`--threshold`), or the picture is unlike the training pictures (then `message` says `unfamiliar`)",
        default=False,
    )
    outlier_score: float | None = _field(
        "how little this looks like a chest X-ray; null on `error`, and with models that have no such score",
        default=None,
    )
    width: int | None = _field("of the original in pixels, as displayed; null if unknown", default=None, minimum=0)
    height: int | None = _field("of the original in pixels, as displayed; null if unknown", default=None, minimum=0)
    bytes: int | None = _field("size of the file that was read; null if it could not be", default=None, minimum=0)
    modified: str | None = _field(
        "when the file that was read was last modified, UTC, to the nanosecond; null if it could not be read",
        default=None,
    )
    error: ErrorCode | None = _field("code of what went wrong; null when `ok`", default=None)
    message: str | None = _field("a sentence; null when there is nothing to say", default=None)
    model: str = _field("name and version that the model gives itself, such as `compact-3.3.1`")
    model_sha256: str = _field("digest of the model file, hexadecimal")
    threshold: float = _field("probability from which on the label is PNEUMONIA", minimum=0, maximum=1)
    device: str | None = _field("what ran the network, `cpu` or `cuda`; null when none did", default=None)
    schema: int = _field("version of this list", default=SCHEMA_VERSION, minimum=SCHEMA_VERSION, maximum=SCHEMA_VERSION)


class FieldType(NamedTuple):
    """The type of a field's values, and whether it may be None instead."""

    kind: type
    nullable: bool


def _field_type(hint: Any) -> FieldType:
    kinds = get_args(hint) or (hint,)  # `X | None` has arguments
    return FieldType(kinds[0], NoneType in kinds)


FIELD_TYPES = {name: _field_type(hint) for name, hint in get_type_hints(Record).items()}
"""Of each field of `Record`, in its order."""


def timestamp(nanoseconds: int) -> str:
    """Nanoseconds since the epoch as ISO 8601 in UTC, `2026-11-21T06:03:51.000000000Z`; years 1 to 9999."""
    seconds, rest = divmod(nanoseconds, 10**9)
    earliest, latest = -62135596800, 253402300799
    moment = datetime.fromtimestamp(min(max(seconds, earliest), latest), UTC)
    return f"{moment.isoformat()[:19]}.{rest:09}Z"
