"""The pages to sign in and out, where the service asks for keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.access.page_sessions import sign_in, sign_out
from app.dependencies import AppContextDep
from app.domain.errors import KeyRefusedError
from app.infra.clock import utc_now
from app.pages.page_route import SIGN_IN, PageRoute, go_to
from app.pages.rendering import render
from app.pages.visits import FieldsDep, local_path, visit_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(SIGN_IN)
async def show_sign_in(
    request: Request, shared: AppContextDep, wanted: Annotated[str, Query(alias="next", max_length=500)] = "/"
) -> Response:
    """Ask for a key."""
    if not shared.settings.require_keys:
        return go_to(local_path(wanted))
    return render(request, "sign-in.html.jinja", wanted=local_path(wanted), is_refused=False)


@router.post(SIGN_IN)
async def use_key(request: Request, shared: AppContextDep, fields: FieldsDep) -> Response:
    """Sign in with a key, under a new token."""
    wanted, visit = local_path(fields.get("next")), visit_of(request)
    try:
        await run_in_threadpool(sign_in, shared.sessions, shared.keys, visit.renew(), fields.get("key", ""), utc_now())
    except KeyRefusedError:
        return render(request, "sign-in.html.jinja", status=403, wanted=wanted, is_refused=True)
    return go_to(wanted)


@router.post("/sign-out")
async def forget_browser(request: Request, shared: AppContextDep, fields: FieldsDep) -> Response:
    """Sign out."""
    visit = visit_of(request)
    await run_in_threadpool(sign_out, shared.sessions, visit.token)
    visit.renew()
    return go_to(SIGN_IN)
