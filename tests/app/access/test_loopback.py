"""Only loopback is open without keys."""

import pytest

from app.access.loopback import check_host
from app.domain.errors import UnsafeHostError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_permission(host: str) -> None:
    check_host(host, requires_keys=False, allows_unauthenticated=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org"])
def test_other_addresses_need_keys_or_permission(host: str) -> None:
    with pytest.raises(UnsafeHostError, match="VTT_REQUIRE_KEYS"):
        check_host(host, requires_keys=False, allows_unauthenticated=False)
    check_host(host, requires_keys=False, allows_unauthenticated=True)


def test_keys_open_every_address() -> None:
    check_host("0.0.0.0", requires_keys=True, allows_unauthenticated=False)
