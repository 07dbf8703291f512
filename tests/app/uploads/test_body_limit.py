"""A body over its limit is refused before it is parsed or spooled, whether it announces its length or not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.uploads import form
from tests.fixtures.http_api import MakeApi


@pytest.fixture
def client(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(form.SpooledForm, "__init__", None)  # nothing may come so far
    return make_api(max_request_bytes=50_000, max_json_bytes=1_000).client


def chunks(num_chunks: int) -> Iterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="cat"; filename="a.png"\r\n\r\n'
    for _ in range(num_chunks):
        yield bytes(10_000)


def test_an_announced_length_over_the_limit_is_refused_unread(client) -> None:
    answer = client.post("/v1/support-sets", files={"cat": ("a.png", bytes(60_000))})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


def test_a_chunked_form_is_cut_off_at_the_limit(make_api: MakeApi) -> None:
    client = make_api(max_request_bytes=50_000).client
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/support-sets", content=chunks(100), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert "50000 bytes" in answer.json()["expected"]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_json_body_has_a_smaller_limit(client, is_chunked: bool) -> None:
    body = b'{"support_set_id": "' + b"x" * 2_000 + b'"}'
    content = iter([body[:900], body[900:]]) if is_chunked else body
    answer = client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
