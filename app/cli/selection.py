"""Choose from folders of images a support set and query images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from app.cli.names_file import read_names
from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import (
    BadLabelError,
    EmptyClassError,
    SupportSetError,
    TooFewShotsError,
    TooManyShotsError,
    VttError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet, check_shape, clean_label
from vtt_core.ingest.archives import ArchiveContents, LabelledFile, open_images
from vtt_core.ingest.decode import inspect_image
from vtt_core.ingest.splits import SplitNotice
from vtt_core.labels.checks import LabelReader, label_problems, raise_problems


@dataclass(frozen=True)
class LabelledImage:
    """One image outside the support set, with its true class."""

    label: str
    image: SupportImage


@dataclass(frozen=True)
class LeftOut:
    """One image that is not used, and the reason."""

    name: str
    error: VttError


@dataclass(frozen=True)
class Selection:
    """The support set, and the images that accuracy is measured on."""

    support_set: SupportSet
    query_images: tuple[LabelledImage, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class SurveyedClass:
    """One class as it was found."""

    name: str
    """Of the folder, or what the names file calls it; not cleaned."""
    label: str
    """As the prompt says it."""
    support: tuple[SupportImage, ...]
    query: tuple[LabelledImage, ...]


@dataclass(frozen=True)
class Survey:
    """Everything that was found in a folder or zip, whether or not it can be used."""

    classes: tuple[SurveyedClass, ...]
    problems: tuple[VttError, ...]
    """Why no fine-tuning can start; empty if one can."""
    left_out: tuple[LeftOut, ...]
    split: SplitNotice | None = None
    """Set where folders such as `train` and `val` were found."""

    def selection(self) -> Selection:
        """Return the selection.

        Raises:
            VttError: there are problems; the error names all of them.
        """
        raise_problems(self.problems)
        classes = tuple(SupportClass(label=one.label, images=one.support) for one in self.classes)
        return Selection(SupportSet(classes), tuple(image for one in self.classes for image in one.query), self.left_out)


class _Chooser:
    """Take usable images in order, each file once."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left_out: list[LeftOut] = []
        self._taken = AdmittedImages(limits)

    def usable(self, label: str, files: Sequence[LabelledFile]) -> Iterator[SupportImage]:
        for file in files:
            try:
                encoded = file.read()
                sha256 = hashlib.sha256(encoded).hexdigest()
                self._taken.check_new(label, sha256)
                inspect_image(encoded, self.limits)
            except VttError as error:
                self.left_out.append(LeftOut(file.name, error))
                continue
            self._taken.admit(label, sha256)
            yield SupportImage(name=file.name, encoded=encoded)


def select_images(
    source: Path,
    *,
    shot: int | None,
    query: int,
    names_path: Path | None = None,
    reader: LabelReader | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Selection:
    """Read a folder or zip with a folder per class; arguments as of `survey_images`.

    Returns:
        The selection. It names images that cannot be used; the next ones take their place.

    Raises:
        VttError: the source, the names or the support set as a whole cannot be used. A SeveralProblemsError names the
            problems of several classes.
    """
    return survey_images(source, shot=shot, query=query, names_path=names_path, reader=reader, limits=limits).selection()


def survey_images(
    source: Path,
    *,
    shot: int | None,
    query: int,
    names_path: Path | None = None,
    reader: LabelReader | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Survey:
    """Read a folder or zip with a folder per class, and collect every problem.

    Args:
        source: folder or zip file; a single enclosing folder is stepped into.
        shot: the first this many usable images of each class, in name order, are the support
            set; None takes all.
        query: up to this many other images of each class are query images: those of a folder such as `val`, then those
            after the support set.
        names_path: JSON file with the class name of each folder.
        reader: how the backbone reads labels; None for the bundled backbone and the default recipe.
        limits: the bounds in force.

    Raises:
        TooManyShotsError: the shot is outside the limits.
        ArchiveError: the source as a whole cannot be read.
        NamesFileError: the names cannot be used.
    """
    if shot is not None and not 1 <= shot <= limits.max_shot:
        raise TooManyShotsError(
            expected=f"between 1 and {limits.max_shot} images a class", got=f"--shot {shot}", remedy="Choose another --shot"
        )
    chooser = _Chooser(limits)
    classes: list[SurveyedClass] = []
    problems: list[VttError] = []
    with open_images(source, limits) as contents:
        chooser.left_out += [LeftOut(rejection.name, rejection.error) for rejection in contents.rejections]
        found, bad_labels = _found_classes(contents, source, names_path, limits)
        problems += [*bad_labels, *label_problems([one.label for one in found], reader or _default_reader())]
        for one in found:
            surveyed, problem = _survey_class(one, contents, shot, query, chooser)
            classes.append(surveyed)
            problems += [problem] if problem is not None else []
    if not problems:
        problems += _shape_problems(classes, limits)
    return Survey(tuple(classes), tuple(problems), tuple(chooser.left_out), contents.split)


@dataclass
class _FoundClass:
    """The files of one class, before any is read."""

    name: str
    label: str
    folders: list[str]
    files: list[LabelledFile]
    query_files: list[LabelledFile]


def _default_reader() -> LabelReader:
    return LabelReader(MINI, FinetuneRecipe())


def _found_classes(
    contents: ArchiveContents, source: Path, names_path: Path | None, limits: Limits
) -> tuple[list[_FoundClass], list[VttError]]:
    """Return every class with a label that can be used, and an error for each other folder.

    Folders whose labels are the same after cleaning, such as `annual_crop` and `annual crop`, are one class.
    """
    names = read_names(names_path, source, contents.folders) if names_path else {}
    found: dict[str, _FoundClass] = {}
    bad_labels: list[VttError] = []
    for folder in contents.folders:
        name = names.get(folder, folder)
        try:
            label = clean_label(name, limits)
        except BadLabelError as error:
            bad_labels.append(error)
            continue
        one = found.setdefault(label, _FoundClass(name, label, [], [], []))
        one.folders.append(folder)
        one.files += [file for file in contents.files if file.label == folder]
        one.query_files += [file for file in contents.query_files if file.label == folder]
    return list(found.values()), bad_labels


def _survey_class(
    one: _FoundClass, contents: ArchiveContents, shot: int | None, query: int, chooser: _Chooser
) -> tuple[SurveyedClass, VttError | None]:
    rejected = [
        LeftOut(rejection.name, rejection.error)
        for rejection in contents.rejections
        if rejection.label in one.folders or rejection.name in one.folders
    ]
    num_left_out = len(chooser.left_out)
    usable = chooser.usable(one.label, one.files)
    support = _take(usable, shot if shot is not None else chooser.limits.max_shot + 1)
    problem = _shot_problem(one.label, support, shot, chooser.limits, [*rejected, *chooser.left_out[num_left_out:]])
    others = chain(chooser.usable(one.label, one.query_files), usable)
    queried = tuple(LabelledImage(one.label, image) for image in _take(others, query)) if problem is None else ()
    return SurveyedClass(one.name, one.label, tuple(support), queried), problem


def _shape_problems(classes: Sequence[SurveyedClass], limits: Limits) -> list[VttError]:
    try:
        check_shape([(one.label, len(one.support)) for one in classes], limits)
    except SupportSetError as error:
        return [error]
    return []


def _take(usable: Iterator[SupportImage], count: int) -> list[SupportImage]:
    taken: list[SupportImage] = []
    while len(taken) < count and (image := next(usable, None)) is not None:
        taken.append(image)
    return taken


def _shot_problem(
    label: str, taken: Sequence[SupportImage], shot: int | None, limits: Limits, left_out: Sequence[LeftOut]
) -> VttError | None:
    """Return what is wrong with the number of usable images of a class, if anything."""
    if not taken:
        return EmptyClassError(
            expected="at least one usable image in every class",
            got=f"none in {label!r}{_reasons(left_out)}",
            remedy="Add an image to it or leave the class out",
        )
    if shot is not None and len(taken) < shot:
        return TooFewShotsError(
            expected=f"{shot} usable images in every class",
            got=f"{len(taken)} in {label!r}{_reasons(left_out)}",
            remedy="Add images to it, or ask for a smaller --shot",
        )
    if shot is None and len(taken) > limits.max_shot:
        return TooManyShotsError(
            expected=f"at most {limits.max_shot} images a class",
            got=f"more in {label!r}",
            remedy=f"Pass --shot {limits.max_shot} or fewer: the first ones teach, the rest measure",
        )
    return None


def _reasons(left_out: Sequence[LeftOut]) -> str:
    named = [f"{left.name} ({left.error.title.lower()})" for left in left_out[:3]]
    more = f" and {len(left_out) - 3} more" if len(left_out) > 3 else ""
    return f" (left out: {', '.join(named)}{more})" if named else ""
