"""Names of users are fit to be stored and shown."""

import pytest
from pydantic import TypeAdapter, ValidationError

from app.display_names import DisplayName, shown_file_name


def test_a_file_name_loses_its_control_characters_and_keeps_its_end() -> None:
    assert shown_file_name("a\x00b\n.png") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}.png"
    assert shown_file_name("x" * 500 + ".png").endswith(".png")
    assert len(shown_file_name("x" * 500)) == 400


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "x" * 201])
def test_a_name_with_control_characters_or_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DisplayName).validate_python(name)


def test_a_name_may_be_any_words() -> None:
    assert TypeAdapter(DisplayName).validate_python("  Wald & Wiese \N{SNOWMAN} ") == "Wald & Wiese \N{SNOWMAN}"
