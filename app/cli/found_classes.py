"""Sort the folders of an archive into classes, before any image is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.names_file import read_names
from vtt_core.contract.errors import BadLabelError, EmptyClassError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.archives import ArchiveContents, LabelledFile


@dataclass
class FoundClass:
    """The files of one class, before any is read."""

    name: str
    label: str
    folders: list[str]
    files: list[LabelledFile]
    query_files: list[LabelledFile]


def found_classes(
    contents: ArchiveContents, source: Path, names_path: Path | None, limits: Limits
) -> tuple[list[FoundClass], list[VttError]]:
    """Return every class with a label that can be used, and an error for each other folder.

    Folders whose labels are the same after cleaning, such as `annual_crop` and `annual crop`, are one class.
    """
    names = read_names(names_path, source, contents.folders) if names_path else {}
    found: dict[str, FoundClass] = {}
    bad_labels: list[VttError] = []
    for folder in contents.folders:
        name = names.get(folder, folder)
        try:
            label = clean_label(name, limits)
        except BadLabelError as error:
            bad_labels.append(error)
            continue
        one = found.setdefault(label, FoundClass(name, label, [], [], []))
        one.folders.append(folder)
        one.files += [file for file in contents.files if file.label == folder]
        one.query_files += [file for file in contents.query_files if file.label == folder]
    return list(found.values()), bad_labels


def take_negative(
    found: Sequence[FoundClass], negative: str | None, limits: Limits
) -> tuple[list[FoundClass], FoundClass | None]:
    """Return the classes that are learnt, and the negative one.

    Args:
        found: all classes.
        negative: folder or label of the negative class; None for none.
        limits: the bounds in force.

    Raises:
        BadLabelError: the label cannot be one.
        EmptyClassError: no folder has this name.
    """
    if negative is None:
        return list(found), None
    label = clean_label(negative, limits)
    for one in found:
        if one.label == label or negative in one.folders:
            return [other for other in found if other is not one], one
    raise EmptyClassError(
        expected=f"a folder {negative!r} with images of the negative class",
        got=f"the folders {', '.join(repr(one.name) for one in found[:5])}{', ...' if len(found) > 5 else ''}",
        remedy="Name one of the folders with --negative, or leave it out",
    )
