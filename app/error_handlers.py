"""Turn every error into a problem document (RFC 9457); the only place that knows the HTTP status of an error."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Match

from app.domain.errors import (
    AccessError,
    BlobMissingError,
    ConflictError,
    DiskFullError,
    GoneError,
    InvalidRequestError,
    JobFailureError,
    KeyRefusedError,
    KeyRequiredError,
    MalformedRequestError,
    NotFoundError,
    NothingUsableError,
    OverloadedError,
    PredictorNotReadyError,
    QueueUnavailableError,
    RateLimitedError,
    RequestTooLargeError,
    RequestTooSlowError,
    StaleLeaseError,
    StoreUnavailableError,
    UnsafeHostError,
    UnsupportedMediaTypeError,
    error_facts,
)
from app.infra.disk import disk_full_error
from app.infra.outages import DATABASE_AWAY
from app.validation_messages import body_error_of, shown_mistakes, validation_error_of
from vtt_core.contract.errors import (
    BackboneMismatchError,
    BackboneUnavailableError,
    ExportError,
    InputError,
    VttError,
)

PROBLEM_MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[VttError], int] = {
    InputError: 422,
    MalformedRequestError: 400,
    UnsupportedMediaTypeError: 415,
    NotFoundError: 404,
    GoneError: 410,
    ConflictError: 409,
    StaleLeaseError: 409,
    RequestTooLargeError: 413,
    RequestTooSlowError: 408,
    BackboneMismatchError: 409,
    ExportError: 409,
    QueueUnavailableError: 503,
    StoreUnavailableError: 503,
    DiskFullError: 507,
    OverloadedError: 503,
    PredictorNotReadyError: 503,
    BackboneUnavailableError: 503,
    BlobMissingError: 500,
    JobFailureError: 500,
    UnsafeHostError: 500,
    AccessError: 403,
    KeyRequiredError: 401,
    KeyRefusedError: 401,
    RateLimitedError: 429,
    VttError: 500,
}
"""Status of an error class, and of its subclasses that are not listed themselves."""

RETRY_SECONDS = 5
"""`Retry-After` if nothing better is known."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_log = structlog.get_logger(__name__)


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = PROBLEM_MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        """Encode as JSON; lone surrogates, which JSON can hold and UTF-8 cannot, stay escaped."""
        try:
            return super().render(content)
        except UnicodeEncodeError:
            return JSONResponse.render(self, _escape_surrogates(content))


class BodyRefusedSignal(HTTPException):
    """Carries an error out of whatever reads the body; FastAPI lets only this kind of exception through its JSON reader.

    Args:
        error: what is answered.
    """

    def __init__(self, error: VttError) -> None:
        super().__init__(status_code=status_of(type(error)))
        self.error = error


def status_of(error_class: type[VttError]) -> int:
    """Return the HTTP status of an error class."""
    return next(STATUS[ancestor] for ancestor in error_class.__mro__ if ancestor in STATUS)


def headers_of(error: VttError) -> dict[str, str]:
    """Return the additional headers of an error's answer: how to authenticate, or when to try again."""
    if isinstance(error, KeyRequiredError | KeyRefusedError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RateLimitedError | OverloadedError):
        return {"Retry-After": str(error.retry_after_seconds)}
    if status_of(type(error)) == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_SECONDS)}
    return {}


def problem_of(error: VttError, request_path: str = "") -> dict[str, Any]:
    """Return the problem document of an error."""
    facts = error_facts(error)
    document: dict[str, Any] = {
        "type": f"urn:vtt:problem:{error.code}",
        "title": error.title,
        "status": status_of(type(error)),
        "detail": str(error),
        "instance": request_path,
        **{key: facts[key] for key in ("code", "expected", "got", "remedy")},
    }
    if isinstance(error, NothingUsableError):
        document["results"] = list(error.results)
    return document


def install_error_handlers(app: FastAPI) -> None:
    """Make the application answer every failure with a problem document."""
    app.add_exception_handler(VttError, _handle_vtt_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    for outage in DATABASE_AWAY:
        app.add_exception_handler(outage, _handle_database_outage)
    app.add_exception_handler(DataError, _handle_unstorable_value)
    app.add_exception_handler(OSError, _handle_os_error)
    app.add_exception_handler(ClientDisconnect, _handle_disconnect)
    app.add_exception_handler(Exception, _handle_crash)


def _respond(request: Request, error: VttError, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    return ProblemResponse(
        problem_of(error, request.url.path),
        status_code=status_of(type(error)),
        headers={**headers_of(error), **(headers or {})},
    )


def _respond_plain(
    request: Request, status: int, code: str, facts: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    title = HTTPStatus(status).phrase
    document = {
        "type": f"urn:vtt:problem:{code}",
        "title": title,
        "status": status,
        "detail": f"{title}: expected {facts['expected']}, got {facts['got']}. {facts['remedy']}.",
        "instance": request.url.path,
        "code": code,
        **facts,
    }
    return ProblemResponse(document, status_code=status, headers=headers)


async def _handle_vtt_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, VttError)
    # There may be hundreds of refusals, and the metrics count them.
    if status_of(type(error)) >= 500 and not isinstance(error, OverloadedError):
        _log.error("request_failed", path=request.url.path, code=error.code, got=error.got)
    return _respond(request, error)


async def _handle_validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    mistakes = error.errors()
    body_error = body_error_of(mistakes[0], request.headers.get("content-type"))
    if body_error is not None:
        return _respond(request, body_error)
    document = problem_of(validation_error_of(mistakes[0]), request.url.path) | {"mistakes": shown_mistakes(mistakes)}
    return ProblemResponse(document, status_code=status_of(InvalidRequestError))


async def _handle_http_exception(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyRefusedSignal):
        return _respond(request, error.error, {"Connection": "close"})
    got = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        missing = NotFoundError(expected="a path of this service", got=repr(got), remedy="See /docs for the paths")
        return _respond(request, missing, error.headers)
    if error.status_code == 405:
        return _refuse_method(request)
    if error.status_code == 400:
        malformed = MalformedRequestError(
            expected="a body that can be parsed", got=repr(error.detail), remedy="Check its encoding and Content-Type"
        )
        return _respond(request, malformed, error.headers)
    facts = {"expected": "a request that can be answered", "got": repr(error.detail), "remedy": "See /docs"}
    return _respond_plain(request, error.status_code, f"http.{error.status_code}", facts, error.headers)


def _refuse_method(request: Request) -> ProblemResponse:
    # Starlette names only the methods of the first route that has the path.
    allowed = ", ".join(method for method in _METHODS if _is_answered(request, method))
    facts = {
        "expected": f"one of the methods {allowed}" if "," in allowed else f"the method {allowed}",
        "got": repr(f"{request.method} {request.url.path}"),
        "remedy": "See /docs for the methods of each path",
    }
    return _respond_plain(request, 405, "request.method_not_allowed", facts, {"Allow": allowed})


def _is_answered(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


async def _handle_os_error(request: Request, error: Exception) -> ProblemResponse:
    full = disk_full_error(error)
    if full is None:
        raise error
    return await _handle_vtt_error(request, full)


async def _handle_database_outage(request: Request, error: Exception) -> ProblemResponse:
    if (full := disk_full_error(error)) is not None:
        return await _handle_vtt_error(request, full)
    _log.error("database_unavailable", path=request.url.path, reason=str(error.__cause__ or error))
    facts = {"expected": "a database that answers", "got": type(error).__name__, "remedy": "Try again in a moment"}
    return _respond_plain(request, 503, "database.unavailable", facts, {"Retry-After": str(RETRY_SECONDS)})


async def _handle_unstorable_value(request: Request, error: Exception) -> ProblemResponse:
    _log.warning("unstorable_value", path=request.url.path, reason=str(error.__cause__ or error))
    invalid = InvalidRequestError(
        expected="values that the database can hold",
        got="a text with a NUL character, or a number out of range",
        remedy="Correct it",
    )
    return _respond(request, invalid)


async def _handle_disconnect(request: Request, _error: Exception) -> ProblemResponse:
    gone = MalformedRequestError(
        expected="the whole body", got="a connection that closed before its end", remedy="Send the request again"
    )
    return _respond(request, gone)


async def _handle_crash(request: Request, error: Exception) -> ProblemResponse:
    # The server logs the traceback itself: starlette raises the error again after this answer.
    facts = {
        "expected": "no failure inside the service",
        "got": type(error).__name__,
        "remedy": "Try again; if it happens again, give the operator the X-Request-ID of this answer",
    }
    # This answer passes no middleware, and so not the one that adds the id.
    return _respond_plain(request, 500, "internal", facts, {"X-Request-ID": request.state.request_id})


def _escape_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_escape_surrogates(key): _escape_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escape_surrogates(item) for item in value]
    return value
