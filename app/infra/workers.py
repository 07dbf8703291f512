"""Know which workers are alive: each one renews a key in Redis, which expires soon after the worker stops taking messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import redis

from app.domain.errors import QueueUnavailableError
from app.infra.queue import connect_redis

LIVENESS_SECONDS = 15
"""How long a worker counts as alive after its last announcement."""
_PREFIX = "vtt:worker:"


@dataclass(frozen=True)
class LiveWorker:
    """What a worker announces about itself."""

    holder: str
    device: str
    backbone_id: str | None
    """Backbone in its memory."""
    job_id: str | None
    """Job or chunk of a benchmark that it works on."""
    cached_backbone_ids: tuple[str, ...] = ()
    """Published backbones whose weights are in its cache."""
    failed_backbone_ids: tuple[str, ...] = ()
    """Backbones whose weights it could not download lately."""
    is_offline: bool = False
    """Whether it never downloads weights."""
    scan: str = ""
    """Which code runs the scan of VtT's fusion on its device; empty in workers of earlier releases."""
    scan_reason: str = ""
    """Why this one, for people."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Version of the service and of torch in this process, by name."""

    @property
    def host(self) -> str:
        """Name of its machine."""
        return self.holder.split(":")[0]


class WorkerRegistry:
    """The announcements of all workers of one broker."""

    def __init__(self, broker_url: str) -> None:
        self._redis = connect_redis(broker_url)

    def announce(self, worker: LiveWorker) -> None:
        """Announce that the worker is alive, for LIVENESS_SECONDS; raises QueueUnavailableError."""
        try:
            self._redis.set(_PREFIX + worker.holder, json.dumps(asdict(worker)), ex=LIVENESS_SECONDS)
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def withdraw(self, holder: str) -> None:
        """Remove the announcement of a worker that stops; raises QueueUnavailableError."""
        try:
            self._redis.delete(_PREFIX + holder)
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def live_workers(self) -> list[LiveWorker]:
        """Return the workers that are alive; raises QueueUnavailableError."""
        try:
            keys = sorted(self._redis.scan_iter(match=_PREFIX + "*"))
            values = self._redis.mget(keys) if keys else []
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error
        return [_from_json(value) for value in values if value is not None]

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()


def _from_json(value: bytes | str) -> LiveWorker:
    announced: dict[str, Any] = json.loads(value)
    # Workers of newer versions may announce more.
    known = {name: entry for name, entry in announced.items() if name in LiveWorker.__dataclass_fields__}
    for name in ("cached_backbone_ids", "failed_backbone_ids"):
        known[name] = tuple(known.get(name, ()))
    return LiveWorker(**known)


def _unavailable(error: Exception) -> QueueUnavailableError:
    return QueueUnavailableError(
        expected="a Redis that answers at VTT_BROKER_URL",
        got=f"{type(error).__name__}: {error}",
        remedy="Start Redis, or correct VTT_BROKER_URL",
    )
