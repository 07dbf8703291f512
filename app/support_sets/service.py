"""Show support sets, change them until a job freezes them, and delete them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import BandsFixedError, NotFoundError, SupportSetInUseError
from app.infra.band_columns import set_wish, wish_of
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository, check_not_deleted, check_open
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets.admission import Admission
from app.support_sets.schemas import SupportSetChange
from vtt_core.contract.bands import BandWish, read_band_wish
from vtt_core.contract.errors import BadLabelError
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.groups import ImageGroups


@dataclass(frozen=True)
class SupportSetView:
    """A support set and its number of images."""

    row: SupportSetRow
    shots: dict[str, int]
    """Images by label, in class order, the negative class among them."""

    @property
    def classes(self) -> dict[str, int]:
        """Images by label of the classes that a model learns."""
        return {label: shot for label, shot in self.shots.items() if label != self.row.negative_label}

    @property
    def negative_shot(self) -> int:
        """Number of images of the negative class."""
        return 0 if self.row.negative_label is None else self.shots.get(self.row.negative_label, 0)


def change_support_set(
    context: AppContext, support_set_id: str, change: SupportSetChange
) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Rename a support set, or say which class of one that no job has used is the negative one, or which bands are shown.

    Raises:
        NotFoundError: there is no such set, or no such class in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: the negative class or the bands are to change, and a job has used the set.
        BandsError: the bands cannot be read.
        BandsFixedError: they are to change, and the set has images.
        SupportSetError: the class that was the negative one cannot be a class: because of its label, or because there are
            enough classes.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock(support_set_id)
        check_not_deleted(row)
        images = repository.images(support_set_id)
        if "negative" in change.model_fields_set:
            check_open(row)
            _set_negative(context, row, images, change.negative)
        if change.model_fields_set & {"bands", "stretch"}:
            check_open(row)
            _set_bands(row, images, read_band_wish(_as_text(change.bands), _as_text(change.stretch)))
        if "name" in change.model_fields_set:
            row.name = change.name
        return SupportSetView(row, count_shots(images)), images


def set_groups(context: AppContext, support_set_id: str, groups: ImageGroups) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Change the groups of those images of a support set that are named, by their ids or their file names.

    Raises:
        NotFoundError: there is no such set.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        images = repository.images(support_set_id)
        for image in images:
            for name, labels in ((image.id, []), (image.file_name, [image.label])):
                is_named, group = groups.find(name, labels)
                if is_named:
                    image.group_name = group
                    break
        return SupportSetView(row, count_shots(images)), images


def delete_support_set(context: AppContext, support_set_id: str, now: datetime) -> None:
    """Delete a support set and its images; models that were made from it stay.

    Raises:
        NotFoundError: there was never a set with this id.
        GoneError: it was deleted before.
        SupportSetInUseError: a job that has not ended needs it.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock(support_set_id)
        check_not_deleted(row)
        if JobRepository(session).has_unfinished_for(support_set_id):
            raise SupportSetInUseError(
                expected="a support set that no unfinished job needs",
                got=support_set_id,
                remedy="Wait for the job, or cancel it with POST /v1/jobs/{id}/cancel",
            )
        row.deleted_at = now
        repository.remove_images(support_set_id)
    context.store.delete_prefix(blob_prefix(context, support_set_id))


def view(session: Session, support_set_id: str) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Return a support set and its images.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
    """
    repository = SupportSetRepository(session)
    row = repository.get(support_set_id)
    images = repository.images(support_set_id)
    return SupportSetView(row, count_shots(images)), images


def list_views(session: Session, cursor: str | None, limit: int) -> tuple[list[SupportSetView], str | None]:
    """Return a page of support sets, newest first, and the cursor of the next one."""
    repository = SupportSetRepository(session)
    rows, next_cursor = repository.list_page(cursor, limit)
    shots = repository.shots(row.id for row in rows)
    return [SupportSetView(row, shots.get(row.id, {})) for row in rows], next_cursor


def first_images(session: Session, support_set_ids: Sequence[str], limit: int) -> dict[str, tuple[SupportImageRow, ...]]:
    """Return the first image of each of the first classes of these sets, at most `limit` a set."""
    return SupportSetRepository(session).first_images(support_set_ids, limit)


def _set_negative(context: AppContext, row: SupportSetRow, images: Sequence[SupportImageRow], label: str | None) -> None:
    if label is not None:
        with suppress(BadLabelError):
            label = clean_label(label)
        check_class(row, label, [image for image in images if image.label == label])
    before, row.negative_label = row.negative_label, label
    if before is not None and before != label:
        _check_becomes_class(context, row, images, before)


def _as_text(numbers: str | Sequence[float] | None) -> str | None:
    """Return numbers as an upload writes them, since answers have them as a list."""
    return numbers if numbers is None or isinstance(numbers, str) else ",".join(format(number, ".9g") for number in numbers)


def _set_bands(row: SupportSetRow, images: Sequence[SupportImageRow], wish: BandWish | None) -> None:
    if images and wish != wish_of(row):
        raise BandsFixedError(
            expected="a support set without images",
            got=f"{row.id}, whose images were checked and shown in its bands",
            remedy="Send the images as a new set with POST /v1/support-sets?bands=...",
        )
    set_wish(row, wish)


def check_class(row: SupportSetRow, label: str, images: Sequence[SupportImageRow]) -> None:
    """Refuse a label that no class of a set has.

    Args:
        row: of the set.
        label: of the class.
        images: those of the class.

    Raises:
        NotFoundError: there is no such class.
    """
    if not images and label not in row.empty_labels:
        raise NotFoundError(
            expected=f"the label of a class of {row.id}",
            got=repr(label[:200]),
            remedy=f"List them with GET /v1/support-sets/{row.id}",
        )


def _check_becomes_class(context: AppContext, row: SupportSetRow, images: Sequence[SupportImageRow], label: str) -> None:
    """Refuse a class that was negative until now and is no possible class beside the others."""
    others = [image for image in images if image.label != label]
    empty_labels = [empty for empty in row.empty_labels if empty != label]
    admission = Admission.of_set(context.settings, others, empty_labels, row.negative_label)
    admission.add_class(label)
    admission.check_room(label)


def forget_negative(row: SupportSetRow, label: str) -> None:
    """Leave a set without a negative class if that was the class of this label, which has no image now."""
    if row.negative_label == label and label not in row.empty_labels:
        row.negative_label = None


def blob_prefix(context: AppContext, support_set_id: str) -> str:
    """Return where the images of a set lie in the store."""
    return f"{blob_folder(context.caller.tenant_id)}support-sets/{support_set_id}"


def count_shots(images: list[SupportImageRow]) -> dict[str, int]:
    """Return the number of images by label, in the order of the images."""
    return dict(Counter(image.label for image in images))
