"""The pages of image sets: the list, and one set with everything that can be changed about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import AppContext, CursorQuery, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import GoneError, NotFoundError
from app.error_handlers import status_of
from app.infra.clock import utc_now
from app.infra.model_repository import ModelRepository
from app.infra.tables import ModelRow
from app.pages.form_values import display_name, mistakes_named
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.set_views import PROMPT_END, PROMPT_START, list_sets, read_set
from app.pages.texts import text
from app.pages.visits import FieldsDep, ListsDep
from app.support_sets import copies, edits, service
from app.support_sets.endpoints import UPLOAD_BYTES, SupportSetId
from app.support_sets.schemas import ImageChange, SupportSetChange
from vtt_core.contract.errors import VttError

router = APIRouter(prefix="/sets", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(Scope.TRAIN)])

PAGE_SIZE = 20
MAX_NAME = 200
"""Characters of a name."""


@router.get("")
def show_sets(request: Request, context: RequestContextDep, cursor: CursorQuery = None) -> Response:
    """List the image sets, newest first."""
    lines, next_cursor = list_sets(context, cursor, PAGE_SIZE)
    return render(request, "sets.html.jinja", context, sets=lines, next_cursor=next_cursor, is_first=cursor is None)


@router.get("/{set_id}")
def show_set(set_id: SupportSetId, request: Request, context: RequestContextDep) -> Response:
    """Show an image set, with its images by class."""
    return set_page(request, context, set_id)


@router.post("/{set_id}/name")
def rename_set(set_id: SupportSetId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Change what the set is called."""

    def rename() -> None:
        change = SupportSetChange(name=display_name(fields.get("name")))
        service.change_support_set(context, set_id, change)

    return _changed(request, context, set_id, "name", rename)


@router.post("/{set_id}/rename-class")
def rename_class(set_id: SupportSetId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Change the name of a class."""
    label = fields.get("label", "")
    return _changed(
        request, context, set_id, label, lambda: edits.rename_class(context, set_id, label, fields.get("new_label", ""))
    )


@router.post("/{set_id}/delete-class")
def delete_class(set_id: SupportSetId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete a class with its images."""
    label = fields.get("label", "")
    return _changed(request, context, set_id, label, lambda: edits.remove_class(context, set_id, label))


@router.post("/{set_id}/negative")
def mark_negative(set_id: SupportSetId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Say which class shows none of the others; without a label, that none does."""
    label = fields.get("label", "")

    def mark() -> None:
        with mistakes_named():
            change = SupportSetChange(negative=label if fields.get("is_negative") else None)
        service.change_support_set(context, set_id, change)

    return _changed(request, context, set_id, label, mark)


@router.post("/{set_id}/chosen")
def change_chosen(set_id: SupportSetId, request: Request, context: RequestContextDep, lists: ListsDep) -> Response:
    """Move the chosen images to another class, or delete them."""
    chosen = lists.get("image", [])

    def change() -> None:
        for image_id in chosen:
            if lists.get("action") == ["delete"]:
                edits.remove_image(context, set_id, image_id)
            else:
                with mistakes_named():
                    moved = ImageChange(label=lists.get("label", [""])[-1])
                edits.change_image(context, set_id, image_id, moved)

    return _changed(request, context, set_id, "chosen", change)


@router.post("/{set_id}/delete")
def delete_set(set_id: SupportSetId, request: Request, context: RequestContextDep, _fields: FieldsDep) -> Response:
    """Delete the set with its images."""
    try:
        service.delete_support_set(context, set_id, utc_now())
    except (NotFoundError, GoneError):
        raise
    except VttError as error:
        return set_page(request, context, set_id, error, "name")
    return go_to("/sets")


@router.post("/{set_id}/copy")
async def copy_set(set_id: SupportSetId, request: Request, context: RequestContextDep, _fields: FieldsDep) -> Response:
    """Copy the set, to change what a job has frozen, and show the copy."""
    source = await run_in_threadpool(copies.find_source, context, set_id)
    name = text("set.copy_name", name=source.row.name)[:MAX_NAME] if source.row.name else ""
    copy = partial(copies.copy_support_set, context, source, name, utc_now())
    try:
        made, _ = await context.bounds.uploads.run(UPLOAD_BYTES + source.size_bytes, copy)
    except (NotFoundError, GoneError):
        raise
    except VttError as error:
        return await run_in_threadpool(set_page, request, context, set_id, error, "name")
    return go_to(f"/sets/{made.row.id}")


def set_page(
    request: Request, context: AppContext, set_id: str, error: VttError | None = None, error_at: str | None = None
) -> Response:
    """Return the page of a set.

    Args:
        request: that asked for it.
        context: of the caller.
        set_id: of the set.
        error: why a change was refused.
        error_at: where to say so: a label, `name` or `chosen`.
    """
    return render(
        request,
        "set.html.jinja",
        context,
        status=200 if error is None else status_of(type(error)),
        view=read_set(context, set_id),
        models=_models_of(context, set_id),
        limits=context.settings.limits,
        prompt_start=PROMPT_START,
        prompt_end=PROMPT_END,
        error=error,
        error_at=error_at,
    )


def _models_of(context: AppContext, set_id: str) -> list[ModelRow]:
    """Return the models that were learnt from a set; those that another of the same job replaces are left out."""
    with context.readers() as session:
        found = ModelRepository(session).list_of_set(set_id)
    finished = {model.job_id for model in found if not model.is_interim}
    return [model for model in found if not model.is_interim or model.job_id not in finished]


def _changed(request: Request, context: AppContext, set_id: str, error_at: str, change: Callable[[], object]) -> Response:
    """Make a change and show the set; if it is refused, show the set with the reason where the change was asked for."""
    try:
        change()
    except VttError as error:
        return set_page(request, context, set_id, error, error_at)
    return go_to(f"/sets/{set_id}")
