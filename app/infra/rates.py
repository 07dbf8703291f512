"""Limit what callers may do in a minute, with counters in Redis that all processes share.

While Redis is away each process counts for itself, and the limit holds for each process.
"""

from __future__ import annotations

import math
import time

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from app.domain.errors import RateLimitedError
from app.infra.queue import CONNECT_TIMEOUT_SECONDS

_log = structlog.get_logger(__name__)


class RateLimits:
    """The rate limits of one service.

    Args:
        broker_url: URL of the Redis, in celery's format.
    """

    def __init__(self, broker_url: str) -> None:
        url = broker_url.replace("redis+socket://", "redis+unix://", 1)
        options = {"socket_timeout": CONNECT_TIMEOUT_SECONDS, "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS}
        self._shared = SlidingWindowCounterRateLimiter(storage_from_string(url, **options))
        self._own = SlidingWindowCounterRateLimiter(storage_from_string("memory://"))

    def count(self, what: str, caller: str, per_minute: int | None, amount: int = 1) -> None:
        """Count a request, or refuse it if it is over the limit.

        Args:
            what: the things that are counted, in the plural.
            caller: who sent the request.
            per_minute: how many are allowed in a minute; None for no limit.
            amount: how many this request has.

        Raises:
            RateLimitedError: the request is over the limit; it was not counted.
        """
        if per_minute is None:
            return
        item = RateLimitItemPerMinute(per_minute)
        if amount <= per_minute and self._hit(item, what, caller, amount):
            return
        raise RateLimitedError(
            expected=f"at most {per_minute} {what} a minute",
            got=f"{amount} more than that" if amount <= per_minute else f"{amount} at once",
            remedy="Wait as long as Retry-After says" if amount <= per_minute else f"Send at most {per_minute} at once",
            retry_after_seconds=self._wait_seconds(item, what, caller),
        )

    def _hit(self, item: RateLimitItemPerMinute, what: str, caller: str, amount: int) -> bool:
        try:
            return self._shared.hit(item, what, caller, cost=amount)
        except (redis.RedisError, OSError) as error:
            _log.warning("rates_counted_alone", reason=str(error))
            return self._own.hit(item, what, caller, cost=amount)

    def _wait_seconds(self, item: RateLimitItemPerMinute, what: str, caller: str) -> int:
        try:
            reset = self._shared.get_window_stats(item, what, caller).reset_time
        except (redis.RedisError, OSError):
            reset = self._own.get_window_stats(item, what, caller).reset_time
        return max(1, math.ceil(reset - time.time()))
