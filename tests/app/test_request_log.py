"""A request has an id, a line in the log and a place in the metrics."""

from __future__ import annotations

import pytest
import structlog

from app.infra.job_repository import JobRepository
from app.request_log import CLIENT_GONE, RequestLogMiddleware, choose_request_id
from tests.fixtures.http_api import Api
from tests.fixtures.logs import LogLines


def test_an_answer_carries_the_id_that_came_with_its_request(api: Api) -> None:
    assert api.client.get("/livez", headers={"X-Request-ID": "proxy-7"}).headers["x-request-id"] == "proxy-7"


@pytest.mark.parametrize("given", [None, "", "a" * 101, "two words", "line\nbreak", "café", "{}"])
def test_an_id_that_could_forge_a_log_is_replaced(given: str | None) -> None:
    assert choose_request_id(given).startswith("req_")


def test_two_requests_without_an_id_get_different_ones(api: Api) -> None:
    ids = {api.client.get("/livez").headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_a_request_is_one_line_with_its_route_and_not_its_path(api: Api, log_lines: LogLines) -> None:
    api.client.get("/v1/jobs/job_0123456789", headers={"X-Request-ID": "proxy-7"})
    (line,) = log_lines.of("request")
    assert {"request_id": "proxy-7", "method": "GET", "route": "/v1/jobs/{job_id}", "status": 404}.items() <= line.items()
    assert line["ms"] > 0


def test_what_an_endpoint_logs_in_its_thread_carries_the_request_id(
    api: Api, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log(*_: object) -> None:
        structlog.get_logger("inside").info("inside")
        raise RuntimeError("broken")

    monkeypatch.setattr(JobRepository, "get", log)
    answer = api.client.get("/v1/jobs/job_0123456789", headers={"X-Request-ID": "proxy-8"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "proxy-8")
    assert [line["request_id"] for line in log_lines.of("inside")] == ["proxy-8"]
    assert [line["status"] for line in log_lines.of("request")] == [500]


def test_probes_are_no_noise_in_the_log(api: Api, log_lines: LogLines) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        api.client.get(path)
    assert log_lines.of("request") == []


def test_the_refusals_of_other_middlewares_are_logged_too(api: Api, log_lines: LogLines) -> None:
    too_long = str(api.context.settings.max_json_bytes + 1)
    answer = api.client.post("/v1/jobs", content=b"", headers={"Content-Length": too_long})
    assert answer.status_code == 413
    assert answer.headers["x-request-id"]
    assert [line["status"] for line in log_lines.of("request")] == [413]


def test_requests_are_counted_by_route_method_and_status_with_their_bytes(api: Api) -> None:
    api.client.get("/v1/jobs/job_0123456789")
    api.client.get("/v1/nothing/here")
    api.client.request("BREW", "/livez")
    api.client.post("/v1/jobs", json={})
    lines = api.client.get("/metrics").text.splitlines()
    for line in (
        'vtt_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0',
        'vtt_http_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'vtt_http_requests_total{method="POST",route="/v1/jobs",status="422"} 1.0',
        'vtt_http_request_seconds_count{method="POST",route="/v1/jobs"} 1.0',
        'vtt_http_received_bytes_total{route="/v1/jobs"} 2.0',
    ):
        assert line in lines
    assert any('method="other"' in line for line in lines)
    assert not any("BREW" in line for line in lines)


async def _leave(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    return None


def test_a_client_that_leaves_before_the_answer_is_told_apart(log_lines: LogLines, api: Api) -> None:
    import anyio

    scope = {"type": "http", "method": "GET", "headers": [], "app": api.client.app}
    anyio.run(RequestLogMiddleware(_leave), scope, None, None)
    assert [line["status"] for line in log_lines.of("request")] == [CLIENT_GONE]


def test_other_protocols_pass(log_lines: LogLines) -> None:
    import anyio

    anyio.run(RequestLogMiddleware(_leave), {"type": "lifespan"}, None, None)
    assert log_lines.of("request") == []


def test_a_job_remembers_the_request_that_made_it(api: Api) -> None:
    support_set_id = api.upload()
    made = api.client.post("/v1/jobs", json={"support_set_id": support_set_id}, headers={"X-Request-ID": "proxy-9"})
    with api.context.readers() as session:
        assert JobRepository(session).get(made.json()["id"]).request_id == "proxy-9"
