"""Hand each request what it works with."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from app.infra.database import SessionFactory
from app.infra.queue import JobQueue
from app.infra.settings import Settings
from app.infra.store import ObjectStore
from app.infra.workers import WorkerRegistry
from app.overload.request_limit import RequestLimit
from app.overload.waiting_line import LineBounds, WaitingLine

if TYPE_CHECKING:
    from app.predictions.predictor import Predictor

HEALTH_THREADS = 4


@dataclass
class Resources:
    """What the lifespan opens, and every request shares."""

    settings: Settings
    sessions: SessionFactory
    """Sessions that may write; one request opens one, after its slow work."""
    readers: SessionFactory
    """Sessions that only read."""
    store: ObjectStore
    queue: JobQueue
    workers: WorkerRegistry
    predictor: Predictor | None = None
    """None in role `control`, which has no torch."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once the process is asked to end."""
    health_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(HEALTH_THREADS))
    """Threads that look at the parts, so that health answers however much else waits."""
    request_limit: RequestLimit = field(init=False)
    prediction_line: WaitingLine = field(init=False)
    upload_line: WaitingLine = field(init=False)

    def __post_init__(self) -> None:
        """Make the bounds on what is accepted."""
        chosen = self.settings
        self.request_limit = RequestLimit(chosen.max_requests, time.monotonic)
        # One batch in the tower, and one that gathers meanwhile, of requests with one image each.
        num_threads = 2 * chosen.batch_max_images
        predictions = LineBounds(num_threads, chosen.predict_max_wait_seconds, chosen.predict_max_waiting_images)
        self.prediction_line = WaitingLine("images to classify", predictions, time.monotonic)
        uploads = LineBounds(chosen.upload_threads, chosen.upload_max_wait_seconds)
        self.upload_line = WaitingLine("support images to check", uploads, time.monotonic)


async def _resources(request: Request) -> Resources:
    resources = request.app.state.resources
    assert isinstance(resources, Resources)
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


def _read_session(resources: ResourcesDep) -> Iterator[Session]:
    with resources.readers() as session:
        yield session


ReadSessionDep = Annotated[Session, Depends(_read_session, scope="function")]
"""A session that is closed before the answer is sent."""

CursorQuery = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the page before")]
LimitQuery = Annotated[int, Query(ge=1, le=100, description="Items on a page")]
