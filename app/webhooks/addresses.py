"""Check where a webhook is sent: a URL when it is created, an address when it is dialled.

A name may mean a public address when it is checked and a private one when it is dialled (DNS rebinding). So the name is
resolved once for each attempt, every address is checked, and exactly one of those is dialled.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx2

from app.domain.errors import WebhookUrlError

MAX_URL_CHARACTERS = 2000
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")
"""All IPv6 addresses of the internet are in here; `is_global` of some Pythons takes others for public too."""
_OF_CLOUDS = (IPv4Network("192.0.0.0/24"), IPv4Network("168.63.129.16/32"))
"""Addresses that look public, and where clouds tell a machine its secrets."""
_REMEDY = "Name a public http or https address; the operator may allow private ones with VTT_WEBHOOKS_MAY_REACH_PRIVATE"
_PORTS = {"http": 80, "https": 443}


def check_url(text: str, *, may_reach_private: bool) -> httpx2.URL:
    """Return the URL of a webhook, if events may be sent there as far as the URL tells.

    Raises:
        WebhookUrlError: it is none, has another scheme, has a user or a password in it, or names a private address.
    """
    try:
        url = httpx2.URL(text)
        host = url.host
    except (httpx2.InvalidURL, ValueError) as error:
        raise _refused("a URL", f"{text[:100]!r} ({error})") from error
    if url.scheme not in _PORTS or not host:
        raise _refused("a URL that begins with http:// or https:// and names a host", repr(text[:100]))
    if url.port is not None and not 0 < url.port < 2**16:
        raise _refused("a port from 1 to 65535", str(url.port))
    if url.userinfo or url.fragment or len(text) > MAX_URL_CHARACTERS or not text.isprintable():
        raise _refused(
            f"a URL without user, password and fragment, of at most {MAX_URL_CHARACTERS} characters", f"{host!r} with them"
        )
    try:
        literal = ip_address(host)
    except ValueError:
        return url
    if not may_reach_private:
        _check_public(host, literal)
    return url


def resolve(url: httpx2.URL, *, may_reach_private: bool) -> str:
    """Return the address to dial for a URL.

    Raises:
        WebhookUrlError: its name has no address, or one that is not public.
    """
    port = url.port or _PORTS[url.scheme]
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refused("a host name that can be resolved", f"{url.host!r} ({error})") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not may_reach_private:
        for address in addresses:
            _check_public(url.host, ip_address(address.split("%")[0]))
    return addresses[0]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one of the public internet, also the IPv4 address inside an IPv6 one."""
    if isinstance(address, IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if any(one is not None and not is_public(one) for one in inner):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address not in _UNICAST and address not in _NAT64:
            return False
    elif any(address in network for network in _OF_CLOUDS):
        return False
    return address.is_global and not address.is_multicast


def _check_public(host: str, address: IPv4Address | IPv6Address) -> None:
    if not is_public(address):
        raise _refused("a public address", f"{host!r}, which is {address}")


def _refused(expected: str, got: str) -> WebhookUrlError:
    return WebhookUrlError(expected=expected, got=got, remedy=_REMEDY)
