"""The reference of the errors, from their classes."""

from __future__ import annotations

import inspect

from app.domain import errors as service_errors
from app.error_handlers import status_of
from docs.site.markdown import cell, code, table
from vtt_core.contract.errors import VttError

assert service_errors.NotFoundError is not None, "imported so that its classes are known"


def error_page() -> str:
    """Return a page with every error by its code: title, HTTP status and when it comes."""
    rows = [
        (
            code(error.code),
            cell(error.title),
            str(status_of(error)),
            cell(inspect.cleandoc(error.__doc__ or "").split("\n\n")[0]),
        )
        for error in sorted(all_errors(), key=lambda error: error.code)
    ]
    return (
        "# Errors\n\n"
        "Every error has a stable `code`, and says what was `expected`, what came (`got`) and what to do (`remedy`). "
        "Over HTTP it comes as a problem document (`application/problem+json`) with this status. The commands print the same, "
        "with exit code 2 for bad input.\n\n" + table(("code", "title", "HTTP status", "when"), rows)
    )


def all_errors() -> list[type[VttError]]:
    """Return every class of error."""
    found, waiting = [], [VttError]
    while waiting:
        error = waiting.pop()
        found.append(error)
        waiting += error.__subclasses__()
    return found
