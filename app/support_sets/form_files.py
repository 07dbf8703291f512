"""Read the form of an upload as labelled files, whether they come in fields of their own or inside an archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from app.support_sets.form_groups import GROUPS_FIELD, MAX_GROUPS_BYTES, is_groups, read_groups
from app.uploads.form import FormLimits, FormPart, SpooledForm
from app.uploads.form_request import image_bytes
from vtt_core.contract.errors import ArchiveError, ArchiveTooLargeError, NotAnImageError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.ingest.archives import ArchiveContents, read_zip
from vtt_core.ingest.splits import SplitNotice

NAME_FIELD = "name"
"""Field that many send by mistake; the name of a set is a parameter of the address."""
ARCHIVE_FIELD = "archive"
"""Name of the form field that holds a zip with one folder a class."""


@dataclass(frozen=True)
class FormFile:
    """One file as it was sent, not yet known to be an image."""

    label: str | None
    """Name of its field or folder; None for a file of no class, such as an archive that cannot be read."""
    name: str
    content: Callable[[], bytes] | VttError
    """Reads it, or why it cannot be used."""
    in_archive: bool = False


@dataclass(frozen=True)
class EmptyFolder:
    """A class folder of an archive that holds no file to read."""

    label: str


class FormFiles:
    """The files of a form, in the order they came. Iterate once, while the form is open.

    Args:
        form: what was sent.
        limits: the bounds in force.
        measures: whether a finished model is measured on the files. Then of an archive with folders such as `train` and `val`
            the second is taken.

    Raises:
        GroupsError: the groups of the images cannot be read.
    """

    def __init__(self, form: SpooledForm, limits: Limits, *, measures: bool = False) -> None:
        self._form = form
        self._limits = limits
        self._measures = measures
        self.groups = read_groups(form)
        """Which group each image belongs to, by file name."""
        self.archive_errors: list[ArchiveError] = []
        """Why archives could not be read."""
        self.notices: list[str] = []
        """What else is worth knowing, as sentences."""

    def __iter__(self) -> Iterator[FormFile | EmptyFolder]:
        for part in self._form.parts:
            if is_groups(self._form, part):
                continue
            if part.file_name is None:
                yield _text(part)
            elif part.field_name == ARCHIVE_FIELD:
                yield from self._archive(part, part.file_name)
            else:
                yield FormFile(part.field_name, part.file_name, partial(image_bytes, self._form, part, self._limits))

    def _archive(self, part: FormPart, file_name: str) -> Iterator[FormFile | EmptyFolder]:
        try:
            if not part.is_kept:
                raise ArchiveTooLargeError(
                    expected=f"at most {self._limits.max_archive_bytes} bytes",
                    got=f"{part.size_bytes} bytes",
                    remedy="Split it, or make the images smaller",
                )
            with self._form.open(part) as stream, read_zip(stream, self._limits) as contents:
                yield from _archived(contents.measured() if self._measures else contents)
                if contents.split is not None:
                    self.notices.append(self._split_sentence(contents.split))
        except ArchiveError as error:
            self.archive_errors.append(error)
            yield FormFile(None, file_name, error)

    def _split_sentence(self, split: SplitNotice) -> str:
        return split.measured_sentence() if self._measures else split.sentence(uses_query=False)


def upload_limits(limits: Limits) -> FormLimits:
    """Return what a form of support images may hold: every class full, twice over, so that each image too many is named."""
    at_most = {ARCHIVE_FIELD: limits.max_archive_bytes, GROUPS_FIELD: max(limits.max_image_bytes, MAX_GROUPS_BYTES)}
    return FormLimits(
        max_parts=2 * limits.max_way * limits.max_shot,
        max_text_bytes=1000,
        max_file_bytes=lambda field: at_most.get(field, limits.max_image_bytes),
        description=f"at most {limits.max_way} classes of {limits.max_shot} images",
        example="-F 'label=@photo.jpg'",
        long_texts={GROUPS_FIELD: MAX_GROUPS_BYTES},
    )


def _archived(contents: ArchiveContents) -> Iterator[FormFile | EmptyFolder]:
    for file in contents.files:
        yield FormFile(file.label, file.name, file.read, in_archive=True)
    for rejection in contents.rejections:
        yield FormFile(rejection.label, rejection.name, rejection.error, in_archive=True)
    for label in sorted(set(contents.folders) - {file.label for file in contents.files}):
        yield EmptyFolder(label)


def _text(part: FormPart) -> FormFile:
    """Return a text in place of a file. Its class stays named, so that no job runs without it."""
    is_set_name = part.field_name == NAME_FIELD
    as_file = "Send the file itself (with curl, @ before its name: -F 'label=@file.jpg')"
    error = NotAnImageError(
        expected="an image file",
        got=f"the text {part.text[:80]!r} in the field {part.field_name[:80]!r}",
        remedy="Put the name of the set into the address: ?name=..." if is_set_name else as_file,
    )
    return FormFile(None if is_set_name else part.field_name, "", error)
