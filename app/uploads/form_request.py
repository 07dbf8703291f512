"""What every endpoint that takes a multipart form needs: its description, the form itself, and the bytes of its images."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

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


@asynccontextmanager
async def form_with_room(request: Request, limits: FormLimits, check_room: Callable[[int], None]) -> AsyncIterator[SpooledForm]:
    """Read the form of a request that stores something, once there is known to be room for it.

    Args:
        request: whose body is read.
        limits: what the form may hold.
        check_room: raises if a number of bytes has no room; asked before the body is read, and after it if no length came.
    """
    announced = request.headers.get("content-length", "")
    num_bytes = int(announced) if announced.isdecimal() else 0
    await run_in_threadpool(check_room, num_bytes)
    async with received_form(request, limits) as form:
        if not num_bytes:  # a chunked body, which announces no length
            await run_in_threadpool(check_room, form.size_bytes)
        yield form


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
