"""Refuse request bodies over the limit while they arrive.

FastAPI's own limit needs a Content-Length and answers in plain text. This one answers with a problem document, and counts
the bytes of chunked bodies, which announce no length.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import RequestTooLargeError
from app.error_handlers import ProblemResponse, problem_of


class BodyTooLargeSignal(HTTPException):
    """Leaves whatever reads the body; FastAPI's JSON reader lets only an HTTPException through."""

    def __init__(self) -> None:
        super().__init__(status_code=413)


class BodyLimitMiddleware:
    """Bounds the bodies of requests.

    Args:
        app: the application.
        max_form_bytes: limit of multipart bodies, which are spooled to disk.
        max_other_bytes: limit of all others, which are held in memory.
    """

    def __init__(self, app: ASGIApp, max_form_bytes: int, max_other_bytes: int) -> None:
        self._app = app
        self._max_form_bytes = max_form_bytes
        self._max_other_bytes = max_other_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 for a body over the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        limit = self._max_form_bytes if is_form else self._max_other_bytes
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await _refuse(limit, f"{announced} bytes announced", scope, receive, send)
            return
        await self._pass_on(limit, scope, receive, send)

    async def _pass_on(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        num_bytes = 0
        has_answered = False

        async def receive_within_limit() -> Message:
            nonlocal num_bytes
            message = await receive()
            if message["type"] == "http.request":
                num_bytes += len(message.get("body", b""))
                if num_bytes > limit:
                    raise BodyTooLargeSignal
            return message

        async def send_unless_over(message: Message) -> None:
            nonlocal has_answered
            if num_bytes <= limit:
                await send(message)
            elif not has_answered:
                has_answered = True
                await _refuse(limit, f"more than {limit} bytes", scope, receive, send)

        await self._app(scope, receive_within_limit, send_unless_over)


async def _refuse(limit: int, got: str, scope: Scope, receive: Receive, send: Send) -> None:
    error = RequestTooLargeError(
        expected=f"a body of at most {limit} bytes", got=got, remedy="Send a smaller body, or the images in several requests"
    )
    response = ProblemResponse(problem_of(error, scope["path"]), status_code=413, headers={"Connection": "close"})
    await response(scope, receive, send)
