"""Post one signed event to one address, within a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2

from app.domain.errors import WebhookUrlError
from app.webhooks.addresses import check_url, resolve

MAX_ANSWER_BYTES = 1000
"""Bytes of an answer that are read, to be shown if it is an error."""


class DeliveryFailedError(Exception):
    """The receiver did not take the event.

    Args:
        reason: why, to be shown to the owner of the webhook.
        status: of its answer, if there was one.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def post_event(text: str, body: bytes, headers: Mapping[str, str], *, may_reach_private: bool, seconds: float) -> int:
    """Post an event to a URL and return the status, which is one of success. Redirects are not followed.

    Args:
        text: URL of the webhook.
        body: what is sent.
        headers: with the signature.
        may_reach_private: whether the operator allows addresses that are not public.
        seconds: how long all of it may take, the look-up of the name apart.

    Raises:
        DeliveryFailedError: the address may not be reached, nobody answers in time, or the answer is no success.
    """
    cut = _Cut()
    watchdog = threading.Timer(seconds, cut.shut)
    watchdog.daemon = True
    try:
        url = check_url(text, may_reach_private=may_reach_private)
        address = resolve(url, may_reach_private=may_reach_private)
        watchdog.start()
        with httpx2.Client(timeout=seconds, follow_redirects=False, trust_env=False) as client:
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=body,
                headers={**headers, "Host": url.netloc.decode("ascii")},
                extensions={"sni_hostname": url.host, "trace": cut.trace},
            )
            answer = client.send(request, stream=True)
            try:
                return _status_of(answer)
            finally:
                answer.close()
    except WebhookUrlError as error:
        raise DeliveryFailedError(f"expected {error.expected}, got {error.got}") from error
    except (httpx2.HTTPError, OSError) as error:
        late = f" (no whole answer within {seconds:g} s)" if cut.is_shut else ""
        raise DeliveryFailedError(f"{type(error).__name__}: {error}{late}") from error
    finally:
        watchdog.cancel()


def _status_of(answer: httpx2.Response) -> int:
    if answer.is_success:
        return answer.status_code
    reason = f"the answer {answer.status_code}"
    if answer.is_redirect:
        raise DeliveryFailedError(f"{reason}: redirects are not followed", answer.status_code)
    begin = b""
    for chunk in answer.iter_raw(MAX_ANSWER_BYTES):
        begin += chunk
        if len(begin) >= MAX_ANSWER_BYTES:
            break
    text = begin[:MAX_ANSWER_BYTES].decode("utf-8", "replace")
    shown = "".join(character if character.isprintable() else " " for character in text).strip()
    raise DeliveryFailedError(f"{reason}: {shown[:200]}" if shown else reason, answer.status_code)


class _Cut:
    """Ends a connection from another thread: httpx2 bounds each read, but not the sum of many small ones."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.is_shut = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the socket when httpcore has opened it."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_shut:
                self.shut()

    def shut(self) -> None:
        """Shut the connection down, so that whoever waits for it sees its end."""
        self.is_shut = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
