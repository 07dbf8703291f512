"""Read the labelled query images of a form, a few at a time, and say why each of the others is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from app.display_names import shown_file_name
from app.domain.errors import InvalidRequestError, NothingUsableError, RequestTooLargeError
from app.support_sets.form_files import ARCHIVE_FIELD, EmptyFolder, FormFile, FormFiles
from app.support_sets.form_groups import GROUPS_FIELD, MAX_GROUPS_BYTES
from app.uploads.form import FormLimits, SpooledForm
from app.uploads.results import ImageResult, group_by_cause
from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.errors import ArchiveError, BadLabelError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import clean_label

CHUNK_IMAGES = 8
"""Images that are held and classified at once. Predictions of others wait for as many, not for the whole evaluation."""


@dataclass(frozen=True)
class QueryImage:
    """One image, checked to be new, not yet decoded."""

    label: str
    """As sent, cleaned."""
    name: str
    encoded: bytes
    sha256: str
    in_archive: bool


@dataclass(frozen=True)
class Announced:
    """What a form says that it holds, before any image is read."""

    num_images: int
    labels: tuple[str, ...]
    """Those that can be labels, cleaned."""


def evaluation_limits(limits: Limits) -> FormLimits:
    """Return what a form of labelled query images may hold."""
    at_most = {ARCHIVE_FIELD: limits.max_archive_bytes, GROUPS_FIELD: max(limits.max_image_bytes, MAX_GROUPS_BYTES)}
    return FormLimits(
        max_parts=limits.max_evaluation_images,
        max_text_bytes=1000,
        max_file_bytes=lambda field: at_most.get(field, limits.max_image_bytes),
        description=f"at most {limits.max_evaluation_images} images in an evaluation",
        example="-F 'label=@photo.jpg'",
        long_texts={GROUPS_FIELD: MAX_GROUPS_BYTES},
    )


def look_ahead(form: SpooledForm, limits: Limits) -> Announced:
    """Return how many images a form holds, and of which classes.

    Raises:
        RequestTooLargeError: more images than an evaluation may have.
        GroupsError: the groups of the images cannot be read.
    """
    files = [file for file in FormFiles(form, limits, measures=True) if isinstance(file, FormFile)]
    if len(files) > limits.max_evaluation_images:
        raise RequestTooLargeError(
            expected=f"at most {limits.max_evaluation_images} images in an evaluation",
            got=f"{len(files)} files",
            remedy="Leave some out, or make several evaluations",
        )
    labels: dict[str, None] = {}
    for file in files:
        try:
            labels[clean_label(file.label or "", limits)] = None
        except BadLabelError:
            continue  # its images are refused by name, later
    return Announced(len(files), tuple(labels))


class QueryImages:
    """The labelled images of one form. Iterate once, while the form is open.

    Args:
        form: what was sent.
        limits: the bounds in force.

    Raises:
        GroupsError: the groups of the images cannot be read.
    """

    def __init__(self, form: SpooledForm, limits: Limits) -> None:
        self._limits = limits
        self._files = FormFiles(form, limits, measures=True)
        self._refused: list[ImageResult] = []
        self._in_archive: set[int] = set()

    def chunks(self) -> Iterator[list[QueryImage]]:
        """Yield the images that came, some at a time; each file once."""
        images = self._images()
        while chunk := list(islice(images, CHUNK_IMAGES)):
            yield chunk

    def refuse(self, name: str, label: str | None, error: VttError, *, in_archive: bool) -> None:
        """Remember why an image cannot be used."""
        if in_archive:
            self._in_archive.add(len(self._refused))
        self._refused.append(ImageResult.refused(name, label, error))

    @property
    def refused(self) -> list[ImageResult]:
        """Why images cannot be used; many files of an archive with one cause share a result."""
        return group_by_cause(self._refused, self._in_archive)

    @property
    def notices(self) -> list[str]:
        """What else is worth knowing, as sentences."""
        return self._files.notices

    @property
    def archive_errors(self) -> list[ArchiveError]:
        """Why archives cannot be read."""
        return self._files.archive_errors

    def check_some(self, num_usable: int) -> None:
        """Refuse a form without a usable image.

        Args:
            num_usable: images of classes that the models know.

        Raises:
            ArchiveError: all that came is one archive, which cannot be read.
            InvalidRequestError: nothing came.
            NothingUsableError: no image can be used.
        """
        if num_usable:
            return
        if not self._refused:
            raise InvalidRequestError(
                expected="images in form fields named like their classes, or a zip in the field `archive`",
                got="a form without files",
                remedy="Send files (with curl: -F 'label=@photo.jpg', or -F archive=@images.zip)",
            )
        if self.archive_errors and len(self._refused) == 1:
            raise self.archive_errors[0]
        raise NothingUsableError(
            results=[result.model_dump(exclude_none=True) for result in self.refused],
            expected="at least one usable image of a class that the model knows",
            got=f"{len(self._refused)} that cannot be used",
            remedy="See `results` for each one",
        )

    def _images(self) -> Iterator[QueryImage]:
        admitted = AdmittedImages(self._limits)
        for file in _files(self._files):
            label, name = file.label, shown_file_name(file.name)
            try:
                if isinstance(file.content, VttError):
                    raise file.content
                label = clean_label(label or "", self._limits)
                encoded = file.content()
                sha256 = hashlib.sha256(encoded).hexdigest()
                admitted.check_new(label, sha256)
            except VttError as error:
                self.refuse(name, None if label is None else label[:100], error, in_archive=file.in_archive)
                continue
            admitted.admit(label, sha256)
            yield QueryImage(label, name, encoded, sha256, file.in_archive)


def _files(found: Iterable[FormFile | EmptyFolder]) -> Iterator[FormFile]:
    return (file for file in found if isinstance(file, FormFile))
