"""Sort the paths of an archive or folder into classes: one folder for each class, images directly inside.

A single enclosing folder is entered. Files that systems leave behind (`__MACOSX`, dot files, `Thumbs.db`) are skipped.
Folders such as `train` and `val` are splits of a data set: classes come from `train`, query images from `val`.
An entry that does not fit is rejected by name, and the others are kept. A problem of the whole archive is one error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from vtt_core.contract.errors import ArchiveError, ArchiveLayoutError, UnknownEncodingError, UnsafePathError
from vtt_core.ingest.archive_contents import ArchiveContents, FoundFile, FoundFolder, LabelledFile, Rejection
from vtt_core.ingest.printable import is_text, printable
from vtt_core.ingest.splits import SplitFolders, SplitNotice, check_same_classes, find_splits

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini"}
MAX_DEPTH = 16
"""Most folders above a file. Every path is kept: a zip of 45 kB with one file below 10,000 folders took 400 MB."""
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class _Placed:
    file: FoundFile
    parts: tuple[str, ...]

    def below(self, folder: str) -> _Placed:
        """Return the file with its path relative to the folder."""
        is_inside = len(self.parts) > 1 and self.parts[0] == folder
        return _Placed(self.file, self.parts[1:]) if is_inside else self


@dataclass
class _Tree:
    """The files and folders that are not skipped, by the parts of their paths."""

    files: list[_Placed]
    folders: set[tuple[str, ...]]

    def below(self, folder: str) -> _Tree:
        """Return the folder's content. Files outside all folders stay in, so that they are rejected by name."""
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
        UnsafePathError: it is absolute, contains `..`, or means another path on some system.
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
    """Split the path of a file on disk, relative to the folder that is read.

    Raises:
        ArchiveLayoutError: a name contains control characters.
    """
    if _has_control_characters(path):
        raise ArchiveLayoutError(
            expected="names without control characters", got=repr(path[:200]), remedy="Rename the file or folder"
        )
    return tuple(path.removesuffix("/").split("/"))


def sort_into_classes(
    entries: Iterable[FoundFile | FoundFolder], split_path: Callable[[str], tuple[str, ...]] = path_parts
) -> ArchiveContents:
    """Return the files by class, the class folders, and the rejected entries.

    Args:
        entries: what was found.
        split_path: returns the parts of a path, or raises the ArchiveError to reject the entry with.

    Raises:
        UnknownEncodingError: the name of a class folder is in an unknown encoding.
        ArchiveLayoutError: all images are nested too deeply, or folders such as `train` and `val` do not match.
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
    """Tell whether the path is a file that is not skipped."""
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
    """Return the tree below all enclosing folders."""
    while (enclosing := _enclosing_folder(tree)) is not None:
        tree = tree.below(enclosing)
    return tree


def _enclosing_folder(tree: _Tree) -> str | None:
    """Return the only top folder, if it contains class folders and is not one itself."""
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
    if query is None:  # without class folders its images have no labels
        unused = [*splits.unused, *([splits.query] if splits.query is not None else [])]
        splits, query = SplitFolders(splits.train, None, tuple(unused)), ArchiveContents((), (), ())
    return replace(
        train,
        rejections=(*train.rejections, *query.rejections),
        query_files=query.files,
        split=SplitNotice(splits, len(train.files), len(query.files), tree.num_files_in(splits.unused)),
    )


def _query_contents(tree: _Tree, splits: SplitFolders, train_labels: set[str]) -> ArchiveContents | None:
    """Return the query folder's classes, or None if it has none. File names start with its name."""
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
    """Refuse all classes if the encoding of one name is unknown: a wrong label would be worse than none."""
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
    """Return what is wrong with the place of a file, if anything."""
    if is_repeated:
        return ArchiveLayoutError(expected="every path once", got=f"{name!r} a second time", remedy="Rename one of them")
    if len(placed.parts) > 2:
        return ArchiveLayoutError(
            expected="images directly inside the class folder",
            got=f"{name!r}, {len(placed.parts) - 1} folders deep",
            remedy="Move it up, or make its folder a class of its own",
        )
    return None
