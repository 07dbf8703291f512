"""How a client is connected."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import httpx2

from vtt_client.errors import BadInputError

TIMEOUT_SECONDS = 120.0


def connection(url: str, key: str | None) -> dict[str, Any]:
    """Return the arguments of an HTTP client for a service.

    Args:
        url: address of the service.
        key: API key; None where the service asks for none.

    Raises:
        BadInputError: the address is no URL of HTTP, or the key cannot be sent.
    """
    try:
        address = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        address = httpx2.URL("")
    if address.scheme not in {"http", "https"} or not address.host:
        raise BadInputError(
            code="client.bad_url",
            title="Bad address",
            expected="an address such as http://127.0.0.1:8000",
            got=repr(url),
            remedy="Give the address that `vtt up` prints",
        )
    if key:
        _check_sendable("key", "the API key", key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # The proxies of the environment are for other machines, and NO_PROXY is often not set.
    return {"base_url": address, "headers": headers, "trust_env": not _is_here(address.host)}


def check_idempotency_key(key: str) -> str:
    """Return the key of a request that may be sent twice.

    Raises:
        BadInputError: it cannot be sent.
    """
    _check_sendable("idempotency_key", "the idempotency key", key)
    return key


def _check_sendable(what: str, name: str, value: str) -> None:
    """Refuse what no header can hold, without showing it: it may be secret."""
    wrong = next((sign for sign in value if not "!" <= sign <= "~"), None)
    if wrong is None:
        return
    found = {"\n": "a line break", "\r": "a line break", " ": "a space", "\t": "a tab"}.get(wrong)
    if found is None:
        found = "a control character" if wrong.isascii() else "a character that is not ASCII"
    raise BadInputError(
        code=f"client.bad_{what}",
        title="Unusable key",
        expected=f"{name} as it was given out, of ASCII letters, digits and signs",
        got=f"{found} at place {value.index(wrong) + 1} of {len(value)}",
        remedy="Pass the key alone, without what stands around it",
    )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
