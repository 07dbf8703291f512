import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from app.infra.log_thread import LogThreadHandler
from app.infra.telemetry import bind_job, configure_logging, unbind_job


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    for handler in root.handlers:
        if isinstance(handler, LogThreadHandler):
            handler.close()
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


def written(capsys: pytest.CaptureFixture[str]) -> str:
    """What has been written so far, by whatever thread."""
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capsys.readouterr().err


def fail_with_a_secret() -> None:
    secret_key = b"vtt_key_0123456789" * 1000
    raise RuntimeError(f"broken after {len(secret_key)} bytes")


@pytest.mark.parametrize("in_thread", [False, True])
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_is_a_page_without_values_whoever_logs_it(
    log_format: str, in_thread: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(log_format, in_thread=in_thread)
    bind_job("job_1")
    try:
        fail_with_a_secret()
    except RuntimeError as error:
        structlog.get_logger("ours").exception("crashed")
        logging.getLogger("a.library").error("Exception in ASGI application", exc_info=error)
    unbind_job()
    shown = written(capsys)
    assert shown.count("RuntimeError: broken after 18000 bytes") == 2
    assert shown.count("job_1") == 2, "the context of the request is in lines of libraries too"
    assert "vtt_key_0123456789vtt_key" not in shown
    assert len(shown) < 6000


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
