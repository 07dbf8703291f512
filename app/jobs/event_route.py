"""The route of an event stream, which a follower may leave at any time."""

from __future__ import annotations

from anyio import BrokenResourceError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class EventRoute(APIRoute):
    """Ends quietly when the follower of a stream has gone; other answers are as of any route.

    FastAPI closes the stream that its own task still writes to, and lets that task's error out: a traceback in the log for
    every browser that leaves a page while events are on their way. Seen with FastAPI 0.165, `routing.py`,
    `_keepalive_inserter`.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        try:
            await super().handle(scope, receive, send)
        except* BrokenResourceError:
            pass  # nobody reads the rest
