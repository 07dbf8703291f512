import pytest

from app.cli.bench.load_report import sum_up
from app.cli.bench.load_run import Outcome


def test_the_latency_of_the_accepted_is_apart_from_that_of_the_refused() -> None:
    accepted = [Outcome("predict", seconds / 100, 200) for seconds in range(101)]
    refused = [Outcome("predict", 9.0, 503, retry_after="3"), Outcome("upload", 9.0, 429, retry_after="7")]
    others = [Outcome("upload", 1.0, 0, "ReadTimeout"), Outcome("livez", 0.5, 200), Outcome("job", 1.0, 503)]
    figures = sum_up([*accepted, *refused, *others], elapsed_seconds=10.0)
    assert figures["requests"] == 105
    assert figures["requests_per_second"] == 10.5
    assert figures["accepted_per_second"] == 10.1
    assert figures["accepted_ms"] == pytest.approx({"p50": 500, "p95": 950, "p99": 990, "max": 1000})
    assert figures["statuses"] == {"0": 1, "200": 101, "429": 1, "503": 2}
    assert figures["failures"] == {"ReadTimeout": 1}
    assert figures["refusals"] == {
        "share": pytest.approx(3 / 105),
        "number": 3,
        "with_retry_after": 2,
        "retry_after_seconds": [3.0, 7.0],
    }
    assert figures["kinds"]["predict"]["other_ms"]["p50"] == 9000
    assert figures["kinds"]["livez"]["accepted_ms"]["p50"] == 500
    assert figures["kinds"]["job"]["accepted_ms"] is None


def test_nothing_refused_asks_nobody_to_wait() -> None:
    assert sum_up([Outcome("job", 1.0, 202)], 1.0)["refusals"]["retry_after_seconds"] is None
