import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.infra.telemetry import bind_job, configure_logging, unbind_job


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    unbind_job()


def test_every_line_of_a_job_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    bind_job("job_1", attempt=2)
    structlog.get_logger("ours").info("claimed", step=3)
    logging.getLogger("a.library").warning("old %s", "news")
    unbind_job()
    structlog.get_logger("ours").info("after")
    first, second, third = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert {"event": "claimed", "job_id": "job_1", "attempt": 2, "step": 3, "level": "info"}.items() <= first.items()
    assert {"event": "old news", "job_id": "job_1", "logger": "a.library"}.items() <= second.items()
    assert "job_id" not in third


def test_a_failure_is_logged_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        structlog.get_logger().exception("crashed")
    assert "RuntimeError: broken" in json.loads(capsys.readouterr().err)["exception"]


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("console", level="WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud", step=1)
    shown = capsys.readouterr().err
    assert "loud" in shown
    assert "quiet" not in shown
