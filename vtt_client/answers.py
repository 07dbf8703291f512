"""Build requests and read answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from vtt_client.calls import Call
from vtt_client.errors import ServiceError

Body = TypeVar("Body", bound=BaseModel)
UNHURRIED_SECONDS = 3600.0
"""How long an answer may take that comes when all images are done."""


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
        raise ServiceError(
            code="client.unknown_answer",
            title="Unknown answer",
            expected=f"{body.__name__} as this client knows it",
            got=str(error).splitlines()[0],
            remedy="Check the address; if it is the service's, install the client of its release",
            status=answer.status_code,
        ) from error
