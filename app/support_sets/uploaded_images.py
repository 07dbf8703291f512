"""Take the images of one request in: check each on its own, store the good ones, name the others."""

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
from app.uploads.results import ImageResult, group_by_cause
from vtt_core.contract.errors import EmptyClassError, SupportSetError, TooManyClassesError, TooManyShotsError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.strip_metadata import clean_image


@dataclass(frozen=True)
class Candidate:
    """A good image whose bytes are in the store, and that no row knows yet."""

    slot: int
    """Its place among the results."""
    row: SupportImageRow


class Intake:
    """The images of one request on their way into one support set."""

    def __init__(
        self,
        support_set_id: str,
        blob_prefix: str,
        store: ObjectStore,
        limits: Limits,
        admission: Admission,
        now: datetime,
    ) -> None:
        self._support_set_id = support_set_id
        self._blob_prefix = blob_prefix
        self._store = store
        self._limits = limits
        self._admission = admission
        self._now = now
        self._candidates: list[Candidate] = []
        self._named_labels: dict[str, None] = {}
        self._archive_slots: set[int] = set()
        self.results: list[ImageResult] = []

    @property
    def grouped_results(self) -> list[ImageResult]:
        """What became of each image; many files of an archive that were refused for one cause are told together."""
        return group_by_cause(self.results, self._archive_slots)

    @property
    def has_candidates(self) -> bool:
        """Whether at least one image is good."""
        return bool(self._candidates)

    def offer(self, label: str, file_name: str, read: Callable[[], bytes]) -> None:
        """Check one image and, if it is good, store it without its metadata.

        `sha256` is of what was sent, so that sending it again is noticed; `size_bytes` is what is stored, which quotas count.
        """
        shown = shown_file_name(file_name)
        cleaned: str | None = None
        try:
            cleaned = self.name_class(label)
            encoded = read()
            digest = hashlib.sha256(encoded).hexdigest()
            self._admission.check(cleaned, digest)
            clean = clean_image(encoded, self._limits)
        except VttError as error:
            self.refuse(shown, cleaned if cleaned is not None else label, error)
            return
        image_id = new_id(IMAGE_PREFIX)
        row = SupportImageRow(
            id=image_id,
            support_set_id=self._support_set_id,
            label=cleaned,
            file_name=shown,
            sha256=digest,
            size_bytes=len(clean.content),
            width=clean.facts.width,
            height=clean.facts.height,
            image_format=clean.facts.image_format,
            blob_key=f"{self._blob_prefix}/{image_id}",
            created_at=self._now,
        )
        self._candidates.append(Candidate(len(self.results), row))
        self._store.put(row.blob_key, clean.content)
        self._admission.admit(cleaned, digest)
        self.results.append(ImageResult.kept(shown, cleaned, image_id))

    def refuse(self, file_name: str | None, label: str | None, error: VttError) -> None:
        """Note why an image, a class or an archive is left out."""
        shown = shown_file_name(file_name) if file_name is not None else None
        self.results.append(ImageResult.refused(shown, _shortened(label), error))
        if isinstance(error, TooManyClassesError) and label is not None:
            self._named_labels.pop(label, None)

    def name_class(self, label: str) -> str:
        """Remember that the request means this class to exist, and return its label as it will be used.

        Raises:
            BadLabelError: the label cannot be used.
            SameTokensError: the text encoder reads it as the label of another class.
        """
        cleaned = clean_label(label, self._limits)
        self._admission.name_class(cleaned)
        self._named_labels[cleaned] = None
        return cleaned

    def name_folder(self, label: str) -> None:
        """Remember the class of a folder that holds no image."""
        try:
            self._admission.check_room(clean_label(label, self._limits))
            self.name_class(label)
        except TooManyShotsError:
            return
        except SupportSetError as error:
            self.refuse(None, label, error)

    @contextmanager
    def archive(self) -> Iterator[None]:
        """Take what is offered or refused inside the `with` block as files of one archive."""
        start = len(self.results)
        try:
            yield
        finally:
            self._archive_slots.update(range(start, len(self.results)))

    def admit_rows(self, admission: Admission, next_position: int) -> list[SupportImageRow]:
        """Return the rows to add, judged again by what is in the set under lock; the blobs of the others are removed.

        Args:
            admission: what is in the set now.
            next_position: position of the first new image.
        """
        rows: list[SupportImageRow] = []
        for candidate in self._candidates:
            row = candidate.row
            try:
                admission.name_class(row.label)
                admission.check(row.label, row.sha256)
            except VttError as error:
                self.results[candidate.slot] = ImageResult.refused(row.file_name, row.label, error)
                self._store.delete(row.blob_key)
                continue
            admission.admit(row.label, row.sha256)
            row.position = next_position + len(rows)
            rows.append(row)
        self._named_labels = {label: None for label in self._named_labels if self._is_named(label, admission)}
        return rows

    def _is_named(self, label: str, admission: Admission) -> bool:
        """Tell whether the class can exist beside what is in the set now; where it cannot, say why."""
        try:
            admission.name_class(label)
        except VttError as error:
            if not any(candidate.row.label == label for candidate in self._candidates):
                self.refuse(None, label, error)
            return False
        return True

    def note_empty_classes(self, shots: dict[str, int], known_empty: Iterable[str]) -> list[str]:
        """Return the labels that were named now or before and have no image, and name the new ones among the results."""
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
                for candidate in self._candidates:
                    self._store.delete(candidate.row.blob_key)
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


def _shortened(label: str | None) -> str | None:
    if label is None or len(label) <= 100:
        return label
    return label[:97] + "..."
