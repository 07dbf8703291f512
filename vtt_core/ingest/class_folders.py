"""Sort the paths of an archive or folder into classes: one folder for each class, images directly inside.

A single enclosing folder is stepped into. What systems leave behind (`__MACOSX`, dot files, `Thumbs.db`) is passed over.
Folders such as `train` and `val` are parts of a data set: the classes are read from `train`, and the query images from `val`.
An entry that does not fit is rejected by name and the others are kept. What is wrong with the whole is one error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from vtt_core.contract.errors import ArchiveError, ArchiveLayoutError, UnknownEncodingError, UnsafePathError, VttError
from vtt_core.ingest.printable import is_text, printable
from vtt_core.ingest.splits import SplitFolders, SplitNotice, check_same_classes, find_splits

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini"}
MAX_DEPTH = 16
"""Folders above a file. Each is remembered by its path: a zip of 45 kB with a file below 10,000 folders took 400 MB."""
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class LabelledFile:
    """One file in a class folder, not yet known to be an image."""

    label: str
    """Name of the class folder, as found; every character is known."""
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
    """Images to learn from, sorted by class, then name."""
    folders: tuple[str, ...]
    """Label of every class folder, sorted; also of those that hold nothing usable."""
    rejections: tuple[Rejection, ...]
    """Sorted by name."""
    query_files: tuple[LabelledFile, ...] = ()
    """Images of a folder such as `val`, to measure on; sorted as `files`."""
    split: SplitNotice | None = None
    """Set where folders such as `train` and `val` were found."""


@dataclass(frozen=True)
class FoundFolder:
    """One folder as it stands in an archive or folder."""

    path: str
    """Parts separated by `/`, with one at the end."""
    problem: VttError | None = None
    """Why it cannot be used, where that is known without looking at its path."""


@dataclass(frozen=True)
class FoundFile:
    """One file as it stands in an archive or folder."""

    path: str
    """Parts separated by `/`."""
    read: Callable[[], bytes]
    problem: VttError | None = None
    """Why it cannot be used, where that is known without looking at its path."""


@dataclass(frozen=True)
class _Placed:
    file: FoundFile
    parts: tuple[str, ...]

    def below(self, folder: str) -> _Placed:
        """Return the same file as seen from inside the folder."""
        is_inside = len(self.parts) > 1 and self.parts[0] == folder
        return _Placed(self.file, self.parts[1:]) if is_inside else self


@dataclass
class _Tree:
    """The files and folders that count, by the parts of their paths."""

    files: list[_Placed]
    folders: set[tuple[str, ...]]

    def below(self, folder: str) -> _Tree:
        """Return what is inside the folder; files outside of every folder stay, to be rejected by name."""
        files = [placed.below(folder) for placed in self.files if placed.parts[0] == folder or len(placed.parts) == 1]
        return _Tree(files, {parts[1:] for parts in self.folders if parts[0] == folder and len(parts) > 1})

    def labels(self) -> set[str]:
        """Return the names of the top folders."""
        return {parts[0] for parts in self.folders}

    def num_files_in(self, tops: Iterable[str]) -> int:
        """Return the number of files below these top folders."""
        wanted = set(tops)
        return sum(len(placed.parts) > 1 and placed.parts[0] in wanted for placed in self.files)


def path_parts(path: str) -> tuple[str, ...]:
    """Split the path of a zip's entry.

    Raises:
        UnsafePathError: it is absolute, leads upwards, or could be read as another path elsewhere.
    """
    parts = tuple(path.removesuffix("/").split("/"))
    is_unsafe = any(part in ("", ".", "..") for part in parts) or "\\" in path or _DRIVE.match(path) is not None
    if is_unsafe or _has_control_characters(path):
        raise UnsafePathError(
            expected="a relative path like 'class/image.jpg'",
            got=repr(path[:200]),
            remedy="Pack the folder again from the inside, so that every path begins with the name of a class",
        )
    return parts


def folder_parts(path: str) -> tuple[str, ...]:
    """Split the path of a file on disk, as seen from the folder that is read.

    Raises:
        ArchiveLayoutError: a name holds control characters.
    """
    if _has_control_characters(path):
        raise ArchiveLayoutError(
            expected="names without control characters", got=repr(path[:200]), remedy="Rename the file or folder"
        )
    return tuple(path.removesuffix("/").split("/"))


def sort_into_classes(
    entries: Iterable[FoundFile | FoundFolder], split_path: Callable[[str], tuple[str, ...]] = path_parts
) -> ArchiveContents:
    """Return the files by class, the class folders, and what fits nowhere.

    Args:
        entries: what was found.
        split_path: gives the parts of a path, or raises an ArchiveError, with which the entry is rejected.

    Raises:
        UnknownEncodingError: the name of a class folder is in an unknown encoding.
        ArchiveLayoutError: all images lie too deep, or folders such as `train` and `val` do not fit together.
    """
    planted, rejections = _plant(entries, split_path)
    tree = _stepped_in(planted)
    splits = find_splits(tree.folders)
    if splits is None:
        return _by_class(tree, rejections)
    return _by_split(tree, splits, rejections)


def _plant(
    entries: Iterable[FoundFile | FoundFolder], split_path: Callable[[str], tuple[str, ...]]
) -> tuple[_Tree, list[Rejection]]:
    rejections: list[Rejection] = []
    tree = _Tree([], set())
    for entry in entries:
        try:
            parts = split_path(entry.path)
            _check_depth(parts)
        except ArchiveError as error:
            rejections.append(Rejection(None, printable(entry.path), error))
            continue
        parents = parts if isinstance(entry, FoundFolder) else parts[:-1]
        if any(map(_is_left_behind, parents)):
            continue
        tree.folders.update(parents[: depth + 1] for depth in range(len(parents)))
        if isinstance(entry, FoundFolder):
            if entry.problem is not None:
                rejections.append(Rejection(None, printable(entry.path.removesuffix("/")), entry.problem))
        elif not _is_left_behind(parts[-1]):
            tree.files.append(_Placed(entry, parts))
    return tree, rejections


def counts_as_image(path: str) -> bool:
    """Tell whether the path is a file that is not passed over."""
    return not path.endswith("/") and not any(map(_is_left_behind, path.split("/")))


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def _has_control_characters(path: str) -> bool:
    return any(ord(character) < 32 or ord(character) == 127 for character in path)


def _check_depth(parts: tuple[str, ...]) -> None:
    if len(parts) > MAX_DEPTH + 1:
        raise ArchiveLayoutError(
            expected=f"at most {MAX_DEPTH} folders above a file",
            got=f"{len(parts) - 1} above {printable(parts[-1][-80:])!r}",
            remedy="Put the class folders at the top",
        )


def _stepped_in(tree: _Tree) -> _Tree:
    """Return what is inside the enclosing folders."""
    while (enclosing := _enclosing_folder(tree)) is not None:
        tree = tree.below(enclosing)
    return tree


def _enclosing_folder(tree: _Tree) -> str | None:
    """Return the only top folder if it holds class folders rather than being one."""
    tops = tree.labels()
    if len(tops) != 1:
        return None
    num_inner = sum(len(parts) == 2 for parts in tree.folders)
    (top,) = tops
    has_files = any(len(placed.parts) == 2 and placed.parts[0] == top for placed in tree.files)
    return top if num_inner >= 2 or (num_inner == 1 and not has_files) else None


def _by_split(tree: _Tree, splits: SplitFolders, rejections: list[Rejection]) -> ArchiveContents:
    train = _by_class(_stepped_in(tree.below(splits.train)), rejections)
    query = _query_contents(tree, splits, set(train.folders))
    if query is None:  # the folder has no class folders, so its images have no labels
        unused = [*splits.unused, *([splits.query] if splits.query is not None else [])]
        splits, query = SplitFolders(splits.train, None, tuple(unused)), ArchiveContents((), (), ())
    return replace(
        train,
        rejections=(*train.rejections, *query.rejections),
        query_files=query.files,
        split=SplitNotice(splits, len(train.files), len(query.files), tree.num_files_in(splits.unused)),
    )


def _query_contents(tree: _Tree, splits: SplitFolders, train_labels: set[str]) -> ArchiveContents | None:
    """Return the classes of the query folder, whose name stands before those of its files; None where it has none."""
    if splits.query is None or not tree.below(splits.query).folders:
        return None
    inside = _stepped_in(tree.below(splits.query))
    prefix = f"{printable(splits.query)}/"
    contents = _by_class(_Tree([placed for placed in inside.files if len(placed.parts) > 1], inside.folders), [])
    check_same_classes(splits, train_labels, set(contents.folders))
    return replace(
        contents,
        files=tuple(replace(file, name=prefix + file.name) for file in contents.files),
        rejections=tuple(replace(rejection, name=prefix + rejection.name) for rejection in contents.rejections),
    )


def _by_class(tree: _Tree, rejections: list[Rejection]) -> ArchiveContents:
    _check_encoding(tree.labels())
    _check_not_all_deep(tree.files)
    seen: Counter[tuple[str, ...]] = Counter()
    kept: list[LabelledFile] = []
    rejected = list(rejections)
    for placed in tree.files:
        name = printable("/".join(placed.parts))
        label = placed.parts[0] if len(placed.parts) > 1 else None
        seen[placed.parts] += 1
        error = placed.file.problem or _layout_error(placed, name, is_repeated=seen[placed.parts] > 1)
        if error is not None or label is None:
            rejected.append(Rejection(label, name, error or _no_class_folder(name)))
        else:
            kept.append(LabelledFile(label, name, placed.file.read))
    return ArchiveContents(
        files=tuple(sorted(kept, key=lambda file: (file.label, file.name))),
        folders=tuple(sorted(tree.labels())),
        rejections=tuple(sorted(rejected, key=lambda rejection: rejection.name)),
    )


def _check_encoding(labels: set[str]) -> None:
    """Refuse all classes if the name of one is a guess: a wrong label would be worse than none."""
    unknown = sorted(label for label in labels if not is_text(label))
    if unknown:
        raise UnknownEncodingError(
            expected="folder names in UTF-8, or in plain letters (A to Z), because they become the labels",
            got=f"{len(unknown)} of {len(labels)} folders, such as {printable(unknown[0][:80])!r} "
            f"with the bytes {unknown[0][:80].encode('utf-8', 'surrogateescape')!r}",
            remedy="Rename the folders with plain letters, or pack them with a program that writes UTF-8 names (such as 7-Zip)",
        )


def _check_not_all_deep(files: list[_Placed]) -> None:
    deep = [placed for placed in files if len(placed.parts) > 2]
    if deep and not any(len(placed.parts) == 2 for placed in files):
        raise ArchiveLayoutError(
            expected="one folder for each class, and the images directly inside it",
            got=f"{len(deep)} deeper, such as {printable('/'.join(deep[0].parts))[-200:]!r}",
            remedy="Move the class folders to the top, and the images directly into them",
        )


def _no_class_folder(name: str) -> ArchiveLayoutError:
    return ArchiveLayoutError(
        expected="every image in a folder that names its class",
        got=f"{name!r} beside the folders",
        remedy="Move it into the folder of its class",
    )


def _layout_error(placed: _Placed, name: str, *, is_repeated: bool) -> ArchiveLayoutError | None:
    """Say what is wrong with the place of a file inside the top level, if anything."""
    if is_repeated:
        return ArchiveLayoutError(expected="every path once", got=f"{name!r} a second time", remedy="Rename one of them")
    if len(placed.parts) > 2:
        return ArchiveLayoutError(
            expected="images directly inside the class folder",
            got=f"{name!r}, {len(placed.parts) - 1} folders deep",
            remedy="Move it up, or make its folder a class of its own",
        )
    return None
