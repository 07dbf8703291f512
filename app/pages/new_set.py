"""The first page: drop photographs, and get an image set."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.access.page_sessions import CSRF_FIELD
from app.dependencies import AppContext, RequestContextDep, require_scope
from app.domain.access import Scope
from app.error_handlers import status_of
from app.health.metrics import Metrics, MetricsDep
from app.infra.clock import utc_now
from app.models.service import list_models
from app.pages.form_values import display_name
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.set_views import list_sets, may_train
from app.pages.visits import check_upload
from app.support_sets import receive
from app.support_sets.answers import count_images
from app.support_sets.endpoints import UPLOAD_BYTES, SupportFormDep, SupportSetId
from app.support_sets.form_files import ARCHIVE_FIELD
from app.uploads.form import SpooledForm
from app.uploads.results import CREATED, MULTI_STATUS
from vtt_core.contract.bands import read_band_wish
from vtt_core.contract.errors import VttError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

IMAGES_FIELD = "images"
"""Field of images that all are of the class that the field `label` names."""
RECENT = 4
"""Image sets, and models, that the first page shows."""


@router.get("/", dependencies=[require_scope(*Scope)])
def show_new(request: Request, context: RequestContextDep) -> Response:
    """Ask for photographs."""
    return _page(request, context)


@router.post("/sets", dependencies=[require_scope(Scope.TRAIN)])
async def create_set(request: Request, form: SupportFormDep, context: RequestContextDep, counted: MetricsDep) -> Response:
    """Make an image set of a form, as browsers without scripts send it."""
    texts = checked_texts(request, form)
    try:
        name = display_name(texts.get("name") or _archive_name(form))
        bands = read_band_wish(texts.get("bands") or None, texts.get("stretch") or None)
        take_in = partial(receive.create_support_set, context, form, name, None, utc_now(), bands=bands)
        received = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, take_in)
    except VttError as error:
        return await run_in_threadpool(_page, request, context, error)
    return answer_upload(request, context, received, counted)


@router.post("/sets/{set_id}/images", dependencies=[require_scope(Scope.TRAIN)])
async def add_to_set(
    set_id: SupportSetId, request: Request, form: SupportFormDep, context: RequestContextDep, counted: MetricsDep
) -> Response:
    """Add the images of a form to an image set."""
    checked_texts(request, form)
    take_in = partial(receive.add_images, context, set_id, form, None, utc_now())
    received = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, take_in)
    return answer_upload(request, context, received, counted)


def checked_texts(request: Request, form: SpooledForm) -> dict[str, str]:
    """Return the text fields of an upload of our own page, and leave only files in it, each in a field named like its class.

    Raises:
        ForgedFormError: none of our own pages has sent it.
    """
    check_upload(request, form)
    texts = {part.field_name: part.text.strip() for part in form.texts if part.field_name != CSRF_FIELD}
    form.parts = [part for part in form.files if part.file_name or part.size_bytes]  # a browser sends empty choices too
    for part in form.parts:
        if part.field_name == IMAGES_FIELD:
            part.field_name = texts.get("label", "")
    return texts


def answer_upload(request: Request, context: AppContext, received: receive.Received, counted: Metrics) -> Response:
    """Go to the image set, or first name the files that could not be used."""
    count_images(received.results, counted)
    refused = [result for result in received.results if result.status != CREATED]
    if not refused and not received.notices:
        return go_to(f"/sets/{received.view.row.id}")
    shown = {"refused": refused, "notices": received.notices, "set_id": received.view.row.id}
    return render(request, "refused-files.html.jinja", context, status=MULTI_STATUS, **shown)


def _page(request: Request, context: AppContext, error: VttError | None = None) -> Response:
    is_trainer = may_train(context)
    sets = list_sets(context, None, RECENT)[0] if is_trainer else []
    with context.readers() as session:
        models = list_models(session, None, RECENT)[0]
    return render(
        request,
        "new.html.jinja",
        context,
        status=200 if error is None else status_of(type(error)),
        sets=sets,
        models=[model for model, _ in models],
        limits=context.settings.limits,
        is_trainer=is_trainer,
        error=error,
    )


def _archive_name(form: SpooledForm) -> str:
    name = next((part.file_name for part in form.files if part.field_name == ARCHIVE_FIELD and part.file_name), "")
    return name.removesuffix(".zip")
