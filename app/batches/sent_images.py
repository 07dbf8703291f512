"""Read the form of a batch as images in chunks, whether they come in fields of their own or inside zips."""

from __future__ import annotations

from collections.abc import Iterator

from app.display_names import shown_file_name
from app.domain.batches import CHUNK_BYTES, CHUNK_IMAGES, MINI_CHUNK_IMAGES, refused_row
from app.domain.errors import InvalidRequestError, RequestTooLargeError
from app.infra.batch_blobs import SentImage
from app.uploads.form import FormLimits, FormPart, SpooledForm
from app.uploads.form_request import image_bytes
from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import ArchiveTooLargeError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.archives import FoundFile, read_loose_zip
from vtt_core.ingest.dicom_file import is_dicom
from vtt_core.ingest.printable import printable
from vtt_core.ingest.strip_metadata import clean_image

IMAGES_FIELD = "images"
ARCHIVE_FIELD = "archive"


def batch_limits(limits: Limits) -> FormLimits:
    """Return what the form of a batch may hold."""
    return FormLimits(
        max_parts=limits.max_background_images + 1,
        max_text_bytes=1000,
        max_file_bytes=lambda field: limits.max_archive_bytes if field == ARCHIVE_FIELD else limits.max_image_bytes,
        description=f"at most {limits.max_background_images} images in a batch (VTT_LIMITS__MAX_BACKGROUND_IMAGES)",
        example=f"-F {ARCHIVE_FIELD}=@images.zip",
    )


def check_fields(form: SpooledForm) -> None:
    """Refuse a form that has something else than images and zips; raises InvalidRequestError."""
    misnamed = [part for part in form.parts if part.file_name is None or part.field_name not in (IMAGES_FIELD, ARCHIVE_FIELD)]
    if misnamed or not form.files:
        kind = "a text" if misnamed and misnamed[0].file_name is None else "a file"
        raise InvalidRequestError(
            expected=f"a zip in the form field `{ARCHIVE_FIELD}`, or images in fields named `{IMAGES_FIELD}`",
            got=f"{kind} in a field named {misnamed[0].field_name[:80]!r}" if misnamed else "a form without files",
            remedy=f"With curl: -F {ARCHIVE_FIELD}=@images.zip, or -F {IMAGES_FIELD}=@a.jpg -F {IMAGES_FIELD}=@b.jpg",
        )


def chunks_of(form: SpooledForm, backbone_id: str, limits: Limits) -> Iterator[list[SentImage]]:
    """Yield the files of a form in the order they came, in chunks.

    Args:
        form: what was sent.
        backbone_id: of the model; how large a chunk may be depends on it.
        limits: the bounds in force.

    Raises:
        ArchiveError: a zip cannot be read.
        RequestTooLargeError: more images or bytes than a batch may have.
    """
    most = MINI_CHUNK_IMAGES if backbone_id == MINI else CHUNK_IMAGES
    chunk: list[SentImage] = []
    num_images = num_bytes = chunk_bytes = 0
    for image in _images_of(form, limits):
        size = len(image.content or b"")
        num_images, num_bytes, chunk_bytes = num_images + 1, num_bytes + size, chunk_bytes + size
        _check_size(num_images, num_bytes, limits)
        chunk.append(image)
        if len(chunk) == most or chunk_bytes >= CHUNK_BYTES:
            yield chunk
            chunk, chunk_bytes = [], 0
    if chunk:
        yield chunk


def _images_of(form: SpooledForm, limits: Limits) -> Iterator[SentImage]:
    for part in form.files:
        if part.field_name == ARCHIVE_FIELD:
            yield from _images_in_zip(form, part, limits)
            continue
        name = shown_file_name(part.file_name or "")
        try:
            yield SentImage(name, _without_header(image_bytes(form, part, limits), limits))
        except VttError as error:
            yield SentImage(name, None, refused_row(name, error))


def _images_in_zip(form: SpooledForm, part: FormPart, limits: Limits) -> Iterator[SentImage]:
    if not part.is_kept:
        raise ArchiveTooLargeError(
            expected=f"a zip of at most {limits.max_archive_bytes} bytes",
            got=f"{part.size_bytes} bytes",
            remedy="Split it into several batches",
        )
    with form.open(part) as stream, read_loose_zip(stream, limits) as files:
        for file in files:
            yield _unpacked(file, limits)


def _unpacked(file: FoundFile, limits: Limits) -> SentImage:
    name = shown_file_name(printable(file.path))
    try:
        if file.problem is not None:
            raise file.problem
        return SentImage(name, _without_header(file.read(), limits))
    except VttError as error:
        return SentImage(name, None, refused_row(name, error))


def _without_header(content: bytes, limits: Limits) -> bytes:
    """Return a DICOM file as a PNG of its pixels, since its header names a patient, and other files as they are.

    Raises:
        ImageError: the DICOM file cannot be used.
    """
    return clean_image(content, limits).content if is_dicom(content) else content


def _check_size(num_images: int, num_bytes: int, limits: Limits) -> None:
    most = (
        (num_images, limits.max_background_images, "images", "VTT_LIMITS__MAX_BACKGROUND_IMAGES"),
        (num_bytes, limits.max_background_bytes, "bytes of images", "VTT_LIMITS__MAX_BACKGROUND_BYTES"),
    )
    for number, bound, what, variable in most:
        if number > bound:
            raise RequestTooLargeError(
                expected=f"at most {bound} {what} in a batch ({variable})",
                got="more than that",
                remedy="Send the images in several batches",
            )
