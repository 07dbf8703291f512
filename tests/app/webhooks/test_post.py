"""One event is posted to one address."""

from __future__ import annotations

import socket

import pytest

from app.webhooks.post import DeliveryFailedError, post_event
from tests.fixtures.receivers import Receiver


def post(url: str, *, may_reach_private: bool = True, seconds: float = 60.0) -> int:
    headers = {"webhook-id": "msg_1", "Content-Type": "application/json"}
    return post_event(url, b"{}", headers, may_reach_private=may_reach_private, seconds=seconds)


def test_an_event_arrives_with_the_name_of_the_host(receiver: Receiver) -> None:
    assert post(f"http://localhost:{receiver.port}/hook?a=1") == 200
    (request,) = receiver.requests
    assert (request.path, request.body) == ("/hook?a=1", b"{}")
    assert (request.headers["host"], request.headers["webhook-id"]) == (f"localhost:{receiver.port}", "msg_1")


def test_the_address_that_was_checked_is_dialled_whatever_the_name_means_later(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    found = socket.getaddrinfo("127.0.0.1", receiver.port, type=socket.SOCK_STREAM)

    def resolve_once(host: object, *rest: object, **options: object) -> object:
        asked.append(host)
        if host == "lab.example":
            assert asked.count(host) == 1, "the name was looked up again"
            return found
        assert host == "127.0.0.1"
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolve_once)
    assert post(f"http://lab.example:{receiver.port}/") == 200
    assert receiver.requests[0].headers["host"] == f"lab.example:{receiver.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_is_sent_to_a_private_address(receiver: Receiver, host: str) -> None:
    with pytest.raises(DeliveryFailedError, match="a public address"):
        post(f"http://{host}:{receiver.port}/", may_reach_private=False)
    assert receiver.requests == []


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [302]
    with pytest.raises(DeliveryFailedError, match="redirects are not followed") as failure:
        post(receiver.url)
    assert (failure.value.status, len(receiver.requests)) == (302, 1)


def test_the_begin_of_a_long_error_is_told(receiver: Receiver) -> None:
    receiver.statuses, receiver.body = [500], b"no room\n" + b"x" * 10_000_000
    with pytest.raises(DeliveryFailedError, match="the answer 500: no room x") as failure:
        post(receiver.url)
    assert len(failure.value.reason) < 300


@pytest.mark.slow
def test_an_answer_that_drips_is_cut_off(receiver: Receiver) -> None:
    receiver.byte_pause_seconds = 0.15  # each read is well within the time limit, all of them are not
    with pytest.raises(DeliveryFailedError, match="within"):
        post(receiver.url, seconds=0.5)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeliveryFailedError, match="ConnectError"):
        post(f"http://127.0.0.1:{port}/")
