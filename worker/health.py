"""Say whether the worker of this machine takes messages or works: `python -m worker.health`, for probes of a container."""

from __future__ import annotations

import socket
import sys

from app.domain.errors import QueueUnavailableError
from app.infra.settings import load_settings
from app.infra.workers import WorkerRegistry


def is_alive(registry: WorkerRegistry, machine: str) -> bool:
    """Return whether a worker of the machine has shown a sign of life, or nobody can tell.

    Without Redis no worker can show one, and to start them all again would not help.

    Args:
        registry: where workers announce themselves.
        machine: name of the machine or container, the first part of a holder's name.
    """
    try:
        return any(worker.holder.split(":")[0] == machine for worker in registry.live_workers())
    except QueueUnavailableError:
        return True


def main() -> None:
    """Exit with 0 where the worker lives, else with 1."""
    registry = WorkerRegistry(load_settings().resolved_broker_url)
    try:
        sys.exit(0 if is_alive(registry, socket.gethostname()) else 1)
    finally:
        registry.close()


if __name__ == "__main__":
    main()
