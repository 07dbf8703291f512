"""Refuse to listen on an address that other machines reach, while no key is required."""

from __future__ import annotations

import ipaddress

from app.domain.errors import UnsafeHostError


def check_host(host: str, *, requires_keys: bool, allows_unauthenticated: bool) -> None:
    """Accept a loopback address, or any other if keys are required or the operator allows requests without them.

    Args:
        host: the address or name that the server will listen on.
        requires_keys: whether every request needs a key.
        allows_unauthenticated: whether the operator accepts that anybody who reaches the port may use the service.

    Raises:
        UnsafeHostError: the address can be reached from other machines.
    """
    if requires_keys or allows_unauthenticated or is_loopback(host):
        return
    raise UnsafeHostError(
        expected="a loopback address such as '127.0.0.1', since this service requires no key",
        got=repr(host),
        remedy="Set VTT_REQUIRE_KEYS=1 and make keys with `vtt keys create`. On a network you trust, you can set "
        "VTT_ALLOW_UNAUTHENTICATED=1 instead",
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
