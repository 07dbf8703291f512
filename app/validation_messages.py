"""Put pydantic's messages about fields, parameters, headers and JSON bodies into plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.errors import InvalidRequestError, MalformedRequestError, UnsupportedMediaTypeError
from vtt_core.contract.errors import VttError

MAX_MISTAKES = 50
"""Most mistakes that one answer lists."""
_PLACES = {"body": "field", "query": "parameter", "path": "part of the path", "header": "header", "cookie": "cookie"}
_IN_WORDS = {
    r"^[^\x00-\x1f\x7f]+$": "Input should be without control characters",
    r"^[a-z0-9][a-z0-9.-]*$": "Input should be of small letters, digits, dots and hyphens",
}
"""Patterns in the API -> what they mean."""
_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")
"""How Python shows a member of an enumeration; its value is what the API takes."""
_NOT_AN_OBJECT = frozenset({"model_attributes_type", "model_type", "dict_type"})


def body_error_of(mistake: Mapping[str, Any], content_type: str | None) -> VttError | None:
    """Return what is wrong with the body as a whole, or None if only a part of it is wrong.

    Args:
        mistake: the first one that pydantic found.
        content_type: the header of the request.
    """
    if mistake["type"] == "json_invalid":
        return MalformedRequestError(
            expected="a JSON body",
            got=f"text that is no JSON at character {mistake['loc'][-1]}: {_reason(mistake)}",
            remedy="Let a JSON library write the body",
        )
    if tuple(mistake["loc"]) != ("body",):
        return None
    if mistake["type"] == "missing":
        return InvalidRequestError(
            expected="a JSON body", got="an empty one", remedy="Send an object such as {...}, as /docs shows"
        )
    if mistake["type"] == "value_error":
        return InvalidRequestError(
            expected=str(mistake["msg"]).removeprefix("Value error, "),
            got=_shown(mistake.get("input")),
            remedy="Correct it; /docs describes every field",
        )
    if mistake["type"] in _NOT_AN_OBJECT and not _is_json(content_type):
        return UnsupportedMediaTypeError(
            expected="a JSON body with the header `Content-Type: application/json`",
            got=f"the header {content_type!r}" if content_type else "no such header",
            remedy="Add the header (with curl: -H 'Content-Type: application/json')",
        )
    if mistake["type"] in _NOT_AN_OBJECT:
        return InvalidRequestError(
            expected="a JSON object, such as {...}", got=_shown(mistake.get("input")), remedy="Put the fields into an object"
        )
    return None


def validation_error_of(mistake: Mapping[str, Any]) -> InvalidRequestError:
    """Return the error of one wrong field, parameter or header."""
    return InvalidRequestError(
        expected=f"{_where(mistake['loc'])} {_wanted(mistake)}",
        got="nothing" if mistake["type"] == "missing" else _shown(mistake.get("input")),
        remedy="Correct it; /docs describes every field",
    )


def shown_mistakes(mistakes: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return every mistake as a problem document lists it."""
    return [
        {
            "location": ".".join(str(part) for part in mistake["loc"]),
            "expected": _wanted(mistake),
            "got": "nothing" if mistake["type"] == "missing" else _shown(mistake.get("input")),
        }
        for mistake in mistakes[:MAX_MISTAKES]
    ]


def _where(location: Sequence[Any]) -> str:
    place, *names = location
    name = ".".join(str(part) for part in names)
    return f"the {_PLACES.get(str(place), str(place))} `{name}`" if name else f"the {_PLACES.get(str(place), str(place))}"


def _wanted(mistake: Mapping[str, Any]) -> str:
    if mistake["type"] == "missing":
        return "to be there"
    if mistake["type"] == "extra_forbidden":
        return "not to be there: the service does not know it"
    message = _IN_WORDS.get(str(mistake.get("ctx", {}).get("pattern")), str(mistake["msg"]).split(", unable to parse")[0])
    message = _MEMBER.sub(r"\1", message).replace("a valid integer", "a whole number").replace("a valid string", "a text")
    for prefix, replacement in (
        ("Input should be ", "to be "),
        ("Value error, ", "to be "),
        ("String should have ", "to have "),
        ("String should match pattern ", "to match the pattern "),
        ("List should have ", "to have "),
    ):
        if message.startswith(prefix):
            return replacement + message.removeprefix(prefix)
    return f"to be right ({message})"


def _reason(mistake: Mapping[str, Any]) -> str:
    return str(mistake.get("ctx", {}).get("error", "")).lower() or "it breaks off"


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "").split(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _shown(value: object) -> str:
    """Return a value as JSON writes it."""
    is_constant = value is None or isinstance(value, bool)
    return json.dumps(value) if is_constant else repr(value)[:200]
