"""Sort the paths of an archive or folder into classes: one folder a class, images directly inside.

A single enclosing folder is stepped into. What systems leave behind (`__MACOSX`, dot files,
`Thumbs.db`) is passed over. An entry that does not fit is rejected by name; the others are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vtt_core.contract.errors import ArchiveError, ArchiveLayoutError, UnsafePathError, VttError

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini"}
MAX_DEPTH = 16
"""Folders above a file. Each is remembered by its path: a zip of 45 kB with a file below 10,000 folders took 400 MB."""
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class LabelledFile:
    """One file in a class folder, not yet known to be an image."""

    label: str
    """Name of the class folder, as found."""
    name: str
    """`<class folder>/<file>`, for messages; never used as a path."""
    read: Callable[[], bytes]
    """Returns the content; raises a VttError where it is too large, damaged or itself an archive."""


@dataclass(frozen=True)
class Rejection:
    """One file that cannot be used, with the reason."""

    label: str | None
    """Name of the class folder, where the file lies in one."""
    name: str
    """Where the file lies, for messages."""
    error: VttError


@dataclass(frozen=True)
class ArchiveContents:
    """What an archive or folder holds."""

    files: tuple[LabelledFile, ...]
    """Sorted by class, then name."""
    folders: tuple[str, ...]
    """Label of every class folder, sorted; also of those that hold nothing usable."""
    rejections: tuple[Rejection, ...]
    """Sorted by name."""


@dataclass(frozen=True)
class FoundEntry:
    """One entry as it stands in an archive or folder."""

    path: str
    """Parts separated by `/`; a folder's ends with it."""
    read: Callable[[], bytes]
    problem: VttError | None = None
    """Why it cannot be used, where that is known without looking at its path."""


@dataclass(frozen=True)
class _Placed:
    entry: FoundEntry
    parts: tuple[str, ...]

    def below(self, folder: str) -> _Placed:
        """Return the same entry as seen from inside the folder."""
        is_inside = len(self.parts) > 1 and self.parts[0] == folder
        return _Placed(self.entry, self.parts[1:]) if is_inside else self


def sort_into_classes(entries: Iterable[FoundEntry]) -> ArchiveContents:
    """Return the files by class, the class folders, and what fits nowhere."""
    rejections: list[Rejection] = []
    files: list[_Placed] = []
    folders: set[tuple[str, ...]] = set()
    for entry in entries:
        try:
            parts = path_parts(entry.path)
            _check_depth(parts)
        except ArchiveError as error:
            rejections.append(Rejection(None, printable(entry.path), error))
            continue
        is_left_behind = [part.startswith(".") or part.lower() in _LEFT_BEHIND for part in parts]
        parents = parts if entry.path.endswith("/") else parts[:-1]
        if any(is_left_behind[: len(parents)]):
            continue
        folders.update(parents[: depth + 1] for depth in range(len(parents)))
        if len(parents) < len(parts) and not is_left_behind[-1]:
            files.append(_Placed(entry, parts))
    while (enclosing := _enclosing_folder(files, folders)) is not None:
        files = [placed.below(enclosing) for placed in files]
        folders = {parts[1:] for parts in folders if len(parts) > 1}
    return _by_class(files, {parts[0] for parts in folders}, rejections)


def path_parts(path: str) -> tuple[str, ...]:
    """Split an entry's path.

    Raises:
        UnsafePathError: it is absolute, leads upwards, or could be read as another path elsewhere.
    """
    parts = tuple(path.removesuffix("/").split("/"))
    is_unsafe = (
        any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or any(ord(character) < 32 or ord(character) == 127 for character in path)
        or _DRIVE.match(path) is not None
    )
    if is_unsafe:
        raise UnsafePathError(
            expected="a relative path like 'class/image.jpg'",
            got=repr(path[:200]),
            remedy="Pack the folder again from the inside, with '/' between folder and file",
        )
    return parts


def _check_depth(parts: tuple[str, ...]) -> None:
    if len(parts) > MAX_DEPTH + 1:
        raise ArchiveLayoutError(
            expected=f"at most {MAX_DEPTH} folders above a file",
            got=f"{len(parts) - 1} above {printable(parts[-1][-80:])!r}",
            remedy="Put the class folders at the top",
        )


def printable(path: str) -> str:
    """Return the path as text that any output takes, bytes that are no UTF-8 escaped."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _enclosing_folder(files: list[_Placed], folders: set[tuple[str, ...]]) -> str | None:
    """Return the only top folder if it holds class folders rather than being one."""
    tops = {parts[0] for parts in folders}
    if len(tops) != 1:
        return None
    num_inner = sum(len(parts) == 2 for parts in folders)
    (top,) = tops
    has_files = any(len(placed.parts) == 2 and placed.parts[0] == top for placed in files)
    return top if num_inner >= 2 or (num_inner == 1 and not has_files) else None


def _by_class(files: list[_Placed], labels: set[str], rejections: list[Rejection]) -> ArchiveContents:
    seen: Counter[str] = Counter()
    kept: list[LabelledFile] = []
    for placed in files:
        name = printable("/".join(placed.parts))
        label = printable(placed.parts[0]) if len(placed.parts) > 1 else None
        seen[name] += 1
        error = placed.entry.problem or _layout_error(placed, name, num_seen=seen[name])
        if error is not None or label is None:
            rejections.append(Rejection(label, name, error or _no_class_folder(name)))
        else:
            kept.append(LabelledFile(label, name, placed.entry.read))
    return ArchiveContents(
        files=tuple(sorted(kept, key=lambda file: (file.label, file.name))),
        folders=tuple(sorted(map(printable, labels))),
        rejections=tuple(sorted(rejections, key=lambda rejection: rejection.name)),
    )


def _no_class_folder(name: str) -> ArchiveLayoutError:
    return ArchiveLayoutError(
        expected="every image in a folder that names its class",
        got=f"{name!r} beside the folders",
        remedy="Move it into the folder of its class",
    )


def _layout_error(placed: _Placed, name: str, *, num_seen: int) -> ArchiveLayoutError | None:
    """Say what is wrong with the place of a file inside the top level, if anything."""
    if num_seen > 1:
        return ArchiveLayoutError(
            expected="every path once", got=f"{name!r} for the {num_seen}. time", remedy="Rename one of them"
        )
    if len(placed.parts) > 2:
        return ArchiveLayoutError(
            expected="images directly inside the class folder",
            got=f"{name!r}, {len(placed.parts) - 1} folders deep",
            remedy="Move it up, or make its folder a class of its own",
        )
    if any(0xD800 <= ord(character) < 0xE000 for character in placed.parts[0]):
        return ArchiveLayoutError(
            expected="folder names in UTF-8", got=repr(placed.parts[0]), remedy="Rename the folder to the label of its class"
        )
    return None
