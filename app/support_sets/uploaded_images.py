"""Check the images of one upload one by one, store the good ones, and say why each of the others is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from app.display_names import shown_file_name
from app.domain.errors import DiskFullError, StoreUnavailableError
from app.domain.ids import IMAGE_PREFIX, new_id
from app.infra.object_store import ObjectStore
from app.infra.outages import DATABASE_AWAY
from app.infra.tables import SupportImageRow
from app.support_sets.admission import Admission
from app.support_sets.form_files import EmptyFolder, FormFile
from app.uploads.results import ImageResult, group_by_cause
from vtt_core.contract.bands import BandWish
from vtt_core.contract.errors import EmptyClassError, SupportSetError, TooManyClassesError, TooManyShotsError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.band_images import own_bands
from vtt_core.ingest.groups import ImageGroups
from vtt_core.ingest.patient_groups import patient_group
from vtt_core.ingest.strip_metadata import CleanImage, clean_image


@dataclass(frozen=True)
class NewImage:
    """A good image whose bytes are in the store, and that no row in the database names yet."""

    position: int
    """Of its result among the results."""
    row: SupportImageRow


@dataclass(frozen=True)
class Reading:
    """What is asked of every image of a request."""

    by_patient: bool = False
    """Whether a DICOM file that the groups do not name belongs to the group of its patient."""
    bands: BandWish | None = None
    """Which bands it must have and is shown in; None for ordinary images."""


class UploadedImages:
    """The images of one request on their way into one support set.

    Args:
        support_set_id: of the set.
        blob_prefix: of its images in the store.
        store: takes the good images.
        limits: the bounds in force.
        admission: what is in the set so far.
        now: the present moment.
        groups: which group each image belongs to, by file name.
        reading: what is asked of every image.
    """

    def __init__(
        self,
        support_set_id: str,
        blob_prefix: str,
        store: ObjectStore,
        limits: Limits,
        admission: Admission,
        now: datetime,
        groups: ImageGroups | None = None,
        reading: Reading = Reading(),  # noqa: B008  (frozen)
    ) -> None:
        self._support_set_id = support_set_id
        self._blob_prefix = blob_prefix
        self._store = store
        self._limits = limits
        self._admission = admission
        self._now = now
        self._groups = groups or ImageGroups()
        self._reading = reading
        self._new_images: list[NewImage] = []
        self._named_labels: dict[str, None] = {}
        self._in_archive: set[int] = set()
        self.results: list[ImageResult] = []
        """One for each file, and for each class that is refused as a whole."""

    @property
    def grouped_results(self) -> list[ImageResult]:
        """What became of each file; many files of an archive that were refused for one cause share one result."""
        return group_by_cause(self.results, self._in_archive)

    @property
    def has_images(self) -> bool:
        """Whether at least one image is good."""
        return bool(self._new_images)

    @property
    def labels(self) -> list[str]:
        """Labels of the classes that the request means to exist, as they will be used."""
        return list(self._named_labels)

    def add(self, file: FormFile | EmptyFolder) -> None:
        """Check one file and, if it is a good image, store it without its metadata."""
        if isinstance(file, EmptyFolder):
            self._add_empty_folder(file.label)
            return
        if file.in_archive:
            self._in_archive.add(len(self.results))
        label = file.label
        is_grouped, group = self._groups.find(file.name, _spellings(label))
        try:
            if isinstance(file.content, VttError) and (label is None or file.in_archive):
                raise file.content  # and names no class: a folder without any file to read comes as an EmptyFolder
            label = self._name_class(label or "")
            sha256, image, patient = self._checked(label, file.content)
        except VttError as error:
            self._refuse(shown_file_name(file.name), label, error)
            return
        self._keep(label, shown_file_name(file.name), group if is_grouped else patient, sha256, image)

    def _checked(self, label: str, content: Callable[[], bytes] | VttError) -> tuple[str, CleanImage, str | None]:
        """Return the digest of a file as it was sent, by which a second copy is noticed, the image to store, and its group."""
        if isinstance(content, VttError):
            raise content
        encoded = content()
        sha256 = hashlib.sha256(encoded).hexdigest()
        self._admission.check(label, sha256)
        bands = self._reading.bands
        choice = None if bands is None else own_bands(encoded, bands, self._limits)
        image = clean_image(encoded, self._limits, choice)
        return sha256, image, patient_group(encoded, self._support_set_id) if self._reading.by_patient else None

    def _keep(self, label: str, file_name: str, group: str | None, sha256: str, image: CleanImage) -> None:
        image_id = new_id(IMAGE_PREFIX)
        row = SupportImageRow(
            id=image_id,
            support_set_id=self._support_set_id,
            label=label,
            file_name=file_name,
            group_name=group,
            sha256=sha256,
            size_bytes=len(image.content),
            width=image.facts.width,
            height=image.facts.height,
            image_format=image.facts.image_format,
            blob_key=f"{self._blob_prefix}/{image_id}",
            created_at=self._now,
        )
        self._new_images.append(NewImage(len(self.results), row))
        self._store.put(row.blob_key, image.content)
        self._admission.admit(label, sha256)
        self.results.append(ImageResult.kept(file_name, label, image_id))

    def _refuse(self, file_name: str | None, label: str | None, error: VttError) -> None:
        self.results.append(ImageResult.refused(file_name, _shortened(label), error))
        if isinstance(error, TooManyClassesError) and label is not None:
            self._named_labels.pop(label, None)

    def name_negative(self, label: str) -> None:
        """Remember that the request means the negative class to exist; its label is cleaned already."""
        self._named_labels[label] = None

    def _name_class(self, label: str) -> str:
        """Remember that the request means this class to exist, and return its label as it will be used."""
        cleaned = clean_label(label, self._limits)
        self._admission.add_class(cleaned)
        self._named_labels[cleaned] = None
        return cleaned

    def _add_empty_folder(self, label: str) -> None:
        try:
            self._admission.check_room(clean_label(label, self._limits))
            self._name_class(label)
        except TooManyShotsError:
            return
        except SupportSetError as error:
            self._refuse(None, label, error)

    def admit_rows(self, admission: Admission, next_position: int) -> list[SupportImageRow]:
        """Return the rows to add, checked again against the set under its lock; the blobs of all others are removed.

        Args:
            admission: what is in the set now.
            next_position: position of the first new image.
        """
        rows: list[SupportImageRow] = []
        for image in self._new_images:
            row = image.row
            try:
                admission.add_class(row.label)
                admission.check(row.label, row.sha256)
            except VttError as error:
                self.results[image.position] = ImageResult.refused(row.file_name, row.label, error)
                self._store.delete(row.blob_key)
                continue
            admission.admit(row.label, row.sha256)
            row.position = next_position + len(rows)
            rows.append(row)
        self._named_labels = {label: None for label in self._named_labels if self._can_exist(label, admission)}
        return rows

    def _can_exist(self, label: str, admission: Admission) -> bool:
        """Tell whether the set can have this class now; if not, add a result with the reason."""
        try:
            admission.add_class(label)
        except VttError as error:
            if not any(image.row.label == label for image in self._new_images):
                self._refuse(None, label, error)
            return False
        return True

    def note_empty_classes(self, shots: dict[str, int], known_empty: Iterable[str]) -> list[str]:
        """Return the labels that were named now or before and have no image, and add a result for each new one."""
        known = list(known_empty)
        for label in self._named_labels:
            if not shots.get(label):
                self.results.append(ImageResult.refused(None, label, _empty_class(self._support_set_id, label)))
        return [label for label in dict.fromkeys([*known, *self._named_labels]) if not shots.get(label)]

    @contextmanager
    def blobs_removed_on_failure(self) -> Iterator[None]:
        """Leave no bytes behind when the rows that would name them are not committed."""
        try:
            yield
        except DATABASE_AWAY:
            # The commit may have arrived although its answer did not, and rows without bytes are worse than bytes without rows.
            raise
        except BaseException:
            with suppress(StoreUnavailableError, DiskFullError):
                for image in self._new_images:
                    self._store.delete(image.row.blob_key)
            raise


def _empty_class(support_set_id: str, label: str) -> EmptyClassError:
    return EmptyClassError(
        expected="at least one usable image in every class",
        got=f"none in {label!r}",
        remedy=(
            f"Add an image of it with POST /v1/support-sets/{support_set_id}/images, "
            f"or leave the class out with DELETE /v1/support-sets/{support_set_id}/classes?label=..."
        ),
    )


def _spellings(label: str | None) -> list[str]:
    """Return the label as it was sent, and as it is shown."""
    return [] if label is None else [label, " ".join(label.replace("_", " ").split())]


def _shortened(label: str | None) -> str | None:
    if label is None or len(label) <= 100:
        return label
    return label[:97] + "..."
