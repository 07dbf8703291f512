"""Mistakes are told in words, whatever pydantic calls them."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.validation_messages import MAX_MISTAKES, body_error_of, shown_mistakes, validation_error_of


class Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: int = Field(default=1, ge=0)
    name: Annotated[str, Field(max_length=3)] = ""


def mistakes_of(value: dict[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate(value)
    return [mistake | {"loc": ("body", *mistake["loc"])} for mistake in refused.value.errors()]


@pytest.mark.parametrize(
    ("value", "expected", "got"),
    [
        ({"seed": -1}, "the field `seed` to be greater than or equal to 0", "-1"),
        ({"seed": "x"}, "the field `seed` to be a whole number", "'x'"),
        ({"seed": None}, "the field `seed` to be a whole number", "null"),
        ({"name": "long"}, "the field `name` to have at most 3 characters", "'long'"),
        ({"speed": 1}, "the field `speed` not to be there: the service does not know it", "1"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_should_be(value: dict[str, Any], expected: str, got: str) -> None:
    (mistake,) = mistakes_of(value)
    error = validation_error_of(mistake)
    assert error.expected.startswith(expected)
    assert error.got == got
    assert body_error_of(mistake, "application/json") is None


def test_a_missing_header_is_missing_and_not_something() -> None:
    error = validation_error_of({"type": "missing", "loc": ("header", "x-a"), "msg": "Field required", "input": {"b": 1}})
    assert (error.expected, error.got) == ("the header `x-a` to be there", "nothing")


def test_no_answer_lists_mistakes_without_end() -> None:
    many = mistakes_of({f"field{number}": 1 for number in range(2 * MAX_MISTAKES)})
    assert len(shown_mistakes(many)) == MAX_MISTAKES


class Form(StrEnum):
    ONNX = "onnx"
    WEB = "web"


def test_members_of_an_enumeration_are_named_by_their_values() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Literal[Form.ONNX, Form.WEB]).validate_python("pdf")
    (mistake,) = refused.value.errors()
    assert (
        validation_error_of(mistake | {"loc": ("path", "kind")}).expected == "the part of the path `kind` to be 'onnx' or 'web'"
    )
