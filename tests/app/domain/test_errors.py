import inspect

import pytest

from app.domain import errors
from app.domain.errors import JobCrashedError, error_facts
from vtt_core.contract.errors import VttError

CLASSES = [member for _, member in inspect.getmembers(errors, inspect.isclass) if member.__module__ == errors.__name__]


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_stands_in_the_tree_with_its_code(error_class: type[VttError]) -> None:
    assert issubclass(error_class, VttError)
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if f" {error_class.__name__} " in line)
    assert error_class.code in line


def test_no_two_errors_share_a_code() -> None:
    assert len({error_class.code for error_class in CLASSES}) == len(CLASSES)


def test_facts_name_what_a_reader_needs() -> None:
    facts = error_facts(JobCrashedError(expected="a", got="b", remedy="c"))
    assert facts == {"code": "job.crashed", "title": "Unexpected failure", "expected": "a", "got": "b", "remedy": "c"}
