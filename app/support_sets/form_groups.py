"""Find the groups of images in the form of an upload: a text, or a file that is no image."""

from __future__ import annotations

from app.uploads.form import FormPart, SpooledForm
from vtt_core.contract.errors import GroupsError
from vtt_core.ingest.groups import LAYOUT, ImageGroups, parse_groups

GROUPS_FIELD = "groups"
"""Name of the form field that holds them. An image in a field of this name is one of a class called `groups`."""
MAX_GROUPS_BYTES = 2**20
"""Limit of that text or file; 3,200 images with names of 200 characters fit."""
_FILE_ENDINGS = (".csv", ".json")


def is_groups(form: SpooledForm, part: FormPart) -> bool:
    """Tell whether a part holds groups: a text, a file called `.csv` or `.json`, or one whose content is text."""
    if part.field_name != GROUPS_FIELD:
        return False
    if part.file_name is None or part.file_name.lower().endswith(_FILE_ENDINGS):
        return True
    return part.is_kept and 0 < part.size_bytes <= MAX_GROUPS_BYTES and _decode(form.read(part)) is not None


def read_groups(form: SpooledForm) -> ImageGroups:
    """Return the groups in a form; none if it names none.

    Raises:
        GroupsError: they cannot be read, or the form has them twice.
    """
    parts = [part for part in form.parts if is_groups(form, part)]
    if not parts:
        return ImageGroups()
    if len(parts) > 1:
        raise GroupsError(
            expected=f"one field {GROUPS_FIELD!r} with groups", got=f"{len(parts)} of them", remedy="Put all groups into one"
        )
    (part,) = parts
    return parse_groups(_text(form, part), f"the field {GROUPS_FIELD!r}")


def _text(form: SpooledForm, part: FormPart) -> str:
    if part.size_bytes > MAX_GROUPS_BYTES:
        raise GroupsError(
            expected=f"at most {MAX_GROUPS_BYTES} bytes of groups",
            got=f"{part.size_bytes} bytes",
            remedy="Name only the files of this upload",
        )
    if part.file_name is None:
        return _checked_text(part.text)
    text = _decode(form.read(part))
    if text is None:
        raise GroupsError(expected=LAYOUT, got="bytes that are no UTF-8", remedy="Save the file as UTF-8")
    return text


def _checked_text(text: str) -> str:
    if not text.lstrip().startswith(("{", "[")) and "\n" not in text.strip():
        raise GroupsError(
            expected=LAYOUT,
            got=f"the text {text[:80]!r} in the field {GROUPS_FIELD!r}",
            remedy=f"Send a file as a file (with curl, @ before its name: -F {GROUPS_FIELD}=@groups.csv)",
        )
    return text


def _decode(content: bytes) -> str | None:
    """Return the text, or None for bytes that are none, such as those of an image."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
