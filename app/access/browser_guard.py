"""Apply the rules for browsers to every request, before its body is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.browsers import BrowserRules, check_request
from app.domain.errors import AccessError
from app.error_handlers import ProblemResponse, problem_of, status_of

ALWAYS_ANSWERED = "/livez"
"""It only says that the process is alive, and a supervisor may ask by any host name."""


class BrowserGuardMiddleware:
    """Answers 403 to requests that a foreign web page may have caused.

    Args:
        app: the application that answers other requests.
        rules: the rules of the process.
    """

    def __init__(self, app: ASGIApp, rules: BrowserRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        if scope["type"] == "http" and scope["path"] != ALWAYS_ANSWERED:
            try:
                check_request(self._rules, scope["method"], Headers(scope=scope))
            except AccessError as error:
                problem = problem_of(error, scope["path"])
                response = ProblemResponse(problem, status_code=status_of(type(error)), headers={"Connection": "close"})
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
