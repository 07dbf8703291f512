"""Ask the service about support sets: send images, correct them, look at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from vtt_client.answers import UNCHANGED, UNHURRIED_SECONDS, Unchanged, changes, get, listed, read, segment
from vtt_client.calls import Call, Operation
from vtt_client.files import Groups, LabelledImages, Progress, form_of
from vtt_client.models import StoredImage, SupportSet, SupportSetDetail, SupportSetPage, Upload
from vtt_client.report_models import Report

GroupBy: TypeAlias = Literal["patient"]
"""What DICOM images may be grouped by."""


def upload(
    source: LabelledImages,
    *,
    name: str = "",
    negative: str | None = None,
    groups: Groups | None = None,
    group_by: GroupBy | None = None,
    bands: Sequence[int] | None = None,
    stretch: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Operation[Upload]:
    """Send labelled images as a new support set.

    Args:
        source: folder with a folder per class, or a zip of one, or the images of each class by its label.
        name: what you call the set.
        negative: label of the class whose images show none of the others.
        groups: by file name, what images have in common, such as the patient; or a file of CSV (`file,group`) or JSON.
        group_by: `patient` groups DICOM images by their patients; names in `groups` are unchanged.
        bands: of TIFFs with more than three: those that are shown as red, green and blue, counted from 1; or one, as grey.
        stretch: percentiles of the images that become black and white, with `bands`; None for the usual ones.
        progress: told the bytes that were sent, and those in all.

    Returns:
        The set; `refused` names the images that could not be used.

    Raises:
        BadInputError: there are no images.
        InvalidError: none of them can be used; `results` says why.
    """
    with form_of(source, progress, groups) as parts:
        params = {"name": name or None, "negative": negative, "group_by": group_by}
        params |= {"bands": _joined(bands), "stretch": _joined(stretch)}
        answer = yield Call("POST", "/v1/support-sets", params, files=parts, read_seconds=UNHURRIED_SECONDS)
        return read(Upload, answer)


def _joined(numbers: Sequence[float] | None) -> str | None:
    return None if numbers is None else ",".join(f"{number:g}" for number in numbers)


def support_sets() -> Operation[list[SupportSet]]:
    """Return the support sets, newest first."""
    return (yield from listed("/v1/support-sets", SupportSetPage, lambda page: page.items))


def support_set(support_set_id: str) -> Operation[SupportSetDetail]:
    """Return a support set with its images."""
    return read(SupportSetDetail, (yield get(f"/v1/support-sets/{segment(support_set_id)}")))


def inspect(support_set_id: str) -> Operation[Report]:
    """Look for what is wrong with the images before anything is learnt: wrong labels, copies, shortcuts."""
    call = Call("POST", f"{_path(support_set_id)}/report", is_repeatable=True, read_seconds=UNHURRIED_SECONDS)
    return read(Report, (yield call))


def add_images(
    support_set_id: str,
    source: LabelledImages,
    *,
    negative: str | None = None,
    groups: Groups | None = None,
    group_by: GroupBy | None = None,
    progress: Progress | None = None,
) -> Operation[Upload]:
    """Add images to a support set that no job has used yet; the arguments are those of `upload`."""
    with form_of(source, progress, groups) as parts:
        params = {"negative": negative, "group_by": group_by}
        answer = yield Call("POST", f"{_path(support_set_id)}/images", params, files=parts, read_seconds=UNHURRIED_SECONDS)
        return read(Upload, answer)


def change_support_set(
    support_set_id: str, *, name: str | Unchanged = UNCHANGED, negative: str | None | Unchanged = UNCHANGED
) -> Operation[SupportSetDetail]:
    """Rename a support set, or say which class is the negative one; None for no class."""
    call = Call("PATCH", _path(support_set_id), json=changes(name=name, negative=negative), is_repeatable=True)
    return read(SupportSetDetail, (yield call))


def copy_support_set(support_set_id: str, *, name: str = "") -> Operation[SupportSetDetail]:
    """Copy a support set, for example to change one that a job has used."""
    return read(SupportSetDetail, (yield Call("POST", f"{_path(support_set_id)}/copy", {"name": name or None})))


def set_groups(support_set_id: str, groups: Mapping[str, str | None]) -> Operation[SupportSetDetail]:
    """Say by file name what images have in common; None takes an image out of its group."""
    call = Call("PUT", f"{_path(support_set_id)}/groups", json={"groups": dict(groups)}, is_repeatable=True)
    return read(SupportSetDetail, (yield call))


def rename_class(support_set_id: str, label: str, new_label: str) -> Operation[SupportSetDetail]:
    """Give a class another label."""
    call = Call("PATCH", f"{_path(support_set_id)}/classes", {"label": label}, json={"label": new_label})
    return read(SupportSetDetail, (yield call))


def remove_class(support_set_id: str, label: str) -> Operation[None]:
    """Remove a class with its images."""
    yield Call("DELETE", f"{_path(support_set_id)}/classes", {"label": label})


def change_image(
    support_set_id: str, image_id: str, *, label: str | Unchanged = UNCHANGED, group: str | None | Unchanged = UNCHANGED
) -> Operation[StoredImage]:
    """Move an image to another class, or to another group; None takes it out of its group."""
    path = f"{_path(support_set_id)}/images/{segment(image_id)}"
    return read(StoredImage, (yield Call("PATCH", path, json=changes(label=label, group=group), is_repeatable=True)))


def remove_image(support_set_id: str, image_id: str) -> Operation[None]:
    """Remove an image."""
    yield Call("DELETE", f"{_path(support_set_id)}/images/{segment(image_id)}")


def _path(support_set_id: str) -> str:
    return f"/v1/support-sets/{segment(support_set_id)}"
