"""Configure the HTTP server of one process, for `vtt api` and for tests with real connections."""

from __future__ import annotations

import os
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.infra.settings import Settings
from app.overload.connections import ConnectionTable, raise_file_limit
from app.overload.protocol import ConnectionTimes, make_protocol

GRACE_SECONDS = 5
"""How long open requests may take once the process is asked to end; event streams end at once."""
IDLE_SECONDS = 5
"""How long a connection may pause between two requests."""
REFUSED_BODY_HEADS = 3.0
"""How long the rest of a refused body may take, as a multiple of `head_seconds`: 30 s by default."""
TRUSTED_PROXIES = "FORWARDED_ALLOW_IPS"
"""Variable that names the proxies; uvicorn trusts what they say about the address of a client."""


def serve(app: FastAPI, settings: Settings, listening: socket.socket | None = None) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Args:
        app: what answers.
        settings: of the process.
        listening: an open socket; None opens one at the host and port in the settings.
    """
    raise_file_limit()
    server = uvicorn.Server(make_server_config(app, settings))
    server.run(sockets=None if listening is None else [listening])


def make_server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn runs the application."""
    times = ConnectionTimes(
        head_seconds=settings.head_seconds,
        refused_body_seconds=REFUSED_BODY_HEADS * settings.head_seconds,
        answer_seconds=settings.answer_pause_seconds,
        answer_bytes_per_second=settings.body_bytes_per_second,
    )
    # Without the variable uvicorn would trust loopback. Clients on this machine are there too, and they have bounds.
    proxies = os.environ.get(TRUSTED_PROXIES, "")
    is_proxy = ProxyHeadersMiddleware(app, proxies).trusted_hosts.__contains__  # type: ignore[arg-type]

    def find_table() -> ConnectionTable:
        table: ConnectionTable = app.state.context.bounds.connections
        return table

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=make_protocol(times, find_table, is_proxy),
        ws="none",
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        access_log=False,
        log_config=None,
        log_level="warning",
    )
