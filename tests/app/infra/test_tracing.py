"""Spans reach a real OTLP receiver, from the API and from the worker, in one trace; without an endpoint nothing is imported."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from app.cli.demo import running_service
from app.domain.errors import SettingsError
from app.infra.tracing import attempt_span, current_traceparent, start_tracing
from tests.fixtures.http_api import encode_image


class Receiver:
    """Takes spans over OTLP/HTTP."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource_spans in request.resource_spans:
                    attributes = {item.key: item.value.string_value for item in resource_spans.resource.attributes}
                    for scope in resource_spans.scope_spans:
                        receiver.spans += [(attributes["service.name"], span) for span in scope.spans]
                self.send_response(200)
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, service: str, name: str) -> Any:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for sender, span in list(self.spans):
                if (sender, span.name) == (service, name):
                    return span
            time.sleep(0.1)
        raise AssertionError(f"no span {name!r} of {service!r} among {[(sender, span.name) for sender, span in self.spans]}")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.close()


@pytest.mark.services
@pytest.mark.slow
def test_a_request_and_the_attempt_at_its_job_are_one_trace(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("VTT_LOG_FORMAT", "json")
    with running_service(tmp_path / "data") as url, httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
        images = [(label, (f"{place}.png", encode_image(place * 50))) for place, label in enumerate(("cat", "dog"))]
        made = http.post("/v1/support-sets", files=images)
        body = {"support_set_id": made.json()["id"], "recipe": {"iterations": 1, "num_views": 1}}
        job = http.post("/v1/jobs", json=body, headers={"X-Request-ID": "from-a-proxy"})
        assert job.status_code == 202, job.text
        request = receiver.wait_for("vtt-api", "POST /v1/jobs")
        attempt = receiver.wait_for("vtt-worker", "attempt")
        assert http.get("/livez").status_code == 200
    facts = {item.key: item.value.string_value or item.value.int_value for item in attempt.attributes}
    assert {
        "vtt.job_id": job.json()["id"],
        "vtt.request_id": "from-a-proxy",
        "vtt.attempt": 1,
        "vtt.outcome": "succeeded",
    } == facts
    assert (attempt.trace_id, attempt.parent_span_id) == (request.trace_id, request.span_id)
    names = [span.name for service, span in receiver.spans if service == "vtt-api"]
    assert names.count("POST /v1/jobs") == 1
    assert not any("livez" in name or "readyz" in name for name in names)
    lines = [json.loads(line) for line in (tmp_path / "data" / "up.log").read_text().splitlines() if line.startswith("{")]
    (published,) = [line for line in lines if line["event"] == "published"]
    assert (published["request_id"], published["job_id"]) == ("from-a-proxy", job.json()["id"])
    assert [line["status"] for line in lines if line["event"] == "request" and line["request_id"] == "from-a-proxy"] == [202]


@pytest.mark.services
def test_without_an_endpoint_nothing_is_traced_or_imported() -> None:
    program = (
        "import sys, app.infra.tracing as tracing\n"
        "assert not tracing.start_tracing('vtt-worker', {})\n"
        "assert tracing.current_traceparent() is None\n"
        "with tracing.attempt_span(None): pass\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_sdk_can_be_disabled_by_its_own_variable() -> None:
    assert not start_tracing("vtt-api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"})


def test_an_attempt_without_tracing_runs_as_usual() -> None:
    with attempt_span(None, job_id="job_1") as note:
        note("outcome", "succeeded")
    assert current_traceparent() is None


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match="otel"):
        start_tracing("vtt-api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
