"""Choose from folders of images which ones teach and which ones measure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.cli.names import read_names
from vtt_core.archives import ArchiveContents, LabelledFile, open_images
from vtt_core.contract.errors import (
    BadLabelError,
    ConflictingLabelsError,
    DuplicateImageError,
    EmptyClassError,
    TooFewShotsError,
    TooManyShotsError,
    VttError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet, check_shape, clean_label
from vtt_core.images import inspect_image


@dataclass(frozen=True)
class LabelledImage:
    """One image outside the support set, and the class that it truly is."""

    label: str
    image: SupportImage


@dataclass(frozen=True)
class LeftOut:
    """One image that is not used, and why."""

    name: str
    error: VttError


@dataclass(frozen=True)
class Selection:
    """What a fine-tuning learns from, and what its accuracy is measured on."""

    support_set: SupportSet
    query_images: tuple[LabelledImage, ...]
    left_out: tuple[LeftOut, ...]


@dataclass
class _Chooser:
    """Take usable images in order, each content once."""

    limits: Limits
    label_by_sha256: dict[str, str] = field(default_factory=dict)
    """First label under which each content came."""
    left_out: list[LeftOut] = field(default_factory=list)

    def usable(self, label: str, files: Sequence[LabelledFile]) -> Iterator[SupportImage]:
        for file in files:
            try:
                encoded = file.read()
                inspect_image(encoded, self.limits)
                self._check_new(label, encoded)
            except VttError as error:
                self.left_out.append(LeftOut(file.name, error))
                continue
            yield SupportImage(name=file.name, encoded=encoded)

    def _check_new(self, label: str, encoded: bytes) -> None:
        sha256 = hashlib.sha256(encoded).hexdigest()
        earlier = self.label_by_sha256.get(sha256)
        if earlier == label:
            raise DuplicateImageError(
                expected="each image once", got="the same bytes twice in this class", remedy="Remove one of them"
            )
        if earlier is not None:
            raise ConflictingLabelsError(
                expected="each image under one label", got=f"the same bytes under {earlier!r}", remedy="Keep the right one"
            )
        self.label_by_sha256[sha256] = label


def select_images(
    source: Path,
    *,
    shot: int | None,
    query: int,
    names_path: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Selection:
    """Read a folder or zip with a folder per class.

    Args:
        source: folder or zip file; a single enclosing folder is stepped into.
        shot: the first this many usable images of each class, in name order, are the support
            set; None takes all.
        query: up to this many of the images after them are kept to measure on.
        names_path: JSON file with the class name of each folder.
        limits: the bounds in force.

    Returns:
        The selection; images that cannot be used are named in it, and the next one is taken.

    Raises:
        TooFewShotsError: a class has fewer usable images than asked for.
        VttError: the source, the names or the support set as a whole cannot be used.
    """
    if shot is not None and not 1 <= shot <= limits.max_shot:
        raise TooManyShotsError(
            expected=f"between 1 and {limits.max_shot} images a class", got=f"--shot {shot}", remedy="Choose another --shot"
        )
    chooser = _Chooser(limits)
    classes: list[SupportClass] = []
    query_images: list[LabelledImage] = []
    with open_images(source, limits) as contents:
        chooser.left_out += [LeftOut(rejection.name, rejection.error) for rejection in contents.rejections]
        for label, files in _label_files(contents, source, names_path, chooser, limits):
            usable = chooser.usable(label, files)
            taken = _take(usable, shot if shot is not None else limits.max_shot + 1)
            _check_shot(label, taken, shot, chooser)
            classes.append(SupportClass(label=label, images=tuple(taken)))
            query_images += [LabelledImage(label, image) for image in _take(usable, query)]
    check_shape([(support_class.label, support_class.shot) for support_class in classes], limits)
    return Selection(SupportSet(tuple(classes)), tuple(query_images), tuple(chooser.left_out))


def _label_files(
    contents: ArchiveContents, source: Path, names_path: Path | None, chooser: _Chooser, limits: Limits
) -> list[tuple[str, list[LabelledFile]]]:
    """Return the files of every class under its clean label; a folder with a bad label is left out."""
    names = read_names(names_path, source, contents.folders) if names_path else {}
    by_folder: dict[str, list[LabelledFile]] = {folder: [] for folder in contents.folders}
    for file in contents.files:
        by_folder[file.label].append(file)
    labelled: dict[str, list[LabelledFile]] = {}
    for folder, files in by_folder.items():
        try:
            label = clean_label(names.get(folder, folder), limits)
        except BadLabelError as error:
            chooser.left_out += [LeftOut(file.name, error) for file in files]
            continue
        labelled.setdefault(label, []).extend(files)
    return list(labelled.items())


def _take(usable: Iterator[SupportImage], count: int) -> list[SupportImage]:
    taken: list[SupportImage] = []
    while len(taken) < count and (image := next(usable, None)) is not None:
        taken.append(image)
    return taken


def _check_shot(label: str, taken: Sequence[SupportImage], shot: int | None, chooser: _Chooser) -> None:
    if not taken:
        raise EmptyClassError(
            expected="at least one usable image in every class",
            got=f"none in {label!r}",
            remedy="Add an image to it or leave the class out" + _reasons(chooser),
        )
    if shot is not None and len(taken) < shot:
        raise TooFewShotsError(
            expected=f"{shot} usable images in every class",
            got=f"{len(taken)} in {label!r}",
            remedy="Add images to it, or ask for a smaller --shot" + _reasons(chooser),
        )
    if shot is None and len(taken) > chooser.limits.max_shot:
        raise TooManyShotsError(
            expected=f"at most {chooser.limits.max_shot} images a class",
            got=f"more in {label!r}",
            remedy=f"Pass --shot {chooser.limits.max_shot} or fewer: the first ones teach, the rest measure",
        )


def _reasons(chooser: _Chooser) -> str:
    named = [f"{left.name} ({left.error.title.lower()})" for left in chooser.left_out[:3]]
    return f"; left out so far: {', '.join(named)}" if named else ""
