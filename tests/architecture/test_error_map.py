"""Every error has a status and a code of its own, and is in the drawing at the top of its file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter

import pytest

import app.domain.errors
import vtt_core.contract.errors
from app.error_handlers import STATUS, status_of
from vtt_core.contract.errors import VttError

MODULES = (vtt_core.contract.errors, app.domain.errors)


def error_classes() -> list[type[VttError]]:
    found = [VttError]
    for error_class in found:
        found += [child for child in error_class.__subclasses__() if child not in found and "tests" not in child.__module__]
    return sorted(found, key=lambda error_class: error_class.__name__)


@pytest.mark.parametrize("error_class", error_classes(), ids=lambda error_class: error_class.__name__)
def test_an_error_has_a_status_a_documented_cause_and_a_place_in_the_drawing(error_class: type[VttError]) -> None:
    assert 400 <= status_of(error_class) <= 507
    assert error_class.__doc__
    assert error_class.__name__.endswith("Error")
    drawing = inspect.getmodule(error_class).__doc__ or ""  # type: ignore[union-attr]
    assert error_class.__name__ in drawing


def test_every_error_has_a_code_of_its_own() -> None:
    counted = Counter(error_class.code for error_class in error_classes())
    assert [code for code, count in counted.items() if count > 1] == []


def test_errors_are_defined_in_their_two_files_only() -> None:
    for package in ("app.domain", "app.infra", "vtt_core.contract"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, package + "."):
            importlib.import_module(module.name)
    assert {error_class.__module__ for error_class in error_classes()} == {module.__name__ for module in MODULES}


def test_the_map_names_no_error_twice_to_the_same_end() -> None:
    """An entry that its ancestor would give anyway is kept only where it is said on purpose."""
    assert set(STATUS) <= set(error_classes())
