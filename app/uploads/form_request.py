"""What every endpoint that takes a multipart form needs: its description, the form itself, and the bytes of its images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request

from app.uploads.form import FormLimits, FormPart, SpooledForm, spool_form
from vtt_core.contract.errors import ImageTooManyBytesError
from vtt_core.contract.limits import Limits


def form_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra=` of an endpoint that takes a form of this schema."""
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {"type": "object", **schema}}}}}


@asynccontextmanager
async def received_form(request: Request, limits: FormLimits) -> AsyncIterator[SpooledForm]:
    """Read the form of a request, and remove its spool file afterwards; the errors are those of `spool_form`."""
    form = await spool_form(request.headers.get("content-type", ""), request.stream(), limits)
    try:
        yield form
    finally:
        form.close()


def image_bytes(form: SpooledForm, part: FormPart, limits: Limits) -> bytes:
    """Return the bytes of an image.

    Raises:
        ImageTooManyBytesError: it was too large to be kept.
    """
    if not part.is_kept:
        raise ImageTooManyBytesError(
            expected=f"at most {limits.max_image_bytes} bytes",
            got=f"{part.size_bytes} bytes",
            remedy="Save it smaller or with more compression",
        )
    return form.read(part)
