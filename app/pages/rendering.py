"""Render pages: Jinja templates that escape all they are given, under a policy that allows only our own files."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.dependencies import AppContext
from app.pages.assets import asset_url
from app.pages.measured import ends, verdict
from app.pages.texts import plain_text, script_texts, text
from app.pages.visits import visit_of
from app.pages.words import ago, breakable, duration, file_size, half_width, percent

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # With `no-referrer`, browsers send forms with `Origin: null`, which the guard of browsers refuses.
    "Referrer-Policy": "same-origin",
}


def render(
    request: Request, template: str, context: AppContext | None = None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page.

    Args:
        request: that asked for it.
        template: name of the file in `templates/`.
        context: of the caller; None where nobody need have signed in.
        status: HTTP status.
        values: what the template shows.
    """
    page = (
        environment()
        .get_template(template)
        .render(
            path=request.url.path,
            csrf=visit_of(request).csrf,
            is_signed_in=context is not None and context.caller.key_id is not None,
            can_predict=context is not None and context.predictor is not None,
            **values,
        )
    )
    return HTMLResponse(page, status_code=status, headers=HEADERS)


IMAGE_FILES = "image/*,.tif,.tiff,.jp2,.bmp,.avif,.heic,.heif,.dcm,.dicom"
"""What a browser's file chooser offers; as `IMAGE_FILES` in assets/picked-files.js."""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        loader=PackageLoader("app.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        t=text,
        plain_text=plain_text,
        asset=asset_url,
        version=version("vtt-service"),
        script_texts=script_texts,
        now=_now,
        verdict=verdict,
        ends=ends,
        image_files=IMAGE_FILES,
    )
    made.filters.update(
        ago=ago, breakable=breakable, duration=duration, file_size=file_size, percent=percent, half_width=half_width
    )
    return made


def _now() -> datetime:
    return datetime.now(UTC)
