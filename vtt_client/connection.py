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
        BadInputError: the address is no URL of HTTP.
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
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # The proxies of the environment are for other machines, and NO_PROXY is often not set.
    return {"base_url": address, "headers": headers, "trust_env": not _is_here(address.host)}


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
