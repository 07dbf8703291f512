"""Build requests and read answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from vtt_client.calls import Call, Operation
from vtt_client.errors import unknown_answer

Body = TypeVar("Body", bound=BaseModel)
PAGE = 100
"""Entries of a page of a list."""
UNHURRIED_SECONDS = 3600.0
"""How long an answer may take that comes when all images are done."""


class Unchanged(Enum):
    """Stands for a field that a change leaves as it is, where None means something else."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


def changes(**fields: Any) -> dict[str, Any]:
    """Return the body of a change: the fields that it names."""
    return {name: value for name, value in fields.items() if value is not UNCHANGED}


def get(path: str, params: Mapping[str, Any] | None = None) -> Call:
    """Return a request that reads something."""
    return Call("GET", path, params or {}, is_repeatable=True)


def segment(name: str) -> str:
    """Return a name as a segment of a path."""
    return quote(name, safe="")


def read(body: type[Body], answer: httpx2.Response) -> Body:
    """Return the body of a good answer.

    Raises:
        ServiceError: it is not what this client knows.
    """
    try:
        return body.model_validate_json(answer.content)
    except ValidationError as error:
        raise unknown_answer(f"{body.__name__} as this client knows it", answer, _first_mistake(error)) from error


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, mistake["loc"]))
    return f"{place}: {mistake['msg']}" if place else ""


def listed(path: str, page_type: type[Body], items: Callable[[Body], list[Any]]) -> Operation[list[Any]]:
    """Read all pages of a list.

    Args:
        path: of the list.
        page_type: of its pages.
        items: entries of a page.
    """
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = read(page_type, (yield get(path, {"limit": PAGE, "cursor": cursor})))
        found += items(page)
        cursor = getattr(page, "next_cursor", None)
        if cursor is None:
            return found
