"""Apply the limit on open requests to every request, before its body is read."""

from __future__ import annotations

import asyncio
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import OverloadedError, RateLimitedError
from app.error_handlers import BodyRefusedSignal, ProblemResponse, headers_of, problem_of, status_of
from app.health.schemas import PROBES
from app.overload.request_limit import Place, PlaceKind, RequestLimit

STREAM_END = "/events"
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
IPV6_NETWORK_BITS = 64
"""A single IPv6 customer has at least a network of this size, so its addresses count as one client."""


class RequestLimitMiddleware:
    """Refuses requests beyond the limits of the process, before their body is read.

    Args:
        app: the application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503 beyond the limit of all clients, and 429 beyond that of one."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        limit: RequestLimit = scope["app"].state.context.bounds.requests
        try:
            place = limit.take(kind_of(scope), client_of(scope))
        except (OverloadedError, RateLimitedError) as error:
            headers = headers_of(error) | {"Connection": "close"}
            response = ProblemResponse(problem_of(error, scope["path"]), status_code=status_of(type(error)), headers=headers)
            await response(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["place"] = place
            await self._app(scope, _noticing_body(receive, place), send)
        finally:
            limit.release(place)


def kind_of(scope: Scope) -> PlaceKind:
    """Return what a request does, according to its head."""
    if scope["path"].endswith(STREAM_END):
        return PlaceKind.FOLLOWING
    if scope["method"] in READING_METHODS:
        return PlaceKind.READING
    headers = Headers(scope=scope)
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0").strip("0 ") != ""
    return PlaceKind.ARRIVING if has_body else PlaceKind.WRITING


def client_of(scope: Scope) -> str:
    """Return the client of a request by its address, which uvicorn takes from a trusted proxy if there is one."""
    client = scope.get("client")
    return address_group(client[0]) if client else "unknown"


def address_group(address: str) -> str:
    """Return the client that an address belongs to: its /64 network for IPv6, else the address itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_NETWORK_BITS), strict=False))


def _noticing_body(receive: Receive, place: Place) -> Receive:
    async def receive_and_note() -> Message:
        if place.kind is not PlaceKind.ARRIVING:
            return await receive()
        message = await _receive_unless_displaced(receive, place)
        place.num_bytes += len(message.get("body", b""))
        if message["type"] == "http.request" and not message.get("more_body", False):
            place.note_complete_body()
        return message

    return receive_and_note


async def _receive_unless_displaced(receive: Receive, place: Place) -> Message:
    try:
        async with asyncio.timeout(0 if place.is_displaced else None) as place.wait:
            return await receive()
    except TimeoutError as error:
        raise BodyRefusedSignal(
            OverloadedError(
                expected="a body that arrives faster, while so many requests are waiting to be received",
                got=f"{place.num_bytes} bytes, the slowest of all",
                retry_after_seconds=1,
            )
        ) from error
    finally:
        place.wait = None
