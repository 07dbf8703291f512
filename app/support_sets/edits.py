"""Change single images and classes of a support set that no job has used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from app.dependencies import AppContext
from app.domain.errors import LabelTakenError
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets.admission import Admission
from app.support_sets.image_files import delete_files
from app.support_sets.schemas import ImageChange
from app.support_sets.service import SupportSetView, check_class, count_shots, forget_negative
from vtt_core.contract.errors import BadLabelError
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.groups import clean_group


def change_image(context: AppContext, support_set_id: str, image_id: str, change: ImageChange) -> SupportImageRow:
    """Move an image to another class, which may be new, or change its file name or its group.

    Raises:
        NotFoundError: there is no such set, or no such image in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
        SupportSetError: the label cannot be one, the text encoder reads it as that of another class, or there is no room.
        GroupsError: the group cannot be one.
    """
    sent = change.model_fields_set
    label = clean_label(change.label, context.settings.limits) if "label" in sent else None
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        image = repository.get_image(support_set_id, image_id)
        if label is not None and label != image.label:
            _move(context, row, image, label, repository.images(support_set_id))
        if "file" in sent:
            image.file_name = change.file
        if "group" in sent:
            image.group_name = clean_group(change.group, image.file_name)
        return image


def rename_class(
    context: AppContext, support_set_id: str, label: str, new_label: str
) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Rename a class with all its images; it keeps its place, and the negative class stays the negative one.

    Raises:
        NotFoundError: there is no such set, or no such class in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
        LabelTakenError: another class has the new label.
        BadLabelError: the new label cannot be one.
        SameTokensError: the text encoder reads it as that of another class.
    """
    with suppress(BadLabelError):
        label = clean_label(label)
    new_label = clean_label(new_label, context.settings.limits)
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        images = repository.images(support_set_id)
        of_class = [image for image in images if image.label == label]
        check_class(row, label, of_class)
        if new_label != label:
            _check_new_label(context, row, images, label, new_label)
            for image in of_class:
                image.label = new_label
            row.empty_labels = [new_label if known == label else known for known in row.empty_labels]
            row.negative_label = new_label if row.negative_label == label else row.negative_label
        return SupportSetView(row, count_shots(images)), images


def remove_image(context: AppContext, support_set_id: str, image_id: str) -> None:
    """Remove an image from a support set that no job has used; a class whose last image is removed is gone.

    Raises:
        NotFoundError: there is no such set, or no such image in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        image = repository.get_image(support_set_id, image_id)
        blob_key, label = image.blob_key, image.label
        repository.remove_images(support_set_id, [image_id])
        if label not in repository.shots([support_set_id]).get(support_set_id, {}):
            forget_negative(row, label)
    delete_files(context, support_set_id, image_id, blob_key)


def remove_class(context: AppContext, support_set_id: str, label: str) -> None:
    """Remove a class, with its images if it has any.

    Raises:
        NotFoundError: there is no such set, or no such class in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
    """
    with suppress(BadLabelError):
        label = clean_label(label)
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        images = [image for image in repository.images(support_set_id) if image.label == label]
        check_class(row, label, images)
        repository.remove_images(support_set_id, [image.id for image in images])
        row.empty_labels = [known for known in row.empty_labels if known != label]
        forget_negative(row, label)
    for image in images:
        delete_files(context, support_set_id, image.id, image.blob_key)


def _move(
    context: AppContext, row: SupportSetRow, image: SupportImageRow, label: str, images: Sequence[SupportImageRow]
) -> None:
    """Put an image at the end of another class, so that the other classes keep their order."""
    others = [other for other in images if other.id != image.id]
    admission = Admission.of_set(context.settings, others, row.empty_labels, row.negative_label)
    admission.add_class(label)
    admission.check_room(label)
    before, image.label = image.label, label
    image.position = 1 + max(other.position for other in images)
    row.empty_labels = [known for known in row.empty_labels if known != label]
    if all(other.label != before for other in others):
        forget_negative(row, before)


def _check_new_label(
    context: AppContext, row: SupportSetRow, images: Sequence[SupportImageRow], label: str, new_label: str
) -> None:
    others = [image for image in images if image.label != label]
    empty_labels = [empty for empty in row.empty_labels if empty != label]
    if new_label in {*(image.label for image in others), *empty_labels}:
        raise LabelTakenError(
            expected="a label that no other class has",
            got=repr(new_label),
            remedy=f"Move its images to that class one by one with PATCH /v1/support-sets/{row.id}/images/{{image_id}}",
        )
    negative = new_label if row.negative_label == label else row.negative_label
    Admission.of_set(context.settings, others, empty_labels, negative).add_class(new_label)
