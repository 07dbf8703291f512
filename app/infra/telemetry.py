"""Set up the log: one event a line, with the ids it belongs to, for people or for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.infra.log_thread import LogThreadHandler, add_bound_context
from app.infra.tracebacks import format_page


def _catch_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Store the exception that is being handled, since only this thread can see it."""
    if event.get("exc_info") is True:
        event["exc_info"] = sys.exc_info()
    return event


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _catch_exception,
)


def configure_logging(log_format: str, level: str = "INFO", *, in_thread: bool = False) -> None:
    """Send the log of this process and its libraries to standard error.

    Tracebacks are at most a page long and contain no values of variables.

    Args:
        log_format: `console` or `json`.
        level: lowest level that is written.
        in_thread: write from a thread of its own, for a process with an event loop.
    """
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer: Processor = structlog.processors.JSONRenderer() if log_format == "json" else console
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.ExceptionRenderer(format_page),
    ]
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    foreign = [add_bound_context, *_SHARED]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=[*last, renderer]))
    root = logging.getLogger()
    root.handlers = [LogThreadHandler(handler) if in_thread else handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def bound_request_id() -> str | None:
    """Return the id of the request that this thread or task answers, or None."""
    return _bound("request_id")


def bind_job(job_id: str, **more: Any) -> None:
    """Add the job's id to every log line of this thread."""
    structlog.contextvars.bind_contextvars(job_id=job_id, **more)


def _bound(name: str) -> str | None:
    value = structlog.contextvars.get_contextvars().get(name)
    return str(value) if value is not None else None


def unbind_job() -> None:
    """Remove the ids that were bound."""
    structlog.contextvars.clear_contextvars()
