"""Records to write, and what was written read back."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pneumoscan.formats import Format
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype

ILL = Record(
    path="a.jpg",
    status=Status.OK,
    label=Label.PNEUMONIA,
    probability=0.75,
    p_normal=0.25,
    p_bacterial=0.5,
    p_viral=0.25,
    subtype=Subtype.BACTERIAL,
    review=True,
    width=10,
    height=20,
    bytes=1000,
    modified="2026-01-02T03:04:05.000000006Z",
    model="tiny-1",
    model_sha256="ab" * 32,
    threshold=0.5,
    device="cpu",
)


def failed(path: str, message: str = "the file is empty") -> Record:
    return Record(
        path=path,
        status=Status.ERROR,
        error=ErrorCode.EMPTY_FILE,
        message=message,
        model="tiny-1",
        model_sha256="ab" * 32,
        threshold=0.5,
    )


def read(path: Path, format: Format) -> list[dict[str, Any]]:
    """Reads an output back as JSON's types would have it, with other means than the program's own."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if format is Format.JSON:
        return json.loads(text)
    if format is Format.JSONL:
        return [json.loads(line) for line in text.split("\n")[:-1]]
    words = {"": None, "true": True, "false": False}
    numbers = {"probability", "p_normal", "p_bacterial", "p_viral", "width", "height", "bytes", "threshold", "schema"}
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [
        {
            key: words[value] if value in words else json.loads(value) if key in numbers else value
            for key, value in row.items()
        }
        for row in rows
    ]


def scored(path: str, probability: float, **changes: Any) -> Record:
    """A record of that probability with the verdict that it has at the threshold of `ILL`; not for review."""
    ill = probability >= ILL.threshold
    verdict = {
        "probability": probability,
        "p_normal": round(1 - probability, 6),
        "p_bacterial": probability,
        "p_viral": 0.0,
        "label": Label.PNEUMONIA if ill else Label.NORMAL,
        "subtype": Subtype.BACTERIAL if ill else None,
        "review": False,
    }
    return replace(ILL, path=path, **verdict | {"outlier_score": 0.5} | changes)
