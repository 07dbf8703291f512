"""Read the fields of a page's form into the schemas of the JSON API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import TypeAdapter, ValidationError

from app.display_names import DisplayName
from app.validation_messages import validation_error_of

_DISPLAY_NAME: TypeAdapter[str] = TypeAdapter(DisplayName)


@contextmanager
def mistakes_named() -> Iterator[None]:
    """Say in plain words what is wrong with a value that a schema refuses.

    Raises:
        InvalidRequestError: a schema has refused a value.
    """
    try:
        yield
    except ValidationError as error:
        mistake = error.errors()[0]
        raise validation_error_of({**mistake, "loc": ("body", *mistake["loc"])}) from error


def display_name(sent: str | None) -> str:
    """Return what a person calls a thing.

    Raises:
        InvalidRequestError: it is too long or has control characters.
    """
    with mistakes_named():
        return _DISPLAY_NAME.validate_python(sent or "")
