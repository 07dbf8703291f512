"""Answer a route as a page: errors as pages too, and the way to the sign-in for those who are not signed in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.domain.errors import GoneError, KeyRefusedError, KeyRequiredError, NotFoundError
from app.error_handlers import BodyRefusedSignal, headers_of, status_of
from app.pages.rendering import render
from app.pages.visits import begin_visit, end_visit, follows_a_link
from app.validation_messages import validation_error_of
from vtt_core.contract.errors import VttError

SIGN_IN = "/sign-in"
CALL = "/v1/"
"""What a remedy for programs has in it: a call of the JSON API."""


class PageRoute(APIRoute):
    """A route whose answers are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            visit = begin_visit(request)
            if follows_a_link(request):
                # Asked for by a page of ours, the same address comes with the cookie.
                return render(request, "come-again.html.jinja")
            try:
                response = await answer(request)
            except VttError as error:
                response = error_page(request, error)
            except BodyRefusedSignal as signal:
                response = error_page(request, signal.error)
            except RequestValidationError as error:
                response = error_page(request, validation_error_of(error.errors()[0]))
            end_visit(request, visit, response)
            return response

        return handle


def go_to(path: str) -> RedirectResponse:
    """Return the answer to a form: the browser shows another page, and a reload does not send the form again."""
    return RedirectResponse(path, status_code=303)


def error_page(request: Request, error: VttError) -> Response:
    """Return the page that says what came, what was expected and what to do."""
    if isinstance(error, KeyRequiredError | KeyRefusedError):
        wanted = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"{SIGN_IN}?next={quote(wanted)}", status_code=303)
    response = render(
        request,
        "error.html.jinja",
        status=status_of(type(error)),
        error=error,
        address=request.url.path[:200],
        is_missing=isinstance(error, NotFoundError) and request.method == "GET",
        is_gone=isinstance(error, GoneError) and request.method == "GET",
        is_for_programs=CALL in error.remedy,
    )
    response.headers.update(headers_of(error))
    return response


def install_error_pages(app: FastAPI) -> None:
    """Answer browsers that ask for an unknown path with a page; programs still get a problem document."""
    answer_programs: Any = app.exception_handlers[HTTPException]

    async def handle(request: Request, error: Exception) -> Response:
        asks_for_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
        if isinstance(error, HTTPException) and error.status_code == 404 and request.method == "GET" and asks_for_page:
            visit = begin_visit(request)
            missing = NotFoundError(
                expected="the address of a page", got=repr(request.url.path[:200]), remedy="Start at the first page"
            )
            response = error_page(request, missing)
            end_visit(request, visit, response)
            return response
        answered = await answer_programs(request, error)
        assert isinstance(answered, Response)
        return answered

    app.add_exception_handler(HTTPException, handle)
