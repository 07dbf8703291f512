"""Answer /v1/support-sets/{support_set_id}/images/{image_id}."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from app.dependencies import RequestContextDep, require_scope
from app.display_names import id_parameter
from app.domain.access import Scope
from app.domain.errors import BlobMissingError, GoneError, NotFoundError, StoreUnavailableError, SupportSetFrozenError
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow
from app.problem_details import problem_responses
from app.support_sets import answers, edits, image_files
from app.support_sets.endpoints import CHANGE_ERRORS, SupportSetId
from app.support_sets.schemas import ImageChange, StoredImage
from vtt_core.contract.errors import (
    BadLabelError,
    GroupsError,
    ImageDimensionsError,
    ImageTooManyBytesError,
    SameTokensError,
    TooManyClassesError,
    TooManyShotsError,
)
from vtt_core.ingest.thumbnail import MEDIA_TYPE

router = APIRouter(
    prefix=answers.PREFIX + "/{support_set_id}/images/{image_id}",
    tags=["support sets"],
    dependencies=[require_scope(Scope.TRAIN)],
)

ImageId = Annotated[str, id_parameter("Id of an image of the set")]
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
}
"""Format of a stored image -> its media type."""
CACHING = "private, max-age=31536000, immutable"
"""The bytes under an image's id never change; `private` keeps them out of caches that several people share."""
READ_ERRORS = (NotFoundError, GoneError, BlobMissingError, StoreUnavailableError)
IfNoneMatch = Annotated[str | None, Header(description="ETag of the copy that you have; 304 says that it is still right")]


def _image_row(support_set_id: SupportSetId, image_id: ImageId, context: RequestContextDep) -> SupportImageRow:
    # A session of its own: one that stayed open while a thumbnail waits for its turn would keep a connection from those
    # whose turn it is, and they need a second one.
    with context.readers() as session:
        repository = SupportSetRepository(session)
        repository.get(support_set_id)
        return repository.get_image(support_set_id, image_id)


ImageRowDep = Annotated[SupportImageRow, Depends(_image_row)]


def _binary(*media_types: str) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in media_types}
    return {200: {"description": "The image", "content": content}, 304: {"description": "The copy that you have is right"}}


@router.get("", response_class=Response, responses={**_binary(*MEDIA_TYPES.values()), **problem_responses(*READ_ERRORS)})
def get_image(image: ImageRowDep, context: RequestContextDep, if_none_match: IfNoneMatch = None) -> Response:
    """Show an image of a support set as it is stored: as it was sent, without its metadata.

    The bytes under an id never change, so a browser may keep them. Not every browser shows TIFF and JPEG 2000; their
    thumbnails can be shown everywhere.
    """
    headers = _headers(image, image.file_name, f'"{image.sha256}"')
    if _is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    media_type = MEDIA_TYPES.get(image.image_format, "application/octet-stream")
    return Response(image_files.read_image(context, image), media_type=media_type, headers=headers)


@router.get(
    "/thumbnail",
    response_class=Response,
    responses={
        **_binary(MEDIA_TYPE),
        **problem_responses(*READ_ERRORS, ImageDimensionsError, ImageTooManyBytesError),
    },
)
async def get_thumbnail(
    image: ImageRowDep,
    context: RequestContextDep,
    side: Annotated[int, Query(ge=32, le=1024, description="Longest side in pixels; a smaller image keeps its size")] = 256,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show a small picture of an image of a support set: WebP, upright, in sRGB, without metadata.

    Thumbnails with a side of 64, 128, 256, 512 or 1024 are kept beside the images, so they come fastest the second time.
    They go with the image, and quotas do not count them.
    """
    headers = _headers(image, f"{image.file_name}.webp", f'"{image.sha256}-{side}"')
    if _is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    thumbnail = await run_in_threadpool(image_files.find_thumbnail, context, image, side)
    if thumbnail is None:
        create = partial(image_files.create_thumbnail, context, image, side)
        thumbnail = await context.bounds.thumbnails.run(image.width * image.height, create)
    return Response(thumbnail, media_type=MEDIA_TYPE, headers=headers)


@router.patch(
    "",
    responses=problem_responses(
        *CHANGE_ERRORS, BadLabelError, SameTokensError, TooManyClassesError, TooManyShotsError, GroupsError
    ),
)
def change_image(
    support_set_id: SupportSetId, image_id: ImageId, change: ImageChange, context: RequestContextDep
) -> StoredImage:
    """Move an image to another class, or change its file name or its group, in a support set that no job has used.

    The class may be new. An image that is moved is the last of its class. A class whose last image is moved is gone.
    """
    return answers.stored(edits.change_image(context, support_set_id, image_id, change))


@router.delete(
    "",
    status_code=204,
    responses=problem_responses(NotFoundError, GoneError, SupportSetFrozenError, StoreUnavailableError),
)
def remove_image(support_set_id: SupportSetId, image_id: ImageId, context: RequestContextDep) -> None:
    """Remove an image from a support set that no job has used. A class whose last image is removed is gone."""
    edits.remove_image(context, support_set_id, image_id)


def _headers(image: SupportImageRow, file_name: str, etag: str) -> dict[str, str]:
    name = quote(file_name.replace("\\", "/").rsplit("/", 1)[-1], safe="")
    return {"Cache-Control": CACHING, "ETag": etag, "Content-Disposition": f"inline; filename*=utf-8''{name or image.id}"}


def _is_known(etag: str, if_none_match: str | None) -> bool:
    known = (if_none_match or "").split(",")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in known)
