"""Log one event a line, with what it is about bound to it, for people or for machines."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(log_format: str, level: str = "INFO") -> None:
    """Send this process's log, that of libraries too, to standard error.

    Args:
        log_format: `console` or `json`.
        level: lowest level that is shown.
    """
    is_json = log_format == "json"
    renderer: Processor = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    last: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if is_json:
        last.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=list(_SHARED), processors=[*last, renderer]))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def bound_request_id() -> str | None:
    """Return the id of the request that this thread or task answers, or None outside of one."""
    return _bound("request_id")


def bind_job(job_id: str, **more: Any) -> None:
    """Add the job's id to every event of this thread."""
    structlog.contextvars.bind_contextvars(job_id=job_id, **more)


def _bound(name: str) -> str | None:
    value = structlog.contextvars.get_contextvars().get(name)
    return str(value) if value is not None else None


def unbind_job() -> None:
    """Forget what was bound."""
    structlog.contextvars.clear_contextvars()
