"""The interactive description of the JSON API, with scripts of our own package, so that it works without a network."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.pages.page_route import PageRoute
from app.pages.rendering import POLICY, render

router = APIRouter(route_class=PageRoute, include_in_schema=False)

DOCS_POLICY = POLICY.replace("img-src 'self' blob:", "img-src 'self' blob: data:")
"""Swagger UI has its icons inside its style."""


@router.get("/docs")
async def show_api_docs(request: Request) -> Response:
    """Show every endpoint, and let the reader try it."""
    page = render(request, "api-docs.html.jinja")
    page.headers["Content-Security-Policy"] = DOCS_POLICY
    return page
