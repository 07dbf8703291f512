"""Keep foreign web pages from using the service through the browser of a user who can reach it.

Two attacks are possible on a service without keys. A page can send a form to this service (cross-site request forgery). And a
page can point its own host name at this machine, so that the browser treats the service as part of the page (DNS rebinding).
The first shows in the headers `Origin` and `Sec-Fetch-Site`, the second in `Host`. Browsers set all three by themselves, and
pages cannot change them. Tools such as curl send no `Origin`, so these rules do not affect them.

Source: OWASP "Cross-Site Request Forgery Prevention"; W3C "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.access.loopback import is_loopback
from app.domain.errors import ForeignHostError, ForeignOriginError
from app.infra.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing; a test checks this for all GET endpoints."""
ANY = "*"
DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s@/]+)(?::(?P<port>[0-9]{1,5}))?")
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class BrowserRules:
    """What one process allows browsers to do."""

    bind_host: str
    """Address or name that the process listens on."""
    requires_keys: bool
    allowed_hosts: tuple[str, ...] = ()
    """More host names of the service; `*` allows all, `*.lab.example` or `.lab.example` all names below `lab.example`."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may send requests; `*` allows all."""
    machine_name: str = ""
    """Host name of this machine."""


def browser_rules(settings: Settings) -> BrowserRules:
    """Return the rules of a process with these settings."""
    return BrowserRules(
        bind_host=settings.host,
        requires_keys=settings.require_keys,
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.cors_origins,
        machine_name=socket.gethostname(),
    )


def check_request(rules: BrowserRules, method: str, headers: Mapping[str, str]) -> None:
    """Refuse a request that a foreign web page may have caused.

    A key in the header `Authorization` proves intent, because a browser never adds it by itself. So a service that requires
    keys checks only requests with a cookie and without a key.

    Args:
        rules: the rules of the process.
        method: method of the request.
        headers: headers of the request, with names in lower case.

    Raises:
        ForeignHostError: no key is required, and the Host header does not name this service.
        ForeignOriginError: the request would change data, and it comes from a page of another site.
    """
    if not rules.requires_keys:
        _check_host(rules, headers.get("host"))
    elif "cookie" not in headers or "authorization" in headers:
        return
    if method not in SAFE_METHODS:
        _check_origin(rules, headers)


def is_own_host(rules: BrowserRules, host: str) -> bool:
    """Return whether a `Host` header names this service.

    The names of the service are those of loopback and the address that the process listens on. If other machines can reach the
    process, every IP address and the name of its machine are allowed too, because DNS rebinding needs a name that belongs to
    the attacker. The port does not matter.

    Args:
        rules: the rules of the process.
        host: the header, with or without a port.
    """
    if ANY in rules.allowed_hosts:
        return True
    parts = _HOST_AND_PORT.fullmatch(host.strip())
    if parts is None:
        return False
    name = parts["host"].strip("[]").lower().rstrip(".")
    if is_loopback(name) or name.endswith(".localhost") or name == rules.bind_host.strip("[]").lower():
        return True
    if any(_matches(name, allowed.lower()) for allowed in rules.allowed_hosts):
        return True
    if is_loopback(rules.bind_host):
        return False
    return _is_address(name) or name in _names_of(rules.machine_name)


def _check_host(rules: BrowserRules, host: str | None) -> None:
    if host is None or is_own_host(rules, host):  # HTTP/1.0 needs no Host header, but browsers always send one
        return
    raise ForeignHostError(
        expected="a Host header with a name of this service, such as localhost",
        got=_shown(host),
        remedy="Use http://localhost with the port of the service. To allow this name, the operator adds it to "
        "VTT_ALLOWED_HOSTS (names, separated by commas)",
    )


def _check_origin(rules: BrowserRules, headers: Mapping[str, str]) -> None:
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "").lower()
    if origin is None:
        if site != "cross-site":
            return
    elif ANY in rules.allowed_origins or origin.lower() in rules.allowed_origins:
        return
    elif _is_same_site(origin, headers.get("host", "")):
        return
    raise ForeignOriginError(
        expected="a request from this service's own pages, or from a tool that is not a browser",
        got="one from another web site" if origin is None else f"one from a page with the origin {_shown(origin)}",
        remedy="If the site can be trusted, the operator adds its origin to VTT_CORS_ORIGINS (such as https://lab.example, "
        "separated by commas)",
    )


def _is_same_site(origin: str, host: str) -> bool:
    """Return whether host and port are equal. Schemes are not compared, since a proxy may terminate TLS."""
    parts = _HOST_AND_PORT.fullmatch(host.strip())
    try:
        page = urlsplit(origin)
        page_host, page_port = (page.hostname or "").rstrip("."), page.port
    except ValueError:
        return False
    if parts is None or page.scheme not in DEFAULT_PORTS or not page_host:
        return False
    default_port = DEFAULT_PORTS[page.scheme]
    own_host, own_port = parts["host"].strip("[]").lower().rstrip("."), int(parts["port"] or default_port)
    return page_host == own_host and (page_port or default_port) == own_port


def _matches(name: str, allowed: str) -> bool:
    if allowed.startswith(("*.", ".")):
        return name.endswith(allowed.removeprefix("*"))
    return name == allowed.strip("[]")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _names_of(machine_name: str) -> set[str]:
    name = machine_name.lower()
    return {name, name.split(".")[0]} - {""}


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "...")
