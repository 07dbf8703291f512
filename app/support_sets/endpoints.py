"""Answer /v1/support-sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.display_names import DisplayName, id_parameter
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    BandsFixedError,
    DiskFullError,
    GoneError,
    LabelTakenError,
    MalformedRequestError,
    NegativeClassTakenError,
    NotFoundError,
    NothingUsableError,
    QuotaExceededError,
    RequestTooLargeError,
    StoreUnavailableError,
    SupportSetFrozenError,
    SupportSetInUseError,
    UnsupportedMediaTypeError,
)
from app.health.metrics import MetricsDep
from app.infra.clock import utc_now
from app.problem_details import problem_responses
from app.support_sets import answers, copies, edits, receive, service
from app.support_sets.form_files import upload_limits
from app.support_sets.schemas import (
    ClassChange,
    GroupsAnswer,
    GroupsRequest,
    SupportSetChange,
    SupportSetDetail,
    SupportSetPage,
    SupportSetSummary,
    UploadAnswer,
)
from app.uploads.form import SpooledForm
from app.uploads.form_request import form_body, form_with_room
from app.uploads.results import CREATED, MULTI_STATUS
from vtt_core.contract.bands import BandWish, read_band_wish
from vtt_core.contract.errors import (
    ArchiveLayoutError,
    ArchiveTooLargeError,
    BadLabelError,
    BandsError,
    GroupsError,
    NotAZipError,
    SameTokensError,
    TooManyClassesError,
    UnknownEncodingError,
    UnsupportedMethodError,
    shown,
)
from vtt_core.ingest.groups import ImageGroups

router = APIRouter(prefix=answers.PREFIX, tags=["support sets"], dependencies=[require_scope(Scope.TRAIN)])

UPLOAD_BYTES = 2**20
"""Fixed cost of an upload (its rows, and a file to be synced), as the number of bytes that take as long to check. Without it
a small upload would make each byte look so slow that a large upload fills the queue."""
SupportSetId = Annotated[str, id_parameter("Id of a support set")]
ClassLabelQuery = Annotated[str, Query(max_length=400, description="Label of the class")]
NegativeQuery = Annotated[
    str | None,
    Query(max_length=400, description="Label of the negative class: its images show none of the others. At most one a set"),
]

GroupByQuery = Annotated[
    Literal["patient"] | None,
    Query(description="`patient`: a DICOM file without a group of its own is in the group of its patient"),
]

BandsQuery = Annotated[
    str | None,
    Query(
        max_length=100,
        description="Of TIFFs with more than three bands: those that are shown as red, green and blue, counted from 1, as in "
        "`4,3,2`; one band is shown as grey. All images of the set are such TIFFs then",
        examples=["4,3,2"],
    ),
]
StretchQuery = Annotated[
    str | None,
    Query(
        max_length=100,
        description="With `bands`: percentiles of all images that become black and white; `2,98` without it",
        examples=["2,98"],
    ),
]

FORM_BODY = form_body(
    {
        "description": "Each field is named like a class and holds one image of it; a name may come many times. "
        "The field `archive` holds a zip with one folder a class, the field `groups` which images belong together.",
        "properties": {
            "archive": {"type": "string", "format": "binary"},
            "groups": {
                "type": "string",
                "description": 'JSON {"file name": "group"}, or a file with it or with CSV of the columns `file` and `group`',
            },
        },
        "additionalProperties": {"type": "string", "format": "binary"},
    }
)
UPLOAD_ERRORS = (
    QuotaExceededError,
    NothingUsableError,
    BadLabelError,
    GroupsError,
    NotAZipError,
    ArchiveTooLargeError,
    ArchiveLayoutError,
    UnknownEncodingError,
    UnsupportedMethodError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
    RequestTooLargeError,
    StoreUnavailableError,
    DiskFullError,
)
CHANGE_ERRORS = (
    NotFoundError,
    GoneError,
    SupportSetFrozenError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
    RequestTooLargeError,
)
PARTLY_KEPT: dict[int | str, dict[str, Any]] = {
    MULTI_STATUS: {
        "model": UploadAnswer,
        "description": "Some images were refused; `results` says which and why, the others are kept",
    }
}


async def _band_wish(request: Request, bands: BandsQuery = None, stretch: StretchQuery = None) -> BandWish | None:
    for name in ("bands", "stretch"):
        said = request.query_params.getlist(name)
        if len(said) > 1:
            raise BandsError(expected=f"{name} once", got=f"{len(said)} times: {shown(said)}", remedy="Say it once")
    return read_band_wish(bands, stretch)


BandsDep = Annotated[BandWish | None, Depends(_band_wish)]


async def _support_form(request: Request, context: RequestContextDep) -> AsyncIterator[SpooledForm]:
    context.bounds.uploads.check()
    limits = upload_limits(context.settings.limits)
    async with form_with_room(request, limits, partial(receive.check_room, context)) as form:
        yield form


SupportFormDep = Annotated[SpooledForm, Depends(_support_form)]


@router.post(
    "",
    status_code=CREATED,
    responses={**PARTLY_KEPT, **problem_responses(BandsError, *UPLOAD_ERRORS)},
    openapi_extra=FORM_BODY,
)
async def create_support_set(
    bands: BandsDep,
    form: SupportFormDep,
    context: RequestContextDep,
    counted: MetricsDep,
    response: Response,
    name: Annotated[DisplayName, Query(description="What you call the set")] = "",
    negative: NegativeQuery = None,
    group_by: GroupByQuery = None,
) -> UploadAnswer:
    """Create a support set from labelled images.

    Send a multipart form. Each field is named like a class, in the words that a caption would use, and holds
    one image: `curl -F 'annual crop=@a.jpg' -F 'forest=@b.jpg' ...`. Or send a zip with one folder a class:
    `curl -F archive=@set.zip ...`. A class needs one image and takes 16; a set takes 200 classes; a job needs two.

    Every image is checked on its own. If some cannot be used, `results` gives the reason for each of them, the others
    are kept, and the status is 207 instead of 201. If none can be used, the status is 422 and nothing is stored. Classes
    that were named but have no usable image are listed in `empty_classes`.

    Of an archive with folders such as `train` and `val`, only the classes in `train` are taken; `notices` says so. If more
    than a few files of an archive are refused for the same reason, they share one result with a `count`. Two labels that the
    text encoder cannot tell apart, such as `Star` and `star`, are refused. `advice` names labels that make poor prompts.

    The field `groups` says which images belong together, such as those of one patient: JSON `{"file name": "group"}`, or a
    file with that or with CSV of the columns `file` and `group`. A name may have a folder or a class before it. `notices`
    lists names that no image has. An image in a field called `groups` is still one of a class.

    TIFFs with more than three bands need `bands`, which says what to look at. It belongs to the set and cannot be changed while
    the set has images. Models that are made from the set read their images in the same bands.
    """
    take_in = partial(
        receive.create_support_set,
        context,
        form,
        name,
        negative,
        utc_now(),
        by_patient=group_by == "patient",
        bands=bands,
    )
    received = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, take_in)
    response.headers["Location"] = f"{router.prefix}/{received.view.row.id}"
    return answers.upload(received, counted, response)


@router.get("", responses=problem_responses(BadCursorError))
def list_support_sets(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> SupportSetPage:
    """List the support sets, newest first, a page at a time."""
    views, next_cursor = service.list_views(session, cursor, limit)
    return SupportSetPage(items=[SupportSetSummary(**answers.summary(item)) for item in views], next_cursor=next_cursor)


@router.get("/{support_set_id}", responses=problem_responses(NotFoundError, GoneError))
def get_support_set(support_set_id: SupportSetId, session: ReadSessionDep) -> SupportSetDetail:
    """Show a support set: its classes in the order that models follow, and every image with its id."""
    return SupportSetDetail(**answers.detail(*service.view(session, support_set_id)))


@router.patch(
    "/{support_set_id}",
    responses=problem_responses(
        *CHANGE_ERRORS, BadLabelError, SameTokensError, TooManyClassesError, BandsError, BandsFixedError
    ),
)
def change_support_set(support_set_id: SupportSetId, change: SupportSetChange, context: RequestContextDep) -> SupportSetDetail:
    """Rename a support set, or say which class of one that no job has used is the negative one, or that none is.

    The images of the negative class show none of the classes: they teach a model what to refuse. It is no label of the model
    and needs no meaningful name. There is at most one.

    `bands` and `stretch` can be changed only while the set has no images (409): those that it has were read in its bands.
    """
    return SupportSetDetail(**answers.detail(*service.change_support_set(context, support_set_id, change)))


@router.post(
    "/{support_set_id}/copy",
    status_code=CREATED,
    responses=problem_responses(NotFoundError, GoneError, QuotaExceededError, StoreUnavailableError, DiskFullError),
)
async def copy_support_set(
    support_set_id: SupportSetId,
    context: RequestContextDep,
    response: Response,
    name: Annotated[DisplayName, Query(description="What you call the copy; without it, as the original")] = "",
) -> SupportSetDetail:
    """Copy a support set with its images, groups and negative class, for example to change what a job has frozen.

    No job has used the copy, so it can be changed. Its images have ids of their own, and quotas count them. Either set can be
    deleted without the other.
    """
    source = await run_in_threadpool(copies.find_source, context, support_set_id)
    copy = partial(copies.copy_support_set, context, source, name, utc_now())
    made = await context.bounds.uploads.run(UPLOAD_BYTES + source.size_bytes, copy)
    response.headers["Location"] = f"{router.prefix}/{made[0].row.id}"
    return SupportSetDetail(**answers.detail(*made))


@router.put(
    "/{support_set_id}/groups",
    responses=problem_responses(*CHANGE_ERRORS, GroupsError),
)
def set_groups(support_set_id: SupportSetId, request: GroupsRequest, context: RequestContextDep) -> GroupsAnswer:
    """Say which images of a support set that no job has used belong together: to one patient, plant or plot.

    Such images are not independent, so they are never on both sides of a cross-validation. Images that are not named keep
    their groups. A file name without a folder means every image of that name. `notices` lists names that no image has.
    """
    groups = ImageGroups(request.groups.items())
    shown = answers.detail(*service.set_groups(context, support_set_id, groups))
    return GroupsAnswer(**shown, notices=groups.notices())


@router.delete(
    "/{support_set_id}",
    status_code=204,
    responses=problem_responses(NotFoundError, GoneError, SupportSetInUseError, StoreUnavailableError),
)
def delete_support_set(support_set_id: SupportSetId, context: RequestContextDep) -> None:
    """Delete a support set with its images.

    Models that were made from it stay. A set that an unfinished job needs cannot be deleted (409): cancel the job first.
    """
    service.delete_support_set(context, support_set_id, utc_now())


@router.post(
    "/{support_set_id}/images",
    status_code=CREATED,
    responses={
        **PARTLY_KEPT,
        **problem_responses(NotFoundError, GoneError, SupportSetFrozenError, NegativeClassTakenError, *UPLOAD_ERRORS),
    },
    openapi_extra=FORM_BODY,
)
async def add_images(
    support_set_id: SupportSetId,
    form: SupportFormDep,
    context: RequestContextDep,
    counted: MetricsDep,
    response: Response,
    negative: NegativeQuery = None,
    group_by: GroupByQuery = None,
) -> UploadAnswer:
    """Add images to a support set, in the same form that creates one.

    Once a job has used the set it is frozen and answers 409, so that what a model learnt from never changes.
    """
    by_patient = group_by == "patient"
    take_in = partial(receive.add_images, context, support_set_id, form, negative, utc_now(), by_patient=by_patient)
    received = await context.bounds.uploads.run(UPLOAD_BYTES + form.size_bytes, take_in)
    return answers.upload(received, counted, response)


@router.patch(
    "/{support_set_id}/classes",
    responses=problem_responses(*CHANGE_ERRORS, LabelTakenError, BadLabelError, SameTokensError),
)
def rename_class(
    support_set_id: SupportSetId, label: ClassLabelQuery, change: ClassChange, context: RequestContextDep
) -> SupportSetDetail:
    """Rename a class of a support set that no job has used, with all its images; also one of `empty_classes`.

    It keeps its place in the order of the classes. A label that another class has is refused (409).
    """
    return SupportSetDetail(**answers.detail(*edits.rename_class(context, support_set_id, label, change.label)))


@router.delete(
    "/{support_set_id}/classes",
    status_code=204,
    responses=problem_responses(NotFoundError, GoneError, SupportSetFrozenError, StoreUnavailableError),
)
def remove_class(
    support_set_id: SupportSetId,
    label: ClassLabelQuery,
    context: RequestContextDep,
) -> None:
    """Remove a class from a support set that no job has used, with its images; also one of `empty_classes`."""
    edits.remove_class(context, support_set_id, label)
