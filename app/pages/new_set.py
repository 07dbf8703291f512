"""The first page: drop photographs, and get a support set."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dependencies import RequestContextDep, require_scope
from app.domain.access import Scope
from app.pages.page_route import PageRoute
from app.pages.rendering import render

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])


@router.get("/")
def show_new(request: Request, context: RequestContextDep) -> Response:
    """Ask for photographs."""
    return render(request, "new.html.jinja", context)
