import inspect

import pytest

from vtt_core.contract import errors
from vtt_core.contract.errors import InputError, TooFewShotsError, VttError, shown

CLASSES = [member for _, member in inspect.getmembers(errors, inspect.isclass) if member.__module__ == errors.__name__]
LEAVES = [error_class for error_class in CLASSES if not error_class.__subclasses__()]


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_stands_in_the_drawn_tree(error_class: type[VttError]) -> None:
    assert errors.__doc__ is not None
    lines = [line for line in errors.__doc__.splitlines() if f" {error_class.__name__} " in f" {line} "]
    assert len(lines) == 1
    if error_class in LEAVES:
        assert error_class.code in lines[0]


def test_no_two_errors_share_a_code() -> None:
    codes = [error_class.code for error_class in CLASSES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_has_a_code_and_a_title_of_its_own(error_class: type[VttError]) -> None:
    assert {"code", "title"} <= set(vars(error_class))
    assert error_class.code == error_class.code.lower()
    assert not error_class.title.endswith(".")


def test_a_message_says_what_was_expected_what_came_and_what_to_do() -> None:
    error = TooFewShotsError(expected="3 images", got="1 in 'river'", remedy="Add images")
    assert str(error) == "Too few images in a class: expected 3 images, got 1 in 'river'. Add images."
    assert (error.expected, error.got, error.remedy) == ("3 images", "1 in 'river'", "Add images")


def test_what_a_caller_sent_is_a_value_error_and_what_is_out_of_reach_is_not() -> None:
    assert all(issubclass(error_class, ValueError) for error_class in CLASSES if issubclass(error_class, InputError))
    assert not issubclass(errors.BackboneUnavailableError, ValueError)


def test_what_is_shown_of_a_value_is_short_whatever_it_is() -> None:
    nested: object = {}
    for _ in range(5000):
        nested = [nested]
    assert len(shown(nested)) < 100
    assert len(shown("x" * 10_000)) < 100
    assert shown({"a": [1, None]}) == "{'a': [1, None]}"
