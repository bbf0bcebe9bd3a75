"""What a record must look like: its JSON Schema, its table for people, and what is wrong with one.

All three are made of `Record`: its fields, their types and their metadata.
"""

import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pneumoscan.records import FIELD_TYPES, SCHEMA_VERSION, ErrorCode, Label, Record, Status, Subtype

TOLERANCE = 3e-6
"""By how much sums of probabilities may be off, each of which is rounded to six decimals."""


class Rule(NamedTuple):
    """Which fields must not be null, and which must, when a field has this value."""

    field: str
    value: StrEnum
    given: tuple[str, ...] = ()
    null: tuple[str, ...] = ()


_VERDICT = ("label", "probability", "p_normal", "p_bacterial", "p_viral")
RULES = (
    Rule("status", Status.OK, given=(*_VERDICT, "device"), null=("error",)),
    Rule("status", Status.REJECTED, given=("error",), null=(*_VERDICT, "subtype")),
    Rule("status", Status.ERROR, given=("error", "message"), null=(*_VERDICT, "subtype", "outlier_score")),
    Rule("label", Label.NORMAL, null=("subtype",)),
)


class _Text(NamedTuple):
    """A form of text: a regular expression, what it is in words, and JSON Schema's name for it if there is one."""

    pattern: str
    words: str
    format: str | None = None


_TEXTS = {
    "modified": _Text(
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z$",
        "a time like 2026-11-21T06:03:51.000000000Z",
        "date-time",
    ),
    "model_sha256": _Text("^[0-9a-f]{64}$", "64 hexadecimal digits"),
}


class _Field(NamedTuple):
    """What is declared of one field; `type` is JSON's name, `values` are those of an enumeration."""

    name: str
    meaning: str
    type: str
    nullable: bool
    values: tuple[str, ...]
    minimum: float | None
    maximum: float | None


def _declared(name: str, metadata: Mapping[str, Any]) -> _Field:
    kind, nullable = FIELD_TYPES[name]
    values = tuple(value.value for value in kind) if issubclass(kind, StrEnum) else ()
    type = {float: "number", int: "integer", bool: "boolean"}.get(kind, "string")
    return _Field(name, metadata["meaning"], type, nullable, values, metadata.get("minimum"), metadata.get("maximum"))


_FIELDS = {field.name: _declared(field.name, field.metadata) for field in fields(Record)}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one record."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:pneumoscan:record:{SCHEMA_VERSION}",
        "title": "pneumoscan record",
        "description": "What a scan says of one picture. Research use only; not a medical device.",
        "type": "object",
        "properties": {field.name: _property(field) for field in _FIELDS.values()},
        "required": list(_FIELDS),
        "additionalProperties": False,
        "allOf": [
            *(_implication(rule) for rule in RULES),
            {
                "if": _where(status={"const": Status.REJECTED.value}),
                "then": _where(error={"const": ErrorCode.NOT_A_CHEST_XRAY.value}),
                "else": _where(error={"not": {"const": ErrorCode.NOT_A_CHEST_XRAY.value}}),
            },
        ],
    }


def _property(field: _Field) -> dict[str, Any]:
    text = _TEXTS.get(field.name)
    declared = {
        "description": field.meaning,
        "type": [field.type, "null"] if field.nullable else field.type,
        "enum": [*field.values, *[None] * field.nullable] if field.values else None,
        "minimum": field.minimum,
        "maximum": field.maximum,
        "pattern": text and text.pattern,
        "format": text and text.format,
    }
    return {key: value for key, value in declared.items() if value is not None}


def _implication(rule: Rule) -> dict[str, Any]:
    null = {"type": "null"}
    then = {name: {"not": null} for name in rule.given} | dict.fromkeys(rule.null, null)
    return {"if": _where(**{rule.field: {"const": rule.value.value}}), "then": _where(**then)}


def _where(**properties: Any) -> dict[str, Any]:
    """Objects in which these properties are there, and are like this."""
    return {"properties": properties, "required": list(properties)}


def markdown() -> str:
    """The fields as a table in Markdown."""
    rows = (
        f"| `{field.name}` | {field.type}{' or null' * field.nullable} | {field.meaning} |\n"
        for field in _FIELDS.values()
    )
    return "| field | type | meaning |\n|---|---|---|\n" + "".join(rows)


def problems(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with a record, in sentences that name the field; nothing when it is valid.

    Args:
        values: a record with the types that JSON gives its values. As in JSON Schema, 3 is a number and 3.0 an
            integer; NaN and the infinities, which JSON does not have, are no numbers.
    """
    return violations(values) or contradictions(values)


def violations(values: Mapping[str, Any]) -> list[str]:
    """What the JSON Schema has against a record; needs no library that knows JSON Schema."""
    if values.keys() != _FIELDS.keys():
        missing = [f"{name} is missing" for name in _FIELDS if name not in values]
        return missing + [f"{reprlib.repr(name)} is no field of a record" for name in values if name not in _FIELDS]
    unfit = [field for name, field in _FIELDS.items() if not _fits(field, values[name])]
    if unfit:
        return [f"{field.name} must be {_in_words(field)}, not {reprlib.repr(values[field.name])}" for field in unfit]
    found = []
    for rule in RULES:
        if values[rule.field] == rule.value:
            when = f"when {rule.field} is {rule.value}"
            found += [f"{name} must not be null {when}" for name in rule.given if values[name] is None]
            found += [f"{name} must be null {when}" for name in rule.null if values[name] is not None]
    if (values["status"] == Status.REJECTED) != (values["error"] == ErrorCode.NOT_A_CHEST_XRAY):
        found.append(f"error must be {ErrorCode.NOT_A_CHEST_XRAY} when status is {Status.REJECTED}, and only then")
    return found


def _fits(field: _Field, value: Any) -> bool:
    """Whether a value is of the field's type, and in its range, enumeration or form."""
    if value is None:
        return field.nullable
    return (
        _IS_TYPE[field.type](value)
        and (not field.values or value in field.values)
        and (field.minimum is None or value >= field.minimum)
        and (field.maximum is None or value <= field.maximum)
        and (field.name not in _TEXTS or re.fullmatch(_TEXTS[field.name].pattern, value) is not None)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_IS_TYPE: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: _is_number(value) and abs(value) <= sys.float_info.max,  # finite, as a float too
    "integer": lambda value: _is_number(value) and value % 1 == 0,
}


def _in_words(field: _Field) -> str:
    """What a value of this field must be."""
    if field.values:
        words = f"one of {', '.join(field.values)}"
    elif field.name in _TEXTS:
        words = _TEXTS[field.name].words
    elif field.minimum is not None and field.minimum == field.maximum:
        words = str(field.minimum)
    else:
        words = {"number": "a finite number", "integer": "an integer", "boolean": "true or false"}.get(
            field.type, "a string"
        )
        if field.minimum is not None:
            words += f" from {field.minimum} {'up' if field.maximum is None else f'to {field.maximum}'}"
    return words + " or null" * field.nullable


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with a record to which the JSON Schema has no objection, since it cannot say so much."""
    found = []
    try:
        values["path"].encode(errors="surrogateescape")
    except UnicodeEncodeError:
        found.append("path holds half a character, which no file name does")
    if (values["width"] is None) != (values["height"] is None):
        found.append("width and height must both be given or both be null")
    if values["modified"] is not None:
        try:
            datetime.fromisoformat(values["modified"][:19])
        except ValueError:
            found.append(f"modified must be a time that there is, not {values['modified']}")
    return found + _false_verdict(values) if values["status"] == Status.OK else found


def _false_verdict(values: Mapping[str, Any]) -> list[str]:
    """Where label, subtype and probabilities disagree."""
    found = []
    probability, normal = values["probability"], values["p_normal"]
    bacterial, viral = values["p_bacterial"], values["p_viral"]
    if abs(bacterial + viral - probability) > TOLERANCE:
        found.append("probability must be p_bacterial + p_viral")
    if abs(normal + bacterial + viral - 1) > TOLERANCE:
        found.append("p_normal + p_bacterial + p_viral must be 1")
    is_ill = probability >= values["threshold"]
    label = Label.PNEUMONIA if is_ill else Label.NORMAL
    if values["label"] != label:
        found.append(f"label must be {label} when probability {'reaches' if is_ill else 'is below'} the threshold")
    likelier = Subtype.BACTERIAL if bacterial >= viral else Subtype.VIRAL
    if values["subtype"] not in (None, likelier):
        found.append(f"subtype must be {likelier}, which is the likelier one")
    return found
