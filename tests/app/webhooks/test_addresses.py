"""Where a webhook may be sent."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import httpx2
import pytest

from app.domain.errors import WebhookUrlError
from app.webhooks.addresses import check_url, is_public, resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "192.0.0.192",
        "168.63.129.16",
        "fec0::1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "64:ff9b:1::a00:1",
    ],
)
def test_an_address_of_the_inside_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "text",
    [
        "ftp://lab.example/",
        "file:///etc/passwd",
        "lab.example",
        "http://",
        "https://user:secret@lab.example/",
        "https://user@lab.example/",
        "https://lab.example/#part",
        "http://127.0.0.1:9000/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://lab.example:99999/",
        "https://lab.example/" + "a" * 2000,
    ],
)
def test_a_url_that_cannot_be_a_webhook_is_refused(text: str) -> None:
    with pytest.raises(WebhookUrlError):
        check_url(text, may_reach_private=False)


def test_a_private_address_is_allowed_where_the_operator_allows_it() -> None:
    assert check_url("http://127.0.0.1:9000/hook", may_reach_private=True).port == 9000
    assert resolve(httpx2.URL("http://127.0.0.1:9000/"), may_reach_private=True) == "127.0.0.1"


def test_a_name_of_a_private_address_is_refused_when_it_is_dialled() -> None:
    assert check_url("http://localhost:9000/", may_reach_private=False)
    with pytest.raises(WebhookUrlError, match="a public address"):
        resolve(httpx2.URL("http://localhost:9000/"), may_reach_private=False)


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(WebhookUrlError, match=r"10\.0\.0\.1"):
        resolve(httpx2.URL("http://lab.example/"), may_reach_private=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found[:1])
    assert resolve(httpx2.URL("http://lab.example/"), may_reach_private=False) == "93.184.216.34"
