"""Send hints to the workers through Redis; a lost one costs time, never a job."""

from __future__ import annotations

from dataclasses import astuple
from urllib.parse import urlsplit

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.domain.errors import QueueUnavailableError
from app.domain.messages import FinetuneMessage, Message

QUEUE_NAME = FinetuneMessage.queue_name
VISIBILITY_TIMEOUT_SECONDS = 6 * 3600
"""When Redis gives an unacknowledged message to another worker. Longer than any job, since leases find lost jobs sooner."""
CONNECT_TIMEOUT_SECONDS = 2.0


def connect_redis(broker_url: str) -> redis.Redis:
    """Return a client of the broker's Redis for a URL in celery's format."""
    parts = urlsplit(broker_url)
    url = f"unix://{parts.path}" if parts.scheme == "redis+socket" else broker_url
    return redis.Redis.from_url(
        url,
        socket_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        # One retry, for a connection that a restart of the server has cut. The client's default waits for seconds.
        retry=Retry(NoBackoff(), 1),
    )


class JobQueue:
    """The producer's side of the queue."""

    def __init__(self, broker_url: str) -> None:
        self._redis = connect_redis(broker_url)
        self._celery = Celery("vtt-producer", broker=broker_url, set_as_current=False)
        self._celery.conf.update(
            task_ignore_result=True,
            task_publish_retry=False,
            broker_connection_timeout=CONNECT_TIMEOUT_SECONDS,
            broker_transport_options={
                "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
                "socket_timeout": CONNECT_TIMEOUT_SECONDS,
                "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "max_retries": 1,
            },
        )

    def send(self, message: Message) -> None:
        """Tell the workers that there may be work.

        Raises:
            QueueUnavailableError: Redis cannot be reached.
        """
        try:
            self._celery.send_task(message.task_name, args=list(astuple(message)), queue=message.queue_name)
        except (OperationalError, redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def depth(self, queue_name: str = QUEUE_NAME) -> int:
        """Return how many messages wait in a queue.

        Raises:
            QueueUnavailableError: Redis cannot be reached.
        """
        try:
            return int(str(self._redis.llen(queue_name)))
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def ping(self) -> None:
        """Check that the broker answers.

        Raises:
            QueueUnavailableError: Redis cannot be reached.
        """
        try:
            self._redis.ping()
        except (redis.RedisError, OSError) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
        self._redis.close()


def _unavailable(error: Exception) -> QueueUnavailableError:
    return QueueUnavailableError(
        expected="a Redis that answers at VTT_BROKER_URL",
        got=f"{type(error).__name__}: {error}",
        remedy="Start Redis, or correct VTT_BROKER_URL; jobs that were accepted are sent when it is back",
    )
