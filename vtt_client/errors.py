"""Errors of the client. Each has a stable code, what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx2


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


def error_of(response: httpx2.Response) -> RefusedError:
    """Return the error that an answer stands for; it need not be a problem document, for example that of a proxy."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    problem: dict[str, Any] = body if isinstance(body, dict) else {}
    status = response.status_code
    kind = _BY_STATUS.get(status, ServiceError if status >= 500 else RefusedError)
    error = kind(
        code=str(problem.get("code", f"http.{status}")),
        title=str(problem.get("title", response.reason_phrase or f"Status {status}")),
        expected=str(problem.get("expected", "an answer of the service")),
        got=str(problem.get("got", problem.get("detail", f"status {status}: {response.text[:200]!r}"))),
        remedy=str(problem.get("remedy", "Look at the service's log")),
        status=status,
        results=problem.get("results") or (),
        mistakes=problem.get("mistakes") or (),
    )
    error.request_id = response.headers.get("X-Request-ID")
    return error
