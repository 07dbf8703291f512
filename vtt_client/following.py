"""Follow a job by its events, through lost connections."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2

from vtt_client.calls import RETRIED, Call, Pause, Retries, failure_of, reason_of
from vtt_client.errors import CHECK_ADDRESS, ServiceError
from vtt_client.models import FINAL_STATES


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job."""

    id: str
    kind: str
    """`state`, `progress` or `interim_model`."""
    data: dict[str, Any]

    @property
    def is_end(self) -> bool:
        """Whether it is the last one."""
        return self.kind == "state" and self.data.get("state") in FINAL_STATES


class Follower:
    """What a follower has seen, and what it asks for next. The clients read the streams.

    Args:
        job_id: of the job.
        retries: how often a connection that brings nothing is made anew.
    """

    def __init__(self, job_id: str, retries: Retries) -> None:
        self._path = f"/v1/jobs/{quote(job_id, safe='')}/events"
        self._retries = retries
        self._last_id = ""
        self._num_failures = 0
        self.has_ended = False
        self.pause = Pause(0.0)
        """How long to wait before the next connection, and why."""

    def call(self) -> Call:
        """Return the request for the events after the last one that was seen."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        return Call("GET", self._path, headers=headers)

    def event(self, sent: httpx2.ServerSentEvent) -> JobEvent:
        """Take in an event.

        Raises:
            ServiceError: it is none of a job.
        """
        event = JobEvent(sent.id, sent.event, _data_of(sent))
        self._last_id, self._num_failures, self.pause = event.id, 0, Pause(0.0)
        self.has_ended = event.is_end
        return event

    def failed(self, answer: httpx2.Response | httpx2.TransportError | None) -> None:
        """Take in a bad answer, a lost connection, or None for a stream that ended before the job did.

        Raises:
            RefusedError: the answer is an error that stays.
            UnreachableError: too many connections in a row have brought nothing.
        """
        self._num_failures += 1
        if isinstance(answer, httpx2.Response):
            if answer.status_code not in RETRIED or self._num_failures > self._retries.most:
                raise failure_of(answer)
            self.pause = Pause(self._retries.wait_seconds(answer, self._num_failures), reason_of(answer))
            return
        if self._num_failures > self._retries.most:
            raise failure_of(answer or httpx2.RemoteProtocolError("the stream ended before the job"))
        self.pause = Pause(self._retries.backoff_seconds(self._num_failures), reason_of(answer))


def is_event_stream(answer: httpx2.Response) -> bool:
    """Return whether an answer says that it is a stream of events."""
    return bool(answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/event-stream")


def _data_of(sent: httpx2.ServerSentEvent) -> dict[str, Any]:
    try:
        data = json.loads(sent.data)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        return data
    raise ServiceError(
        code="client.unknown_answer",
        title="Unknown answer",
        expected="the events of a job, each a JSON object",
        got=f"an event that begins {sent.data[:120]!r}",
        remedy=CHECK_ADDRESS,
    )
