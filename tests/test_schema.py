import json
import math
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumoscan.formats import COLUMNS
from pneumoscan.records import ErrorCode, Label, Record, Status, Subtype, timestamp
from pneumoscan.schema import contradictions, json_schema, markdown, problems, violations

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
    outlier_score=-0.5,
    width=10,
    height=20,
    bytes=1000,
    modified="2026-11-21T06:03:51.000000000Z",
    message="unfamiliar",
    model="tiny-1",
    model_sha256="0123456789abcdef" * 4,
    threshold=0.5,
    device="cpu",
)
WELL = replace(ILL, path="b.jpg", label=Label.NORMAL, subtype=None, threshold=0.9, message=None, outlier_score=None)
REJECTED = replace(
    WELL,
    path="c.jpg",
    status=Status.REJECTED,
    label=None,
    probability=None,
    p_normal=None,
    p_bacterial=None,
    p_viral=None,
    outlier_score=9.5,
    error=ErrorCode.NOT_A_CHEST_XRAY,
    message="does not look like one",
)
FAILED = replace(
    REJECTED,
    path="d.jpg",
    status=Status.ERROR,
    outlier_score=None,
    width=None,
    height=None,
    bytes=None,
    modified=None,
    error=ErrorCode.NOT_FOUND,
    message="there is no such file",
    device=None,
)
RECORDS = [ILL, WELL, REJECTED, FAILED]


def plain(record: Record, **changes: object) -> dict[str, Any]:
    """A record as JSON has it, with changes that `Record` itself would not be made for."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return values | changes


def only_problem(record: Record, **changes: object) -> str:
    (problem,) = problems(plain(record, **changes))
    return problem


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


class TestTheJsonSchema:
    def test_is_a_valid_schema_itself(self) -> None:
        jsonschema.Draft202012Validator.check_schema(json_schema())

    def test_requires_exactly_the_fields_of_a_record_in_their_order(self) -> None:
        schema = json_schema()
        assert tuple(schema["properties"]) == tuple(schema["required"]) == COLUMNS
        assert schema["additionalProperties"] is False

    def test_says_what_each_field_means_and_what_the_records_are_not_for(self) -> None:
        schema = json_schema()
        assert all(each["description"] for each in schema["properties"].values())
        assert "not a medical device" in schema["description"]

    def test_names_no_host(self) -> None:
        assert json_schema()["$id"].startswith("urn:")

    def test_knows_types_ranges_and_enumerations(self) -> None:
        properties = json_schema()["properties"]
        assert properties["path"]["type"] == "string"
        assert properties["label"]["type"] == ["string", "null"]
        assert properties["label"]["enum"] == ["NORMAL", "PNEUMONIA", None]
        assert properties["review"]["type"] == "boolean"
        assert properties["width"] | {"description": ""} == {
            "description": "",
            "type": ["integer", "null"],
            "minimum": 0,
        }
        assert (properties["threshold"]["minimum"], properties["threshold"]["maximum"]) == (0, 1)
        assert properties["modified"]["format"] == "date-time"


def test_the_table_has_one_row_for_each_field_in_order() -> None:
    rows = [line.split(" | ") for line in markdown().splitlines()[2:]]
    assert tuple(name.strip("|` ") for name, *_ in rows) == COLUMNS
    assert {name.strip("|` "): kind for name, kind, _ in rows}["bytes"] == "integer or null"


@pytest.mark.parametrize("record", RECORDS, ids=["ill", "well", "rejected", "failed"])
class TestAValidRecord:
    def test_has_no_problems(self, record: Record) -> None:
        assert problems(plain(record)) == []
        assert VALIDATOR.is_valid(plain(record))

    def test_may_be_a_record_as_it_is_in_the_program(self, record: Record) -> None:
        assert problems(asdict(record)) == []


def test_a_pneumonia_may_be_of_no_subtype_that_can_be_told() -> None:
    assert problems(plain(ILL, subtype=None)) == []


@pytest.mark.parametrize(
    ("record", "changes", "field"),
    [
        (ILL, {"label": None}, "label"),
        (ILL, {"p_viral": None}, "p_viral"),
        (ILL, {"device": None}, "device"),
        (ILL, {"error": "corrupt"}, "error"),
        (WELL, {"subtype": "viral"}, "subtype"),
        (REJECTED, {"error": "corrupt"}, "error"),
        (REJECTED, {"label": "NORMAL"}, "label"),
        (REJECTED, {"probability": 0.5}, "probability"),
        (FAILED, {"error": "not_a_chest_xray"}, "error"),
        (FAILED, {"error": None}, "error"),
        (FAILED, {"message": None}, "message"),
        (FAILED, {"p_normal": 0.5}, "p_normal"),
        (FAILED, {"outlier_score": 0.5}, "outlier_score"),
        (ILL, {"status": "fine"}, "status"),
        (ILL, {"schema": 2}, "schema"),
        (ILL, {"path": None}, "path"),
        (ILL, {"path": 7}, "path"),
        (ILL, {"review": 1}, "review"),
        (ILL, {"review": None}, "review"),
        (ILL, {"width": True}, "width"),
        (ILL, {"width": 1.5}, "width"),
        (ILL, {"width": "10"}, "width"),
        (ILL, {"bytes": -1}, "bytes"),
        (ILL, {"threshold": 1.1}, "threshold"),
        (ILL, {"threshold": True}, "threshold"),
        (ILL, {"model_sha256": "ab"}, "model_sha256"),
        (ILL, {"model_sha256": "x" * 64}, "model_sha256"),
        (ILL, {"modified": "yesterday"}, "modified"),
        (ILL, {"modified": "2026-11-21T06:03:51Z"}, "modified"),
        (ILL, {"modified": "2026-11-21T06:03:51.000000000+01:00"}, "modified"),
    ],
)
def test_what_the_json_schema_forbids_is_told_with_the_field(
    record: Record, changes: dict[str, Any], field: str
) -> None:
    assert only_problem(record, **changes).startswith(f"{field} must ")
    assert not VALIDATOR.is_valid(plain(record, **changes))


@pytest.mark.parametrize("field", COLUMNS)
def test_a_missing_field_is_told(field: str) -> None:
    values = plain(ILL)
    del values[field]
    assert problems(values) == [f"{field} is missing"]


def test_an_unknown_field_is_told() -> None:
    assert only_problem(ILL, diagnosis="flu") == "'diagnosis' is no field of a record"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_none(number: float) -> None:
    assert only_problem(ILL, outlier_score=number).startswith("outlier_score must be a finite number")
    assert only_problem(ILL, probability=number).startswith("probability must be a finite number")
    assert only_problem(ILL, width=number).startswith("width must be an integer")


def test_a_whole_number_will_do_where_a_fraction_may_stand() -> None:
    assert problems(plain(ILL, outlier_score=3)) == []


def test_a_number_of_any_length_is_compared_without_fear() -> None:
    assert problems(plain(ILL, bytes=10**400)) == []
    assert only_problem(ILL, outlier_score=-(10**400)).startswith("outlier_score must be a finite number")


def test_a_line_break_after_a_digest_is_no_part_of_it() -> None:
    assert only_problem(ILL, model_sha256=ILL.model_sha256 + "\n").startswith("model_sha256 must ")


def test_a_long_value_is_told_in_short() -> None:
    assert len(only_problem(ILL, status="x" * 10**6)) < 200


@pytest.mark.parametrize(
    ("record", "changes", "said"),
    [
        (ILL, {"probability": 0.750004}, "probability must be p_bacterial + p_viral"),
        (ILL, {"p_normal": 0.250004}, "p_normal + p_bacterial + p_viral must be 1"),
        (ILL, {"threshold": 0.8}, "label must be NORMAL"),
        (WELL, {"threshold": 0.75}, "label must be PNEUMONIA"),
        (ILL, {"subtype": "viral"}, "subtype must be bacterial"),
        (ILL, {"p_bacterial": 0.25, "p_viral": 0.5}, "subtype must be viral"),
        (ILL, {"p_bacterial": 0.375, "p_viral": 0.375, "subtype": "viral"}, "subtype must be bacterial"),
        (ILL, {"width": None}, "width and height"),
        (FAILED, {"height": 3}, "width and height"),
        (ILL, {"modified": "2026-02-30T06:03:51.000000000Z"}, "modified must "),
        (ILL, {"modified": "0000-01-01T00:00:00.000000000Z"}, "modified must "),
        (ILL, {"path": "\ud800"}, "path "),
    ],
)
def test_contradictions_are_told_though_the_json_schema_cannot(
    record: Record, changes: dict[str, Any], said: str
) -> None:
    assert only_problem(record, **changes).startswith(said)
    assert VALIDATOR.is_valid(plain(record, **changes))


@given(st.lists(st.floats(1e-9, 1), min_size=3, max_size=3), st.floats(0, 1))
def test_probabilities_that_were_rounded_to_six_decimals_do_not_contradict_each_other(
    weights: list[float], threshold: float
) -> None:
    normal, bacterial, viral = (weight / sum(weights) for weight in weights)
    values = plain(
        ILL,
        probability=round(bacterial + viral, 6),
        p_normal=round(normal, 6),
        p_bacterial=round(bacterial, 6),
        p_viral=round(viral, 6),
        threshold=threshold,
    )
    is_ill = values["probability"] >= threshold
    likelier = Subtype.BACTERIAL if values["p_bacterial"] >= values["p_viral"] else Subtype.VIRAL
    values |= {"label": "PNEUMONIA" if is_ill else "NORMAL", "subtype": likelier if is_ill else None}
    assert problems(values) == []


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_that_the_program_writes_is_valid(nanoseconds: int) -> None:
    assert problems(plain(ILL, modified=timestamp(nanoseconds))) == []


WORDS = [*Status, *Label, *Subtype, *ErrorCode, ILL.modified, ILL.model_sha256, "cpu"]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers()
    | st.floats(-1, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([str(word) for word in WORDS])
    | st.text(max_size=5)
    | st.just([])
    | st.just({})
)


@given(
    st.sampled_from(RECORDS).map(plain),
    st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=3),
    st.sampled_from([(), (), (), ("path",), ("extra",)]),
)
def test_a_changed_record_is_as_valid_as_the_json_schema_says(
    values: dict[str, Any], changes: dict[str, Any], toggled: tuple[str, ...]
) -> None:
    values |= changes
    for name in toggled:
        if values.pop(name, None) is None:
            values[name] = 1
    assert (violations(values) == []) == VALIDATOR.is_valid(values)


def test_a_record_that_the_json_schema_forbids_is_not_searched_for_contradictions() -> None:
    values = plain(ILL, width=None, threshold="low")
    assert problems(values) == violations(values)
    assert contradictions(plain(ILL, width=None)) != []


class TestTheCommand:
    def test_prints_the_json_schema(self, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        result = run("schema")
        assert (result.returncode, result.stderr) == (0, "")
        assert json.loads(result.stdout) == json_schema()

    def test_prints_the_table(self, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
        result = run("schema", "--markdown")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == markdown()
