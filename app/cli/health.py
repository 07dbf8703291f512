"""`vtt health`: tell whether this machine's API, or its worker, can work; for container health checks."""

from __future__ import annotations

import socket
from typing import Annotated

import typer

from app.cli.console import FAILURE_EXIT, stderr_console

TIMEOUT_SECONDS = 5.0


def health(
    worker: Annotated[bool, typer.Option("--worker", help="Check this host's worker instead of its API.")] = False,
) -> None:
    """Exit with 0 if this machine's API is ready, else with 1.

    With --worker: exit with 0 if a worker of this host has lately announced itself in Redis, which it does only while it takes
    messages or works on a job. While Redis is away nobody can tell, and the exit code is 0.
    """
    is_fit, detail = _check_worker() if worker else _check_api()
    stderr_console().print(detail, markup=False)
    raise typer.Exit(0 if is_fit else FAILURE_EXIT)


def _check_api() -> tuple[bool, str]:
    # Imported here, so that `vtt --help` does without them.
    import httpx2  # noqa: PLC0415

    from app.infra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/readyz"
    try:
        answer = httpx2.get(url, timeout=TIMEOUT_SECONDS, trust_env=False)
        parts = answer.json()["parts"]
    except (httpx2.HTTPError, ValueError, KeyError) as error:
        return False, f"{url}: {type(error).__name__}: {error}"
    lines = [f"{name}: {part['condition']}, {part['detail']}" for name, part in parts.items()]
    return answer.status_code == httpx2.codes.OK, "\n".join(lines)


def _check_worker() -> tuple[bool, str]:
    from app.domain.errors import QueueUnavailableError  # noqa: PLC0415
    from app.infra.settings import load_settings  # noqa: PLC0415
    from app.infra.workers import WorkerRegistry  # noqa: PLC0415

    registry = WorkerRegistry(load_settings().resolved_broker_url)
    host = socket.gethostname()
    try:
        ours = [worker for worker in registry.live_workers() if worker.host == host]
    except QueueUnavailableError as error:
        # Nobody can tell, and a restart of all workers would not bring Redis back.
        return True, str(error)
    finally:
        registry.close()
    shown = ", ".join(f"{worker.holder} on {worker.device}, {worker.job_id or 'no job'}" for worker in ours)
    return bool(ours), shown or f"no worker of {host} has announced itself lately"
