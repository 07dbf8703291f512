"""Hand each request what it works with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Query, Request
from sqlalchemy.orm import Session

from app.infra.database import SessionFactory
from app.infra.queue import JobQueue
from app.infra.reaper import Reaper
from app.infra.settings import Settings
from app.infra.store import ObjectStore
from app.infra.workers import WorkerRegistry

if TYPE_CHECKING:
    from app.predictions.predictor import Predictor


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
    reaper: Reaper | None = None
    """None in role `predict`, which leaves jobs alone."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once the process is asked to end."""


def _resources(request: Request) -> Resources:
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
