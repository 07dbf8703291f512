"""What endpoints depend on: the context of their request, the caller, and the parameters of pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from structlog.contextvars import bind_contextvars

from app.access.browsers import SAFE_METHODS
from app.access.callers import check_scope, identify
from app.access.page_sessions import COOKIE, CSRF_HEADER, check_csrf, identify_browser
from app.domain.access import ANYBODY, Caller, Scope
from app.infra.clock import utc_now
from app.infra.disk import DiskSpace
from app.infra.known_keys import KnownKeys
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue
from app.infra.rates import RateLimits
from app.infra.reaper import Reaper
from app.infra.served_models import ServedModels
from app.infra.settings import Settings
from app.infra.tenancy import Sessions, TenantSessions
from app.infra.workers import WorkerRegistry
from app.jobs.hub import EventHub
from app.overload.bounds import Bounds
from app.overload.request_limit import Place

if TYPE_CHECKING:
    from app.predictions.predictor import Predictor
    from app.webhooks.sender import WebhookSender


@dataclass
class AppContext:
    """What the lifespan opens, and every request shares."""

    settings: Settings
    sessions: Sessions
    """Sessions that may write; one request opens one, after its slow work."""
    readers: Sessions
    """Sessions that only read."""
    keys: KnownKeys
    served_models: ServedModels
    store: ObjectStore
    disk: DiskSpace
    queue: JobQueue
    workers: WorkerRegistry
    rates: RateLimits
    bounds: Bounds
    hub: EventHub
    """Followers of jobs."""
    predictor: Predictor | None = None
    """None in role `control`, which has no torch."""
    reaper: Reaper | None = None
    """None in role `predict`, which leaves jobs alone."""
    webhooks: WebhookSender | None = None
    """Beside the reaper."""
    caller: Caller = ANYBODY
    """Who asks, in the context of a request."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once the process is asked to end."""


async def _app_context(request: Request) -> AppContext:
    context = request.app.state.context
    assert isinstance(context, AppContext)
    return context


AppContextDep = Annotated[AppContext, Depends(_app_context)]
"""What all requests of the process share; it is bound to no tenant: for health, never for what tenants own."""
_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A key as `vtt keys create` prints it")


async def _caller(
    request: Request, shared: AppContextDep, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    settings = shared.settings
    key = sent.credentials if sent is not None else None
    token = request.cookies.get(COOKIE)
    if key is None and token is not None and settings.require_keys:
        # A page's form has the value in a field, which only the page can read.
        if request.method not in SAFE_METHODS and not hasattr(request.state, "page"):
            check_csrf(token, request.headers.get(CSRF_HEADER))
        caller = await run_in_threadpool(identify_browser, token, shared.readers, utc_now())
    else:
        let_in = partial(identify, key, shared.keys, utc_now(), is_required=settings.require_keys)
        # A thread only for what waits for the database or Redis.
        caller = let_in() if key is None else await run_in_threadpool(let_in)
    bind_contextvars(tenant_id=caller.tenant_id, key_id=caller.key_id)
    if caller.key_id is not None:
        place: Place = request.state.place
        place.give_to(f"key {caller.key_id}")
    if settings.requests_per_minute is not None:
        name = caller.key_id or caller.tenant_id
        await run_in_threadpool(shared.rates.count, "requests", name, settings.requests_per_minute)
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


def require_scope(*scopes: Scope) -> Any:
    """Return the dependency that refuses keys which allow none of these; it comes before any body is read."""

    async def check(caller: CallerDep) -> None:
        check_scope(caller, frozenset(scopes))

    return Depends(check)


async def _request_context(request: Request, shared: AppContextDep, caller: CallerDep) -> AppContext:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    route = request.scope["route"].path_format
    # A prediction changes nothing, though it may be kept for some days; nor does a report.
    action = None if route.endswith(("/predict", "/report", "/attention", "/try")) else f"{request.method} {route}"
    address = request.client.host if request.client is not None else None
    return replace(
        shared,
        caller=caller,
        sessions=TenantSessions(shared.sessions, caller, action, path, address),
        readers=TenantSessions(shared.readers, caller),
    )


RequestContextDep = Annotated[AppContext, Depends(_request_context)]
"""The context of one request: its sessions see only the rows of the caller's tenant."""


def _read_session(context: RequestContextDep) -> Iterator[Session]:
    with context.readers() as session:
        yield session


ReadSessionDep = Annotated[Session, Depends(_read_session, scope="function")]
"""A session that is closed before the answer is sent."""

CursorQuery = Annotated[str | None, Query(max_length=200, description="The `next_cursor` of the last page that you got")]
LimitQuery = Annotated[int, Query(ge=1, le=100, description="Items on a page")]
