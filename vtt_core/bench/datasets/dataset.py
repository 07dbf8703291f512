"""Describe a public data set, and find its files on disk.

Listing a folder takes one `os.scandir` and no `stat`: a data set may have a million files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.contract.errors import DatasetLayoutError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""Ends of the names of image files, in lower case."""
_LEFT_BEHIND = "__macosx"
_MAX_SHOWN = 5
"""Names of a folder's entries that an error shows."""


@dataclass(frozen=True)
class Dataset:
    """Facts about a data set, before its folder is read."""

    name: str
    """Name on the command line."""
    title: str
    """Usual name."""
    num_classes: int
    """Classes of the whole data set."""
    url: str
    """Where to get it."""
    layout: str
    """What its folder must contain, for error messages; alternatives are separated by `or`."""
    prompt_names: str
    """Source of the class names in prompts."""
    read: Callable[[Dataset, Path], list[LabelledImage]]
    """Lists its images by class, then name, or raises DatasetLayoutError."""
    groups: str | None = None
    """What its images can be grouped by; None if they are independent."""
    zip_label: Callable[[str], str | None] | None = None
    """Returns a folder's class name, or None if it is not a class. Set if the public download is a zip of class folders."""

    def bad_layout(self, got: str) -> DatasetLayoutError:
        """Return the error for a folder that is not this data set."""
        return DatasetLayoutError(
            expected=f"{self.title} laid out as {self.layout}",
            got=got,
            remedy=f"Get it from {self.url}, unpack it and pass the folder as {self.name}=FOLDER",
        )

    def find(self, root: Path, candidates: Iterable[str], is_right: Callable[[Path], bool]) -> Path:
        """Return the first candidate path below the root that passes the check.

        Raises:
            DatasetLayoutError: none passes.
        """
        for candidate in candidates:
            if is_right(root / candidate):
                return root / candidate
        raise self.bad_layout(shown_contents(root))


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder inside another."""

    name: str
    path: str


def list_folders(folder: Path | str) -> list[Entry]:
    """Return the folders in a folder, sorted by name, including links; none if it is not a folder."""
    return _list(folder, lambda found: found.is_dir() and found.name.lower() != _LEFT_BEHIND)


def list_images(folder: Path | str) -> list[Entry]:
    """Return the image files in a folder, sorted by name; none if it is not a folder."""
    return _list(folder, lambda found: found.name.lower().endswith(IMAGE_SUFFIXES) and found.is_file())


def has_images(folder: Path | str) -> bool:
    """Return whether a folder contains an image, without listing all of it."""
    try:
        with os.scandir(folder) as listing:
            return any(found.name.lower().endswith(IMAGE_SUFFIXES) for found in listing)
    except OSError:
        return False


def shown_contents(path: Path) -> str:
    """Describe the content of a path, for an error message."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        return f"{str(path)!r} ({error.strerror})"
    shown = ", ".join(map(repr, names[:_MAX_SHOWN])) or "nothing"
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return f"{shown}{more} in {str(path)!r}"


def _list(folder: Path | str, is_wanted: Callable[[os.DirEntry[str]], bool]) -> list[Entry]:
    try:
        with os.scandir(folder) as listing:
            entries = [Entry(found.name, found.path) for found in listing if found.name[0] != "." and is_wanted(found)]
    except OSError:
        return []
    return sorted(entries, key=lambda entry: entry.name)
