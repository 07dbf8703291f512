"""Document problem answers: the schema, and the `responses=` of an endpoint from the errors that it raises."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from app.domain.errors import (
    ForeignHostError,
    ForeignOriginError,
    InvalidRequestError,
    KeyRefusedError,
    KeyRequiredError,
    MissingScopeError,
    OverloadedError,
    RateLimitedError,
    RequestTooSlowError,
    TooManyAtOnceError,
)
from app.error_handlers import PROBLEM_MEDIA_TYPE, status_of
from app.uploads.results import ImageResult
from vtt_core.contract.errors import VttError


class WrongField(BaseModel):
    """One wrong field, parameter or header."""

    location: str = Field(examples=["body.seed"])
    expected: str
    got: str


class Problem(BaseModel):
    """What went wrong, by RFC 9457, with what was expected, what came and what to do."""

    type: str = Field(description="`urn:vtt:problem:` and the code", examples=["urn:vtt:problem:support_set.too_few_classes"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request")
    code: str = Field(description="Stable name for machines", examples=["support_set.too_few_classes"])
    expected: str
    got: str
    remedy: str
    results: list[ImageResult] | None = Field(default=None, description="With `images.nothing_usable`: why each was refused")
    mistakes: list[WrongField] | None = Field(default=None, description="With `request.invalid`: every wrong field")


ALWAYS = (
    InvalidRequestError,
    KeyRequiredError,
    KeyRefusedError,
    MissingScopeError,
    ForeignHostError,
    ForeignOriginError,
    RequestTooSlowError,
    RateLimitedError,
    TooManyAtOnceError,
    OverloadedError,
)
"""What every endpoint raises."""


def problem_responses(*errors: type[VttError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` for an endpoint that raises these errors, and those that every endpoint raises."""
    by_status: dict[int | str, list[type[VttError]]] = {}
    for error in (*errors, *ALWAYS):
        classes = by_status.setdefault(status_of(error), [])
        if error not in classes:
            classes.append(error)
    return {
        status: _describe(classes) | _headers(status)
        for status, classes in sorted(by_status.items(), key=lambda item: str(item[0]))
    }


def _describe(errors: list[type[VttError]]) -> dict[str, Any]:
    lines = [f"- `{error.code}`: {(error.__doc__ or error.title).splitlines()[0]}" for error in errors]
    return {
        "description": "\n".join(lines),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _headers(status: int | str) -> dict[str, Any]:
    if status not in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return {}
    return {"headers": {"Retry-After": {"description": "Seconds until it may go well", "schema": {"type": "integer"}}}}
