"""Tell which workers are alive: each keeps a key in Redis that expires soon after it stops taking messages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import redis

from app.domain.errors import QueueUnavailableError
from app.infra.queue import connect_redis

LIVENESS_SECONDS = 15
"""How long a worker counts as alive after its last sign."""
_PREFIX = "vtt:worker:"


@dataclass(frozen=True)
class LiveWorker:
    """What a worker says about itself."""

    holder: str
    device: str
    backbone_id: str | None
    """Backbone in its memory."""
    job_id: str | None
    """What it works on."""
    cached_backbone_ids: tuple[str, ...] = ()
    """Published backbones whose weights are in its cache."""
    failed_backbone_ids: tuple[str, ...] = ()
    """Backbones whose weights it could not get lately."""
    is_offline: bool = False
    """Whether it never downloads weights."""

    @property
    def host(self) -> str:
        """Name of its machine."""
        return self.holder.split(":")[0]


class WorkerRegistry:
    """The signs of life of all workers of one broker."""

    def __init__(self, broker_url: str) -> None:
        self._redis = connect_redis(broker_url)

    def announce(self, worker: LiveWorker) -> None:
        """Say that the worker is alive, for LIVENESS_SECONDS; raises QueueUnavailableError."""
        try:
            self._redis.set(_PREFIX + worker.holder, json.dumps(asdict(worker)), ex=LIVENESS_SECONDS)
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def withdraw(self, holder: str) -> None:
        """Say that the worker has stopped; raises QueueUnavailableError."""
        try:
            self._redis.delete(_PREFIX + holder)
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def live_workers(self) -> list[LiveWorker]:
        """Return the workers that have shown a sign of life lately; raises QueueUnavailableError."""
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
    told: dict[str, Any] = json.loads(value)
    known: dict[str, Any] = {
        name: told[name] for name in told if name in LiveWorker.__dataclass_fields__
    }  # newer ones tell more
    for name in ("cached_backbone_ids", "failed_backbone_ids"):
        known[name] = tuple(known.get(name, ()))
    return LiveWorker(**known)


def _unavailable(error: Exception) -> QueueUnavailableError:
    return QueueUnavailableError(
        expected="a Redis that answers at VTT_BROKER_URL",
        got=f"{type(error).__name__}: {error}",
        remedy="Start Redis, or correct VTT_BROKER_URL",
    )
