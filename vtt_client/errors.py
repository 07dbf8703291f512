"""Errors of the client. Each has a stable code, what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx2

from vtt_client.unexpected import described, redirect_target


class VttClientError(Exception):
    """Any error of this package.

    Args:
        code: stable name for machines.
        title: what happened, in a few words.
        expected: what would have been right.
        got: what came instead.
        remedy: what to do.
        status: of the answer; None where there was none.
        results: why each image was refused, with `images.nothing_usable`.
        mistakes: every wrong field, with `request.invalid`.
    """

    def __init__(
        self,
        *,
        code: str,
        title: str,
        expected: str,
        got: str,
        remedy: str,
        status: int | None = None,
        results: Sequence[dict[str, Any]] = (),
        mistakes: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(f"{title} ({code}): expected {expected}, got {got}. {remedy}.")
        self.code, self.title, self.status = code, title, status
        self.expected, self.got, self.remedy = expected, got, remedy
        self.results, self.mistakes = list(results), list(mistakes)
        self.request_id: str | None = None
        """Names the request in the log of the service."""


class BadInputError(VttClientError):
    """A folder, file or address that was given to the client cannot be used."""


class UnreachableError(VttClientError):
    """The service gave no answer, however often it was asked."""


class FailedError(VttClientError):
    """Work in the background ended without what it was for."""

    work: ClassVar[str]
    """What failed, in a word."""


class JobFailedError(FailedError):
    """A job ended without a model."""

    work = "job"


class BatchFailedError(FailedError):
    """A batch ended without a result."""

    work = "batch"


class ExportFailedError(FailedError):
    """An export could not be made, or does not agree with its model."""

    work = "export"


class RefusedError(VttClientError):
    """The service has answered with an error."""


class InvalidError(RefusedError):
    """What was sent is wrong (400, 415, 422)."""


class AccessError(RefusedError):
    """The key is missing, wrong, or may not do this (401, 403)."""


class NotFoundError(RefusedError):
    """There is nothing of this id or name (404)."""


class GoneError(RefusedError):
    """It was deleted (410)."""


class ConflictError(RefusedError):
    """The state of things does not allow it (409)."""


class TooLargeError(RefusedError):
    """More images or bytes than a request may have (413)."""


class BusyError(RefusedError):
    """The service has no time now, and still had none after the last try (429, 503)."""


class ServiceError(RefusedError):
    """The service has failed (other statuses from 500)."""


_BY_STATUS: dict[int, type[RefusedError]] = {
    400: InvalidError,
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: TooLargeError,
    415: InvalidError,
    422: InvalidError,
    429: BusyError,
    503: BusyError,
}


CHECK_ADDRESS = "Check the address; if it is the service's, install the client of its release"


def unknown_answer(expected: str, answer: httpx2.Response, detail: str = "") -> ServiceError:
    """Return the error of an answer that says all is well, and is not one of the service.

    Args:
        expected: what was asked for.
        answer: what came, read to its end.
        detail: what is wrong with it, where that says more than its beginning.
    """
    return ServiceError(
        code="client.unknown_answer",
        title="Unknown answer",
        expected=expected,
        got=described(answer) + (f" ({detail})" if detail else ""),
        remedy=CHECK_ADDRESS,
        status=answer.status_code,
    )


def error_of(response: httpx2.Response) -> RefusedError:
    """Return the error that an answer stands for; it need not be a problem document, for example that of a proxy."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = {}
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    status, target = response.status_code, redirect_target(response)
    usual_got = f"status {status}: {described(response)}"
    usual_remedy = "Look at the log of the service, and of a proxy before it"
    if target is not None:
        usual_got = f"status {status}, which leads to {target!r}"
        usual_remedy = "Give the address of the service itself; if it leads to a login, a proxy is before the service"
    kind = _BY_STATUS.get(status, ServiceError if status >= 500 else RefusedError)
    error = kind(
        code=_text(problem, "code") or f"http.{status}",
        title=_text(problem, "title") or response.reason_phrase or f"Status {status}",
        expected=_text(problem, "expected") or "an answer of the service",
        got=_text(problem, "got") or _text(problem, "detail") or usual_got,
        remedy=_text(problem, "remedy") or usual_remedy,
        status=status,
        results=_objects(problem, "results"),
        mistakes=_objects(problem, "mistakes"),
    )
    error.request_id = response.headers.get("X-Request-ID")
    return error


def _text(problem: dict[str, Any], name: str) -> str:
    value = problem.get(name)
    return value if isinstance(value, str) else ""


def _objects(problem: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = problem.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
