"""Clients that are slow on purpose, over real connections: others are answered, and slow ones are dropped."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.fixtures.http_api import encode_image
from tests.fixtures.live_api import ATTACKER, LiveApi, begin_upload, read_answer, running_api
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.services

QUICK = {"VTT_HEAD_SECONDS": "2", "VTT_BODY_PAUSE_SECONDS": "2", "VTT_ANSWER_PAUSE_SECONDS": "2"}
"""Seconds instead of tens of seconds. Everything else has its default."""
STEADY = dict.fromkeys(QUICK, "10")
"""So long that this machine may stand still for some seconds."""
PATIENT = {"VTT_BODY_PAUSE_SECONDS": "120", "VTT_HEAD_SECONDS": "120"}
"""Long enough for a test to act while slow clients are connected."""
FORM = {"cat": ("a.png", encode_image(1))}


@contextmanager
def dripping(connections: list[socket.socket], pause_seconds: float = 0.5) -> Iterator[None]:
    """Repeatedly send a byte over every connection."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(pause_seconds):
            for connection in connections:
                try:
                    connection.send(b"x")
                except OSError:
                    pass

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def open_many(stack: ExitStack, live: LiveApi, number: int, head: bytes, address: str = ATTACKER) -> list[socket.socket]:
    connections = [stack.enter_context(live.connect(address)) for _ in range(number)]
    for connection in connections:
        connection.sendall(head)
    return connections


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def problem_in(answer: bytes) -> dict[str, str]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.slow
def test_260_slow_uploads_stop_nobody_else(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, **PATIENT) as live, live.client() as client, ExitStack() as stack:
        num_threads = live.num_threads
        slow = open_many(stack, live, 260, begin_upload())
        with dripping(slow):
            time.sleep(3)
            statuses = Counter(client.post("/v1/support-sets", files=FORM).status_code for _ in range(10))
            statuses.update(client.get("/v1/models").status_code for _ in range(10))
            statuses.update(client.get("/livez").status_code for _ in range(10))
            refused = [problem_in(read_answer(connection)) for connection in slow[130:132]]
            with live.client(ATTACKER) as attacker:
                own_read, own_upload = attacker.get("/v1/models"), attacker.post("/v1/support-sets", files=FORM)
        assert statuses == {201: 10, 200: 20}
        assert {problem["code"] for problem in refused} == {"access.too_many_at_once"}
        assert "at most 128" in refused[0]["expected"]
        assert own_read.status_code == 200
        assert (own_upload.status_code, own_upload.json()["code"]) == (429, "access.too_many_at_once")
        assert int(own_upload.headers["retry-after"]) >= 1
        assert live.num_threads - num_threads < 100  # those of the pool, and none for each slow client


@pytest.mark.slow
def test_slow_uploads_from_many_addresses_keep_nobody_out(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, **PATIENT) as live, live.client() as client, ExitStack() as stack:
        slow = [
            connection
            for number in range(2, 12)
            for connection in open_many(stack, live, 30, begin_upload(), address=f"127.0.0.{number}")
        ]
        with dripping(slow):
            time.sleep(4)
            set_id = client.post("/v1/support-sets", files=FORM).json()["id"]
            statuses = Counter(client.post("/v1/support-sets", files=FORM).status_code for _ in range(20))
            assert statuses == {201: 20}
            assert client.delete(f"/v1/support-sets/{set_id}").status_code == 204
        ended = [connection for connection in slow if _has_ended(connection)]
        assert len(ended) >= 20, "those that arrived most slowly gave up their places"
        assert problem_in(read_answer(ended[-1]))["code"] == "service.overloaded"


def _has_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
    finally:
        connection.setblocking(True)


@pytest.mark.slow
def test_a_slow_body_ends_with_a_problem_document(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, **QUICK) as live, ExitStack() as stack:
        start = time.monotonic()
        json_head = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
        chunked = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        slow = [live.connect() for _ in range(3)]
        for connection, head in zip(slow, (begin_upload(), json_head, chunked), strict=True):
            stack.enter_context(connection).sendall(head)
        with dripping(slow[:2]):
            answers = [read_answer(connection) for connection in slow]
        assert [status_of(answer) for answer in answers] == [408] * 3
        assert {problem_in(answer)["code"] for answer in answers} == {"request.too_slow"}
        assert all(b"connection: close" in answer.lower() for answer in answers)
        assert time.monotonic() - start < 20


@pytest.mark.slow
def test_a_slow_but_steady_body_is_taken(tmp_path: Path, broker_url: str) -> None:
    body = httpx2.Request("POST", "http://localhost", files=FORM)
    content = body.read() + b" " * 8000
    with running_api(tmp_path, broker_url, **STEADY) as live:

        def steadily() -> Iterator[bytes]:
            for start in range(0, len(content), 400):
                yield content[start : start + 400]
                time.sleep(0.6)

        start = time.monotonic()
        with live.client() as client:
            answer = client.post("/v1/support-sets", content=steadily(), headers={"Content-Type": body.headers["content-type"]})
        assert time.monotonic() - start > 10  # longer than a pause may be
        assert answer.status_code == 201


@pytest.mark.slow
def test_a_slow_head_ends_and_costs_no_place(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, **QUICK) as live, ExitStack() as stack:
        start = time.monotonic()
        silent = open_many(stack, live, 1, b"")
        begun = open_many(stack, live, 1, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        second = open_many(stack, live, 1, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /livez HT")
        with dripping([*begun, *second]):
            answers = [read_answer(connection) for connection in (*silent, *begun, *second)]
        assert answers[0] == b""
        assert (status_of(answers[1]), problem_in(answers[1])["code"]) == (408, "request.too_slow")
        assert answers[2].startswith(b"HTTP/1.1 200")
        assert b"HTTP/1.1 408" in answers[2]
        assert time.monotonic() - start < 20


@pytest.mark.slow
@pytest.mark.parametrize("address", [ATTACKER, "127.0.0.1"])
def test_connections_that_send_nothing_stop_nobody(tmp_path: Path, broker_url: str, address: str) -> None:
    with running_api(tmp_path, broker_url, VTT_MAX_CONNECTIONS="200", **PATIENT) as live, ExitStack() as stack:
        open_many(stack, live, 300, b"GET /v1/mo", address)
        with live.client() as client:
            assert [client.get(path).status_code for path in ("/livez", "/v1/models", "/v1/jobs")] == [200] * 3
        assert live.num_files < 200


@pytest.mark.slow
def test_working_connections_beyond_the_share_are_refused_with_a_reason(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, VTT_MAX_CONNECTIONS="20", **PATIENT) as live, ExitStack() as stack:
        open_many(stack, live, 10, begin_upload())
        time.sleep(3)
        [refused] = open_many(stack, live, 1, b"")
        answer = read_answer(refused)
        assert (status_of(answer), problem_in(answer)["code"]) == (429, "access.too_many_at_once")
        with live.client() as client:
            assert client.get("/livez").status_code == 200
            assert 'vtt_refused_requests_total{line="connections"} 1.0' in client.get("/metrics").text


@pytest.mark.slow
def test_a_trusted_proxy_speaks_for_many(tmp_path: Path, broker_url: str) -> None:
    bounds = {"VTT_MAX_CONNECTIONS": "40", "VTT_MAX_REQUESTS": "20", "FORWARDED_ALLOW_IPS": ATTACKER, **PATIENT}
    with running_api(tmp_path, broker_url, **bounds) as live, ExitStack() as stack:
        slow = open_many(stack, live, 12, begin_upload(b"X-Forwarded-For: 203.0.113.1"))
        time.sleep(3)
        assert [status_of(read_answer(connection)) for connection in slow[10:]] == [429] * 2
        with live.client(ATTACKER) as proxy:
            # The proxy has more connections than one client may have; other clients of it have places.
            also = open_many(stack, live, 14, b"GET /v1/mo")
            answer = proxy.post("/v1/support-sets", files=FORM, headers={"X-Forwarded-For": "203.0.113.2"})
            assert answer.status_code == 201
        assert [connection.fileno() > 0 for connection in also] == [True] * 14


@pytest.mark.slow
def test_the_rest_of_a_refused_body_is_not_read_for_ever(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, VTT_REQUIRE_KEYS="1", **QUICK) as live, live.connect() as connection:
        connection.sendall(begin_upload())
        with dripping([connection]):
            answer = read_answer(connection)
        assert status_of(answer) == 401


@pytest.mark.slow
def test_a_client_that_does_not_read_its_answer_is_dropped(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, **STEADY) as live, ExitStack() as stack:
        for _ in range(5):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stack.enter_context(connection).connect(("127.0.0.1", live.port))
            # Answers of 200 kB each, more than the kernel's buffers take.
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        wait_until(lambda: live.num_connections >= 5)
        wait_until(lambda: live.num_connections == 0)


@pytest.mark.slow
def test_a_slow_but_steady_reader_gets_its_whole_answer(tmp_path: Path, broker_url: str) -> None:
    num_answers = 60
    with running_api(tmp_path, broker_url, **STEADY) as live, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", live.port))
        ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(ask * (num_answers - 1) + ask[:-2] + b"Connection: close\r\n\r\n")
        received, start = bytearray(), time.monotonic()
        while part := connection.recv(1_000_000):
            received += part
            if time.monotonic() - start < 14:  # longer than it may read nothing
                time.sleep(0.05)
        assert received.count(b"HTTP/1.1 200") == num_answers
        assert time.monotonic() - start > 10


@pytest.mark.slow
def test_128_honest_requests_at_once_from_one_address_are_answered(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url, VTT_UPLOAD_MAX_WAIT_SECONDS="60") as live, ThreadPoolExecutor(128) as pool:
        barrier = threading.Barrier(128)

        def upload(colour: int) -> int:
            with live.client() as client:
                barrier.wait(60)
                return client.post("/v1/support-sets", files={"cat": ("a.png", encode_image(colour))}).status_code

        assert Counter(pool.map(upload, range(128))) == {201: 128}
