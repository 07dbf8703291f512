"""Choose from folders of images a support set and query images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from app.cli.found_classes import FoundClass, found_classes, take_negative
from app.cli.groups_file import Groups, PatientGroups
from app.cli.left_out import LeftOut, shot_problem
from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import SupportSetError, TooManyShotsError, VttError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet, check_shape
from vtt_core.ingest.archives import ArchiveContents, LabelledFile, open_images
from vtt_core.ingest.decode import band_values, inspect_image
from vtt_core.ingest.splits import SplitNotice
from vtt_core.ingest.spool import Spool
from vtt_core.labels.checks import LabelReader, label_problems, raise_problems


@dataclass(frozen=True)
class LabelledImage:
    """One image outside the support set, with its true class."""

    label: str
    image: SupportImage


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
    negative: SurveyedClass | None = None
    """The negative class, which has no query images."""
    notices: tuple[str, ...] = ()
    """What else is worth knowing, as sentences."""

    def selection(self) -> Selection:
        """Return the selection.

        Raises:
            VttError: there are problems; the error names all of them.
        """
        raise_problems(self.problems)
        classes = tuple(SupportClass(label=one.label, images=one.support) for one in self.classes)
        negatives = () if self.negative is None else self.negative.support
        queries = tuple(image for one in self.classes for image in one.query)
        return Selection(SupportSet(classes, negatives), queries, self.left_out)


class _Chooser:
    """Take usable images in order, each file once."""

    def __init__(
        self,
        limits: Limits,
        group_by_file: Mapping[str, str | None],
        patients: PatientGroups | None,
        bands: tuple[int, int, int] | None,
    ) -> None:
        self.limits = limits
        self._bands = bands
        self._group_by_file = group_by_file
        self._patients = patients
        self.left_out: list[LeftOut] = []
        self._taken = AdmittedImages(limits)
        self._spool = Spool()

    def usable(self, label: str, files: Sequence[LabelledFile]) -> Iterator[SupportImage]:
        for file in files:
            try:
                encoded = file.read()
                sha256 = hashlib.sha256(encoded).hexdigest()
                self._taken.check_new(label, sha256)
                if self._bands is None:
                    inspect_image(encoded, self.limits)
                else:
                    band_values(encoded, self._bands, self.limits)
                patient = self._patients.group_in(encoded) if self._patients is not None else None
            except VttError as error:
                self.left_out.append(LeftOut(file.name, error))
                continue
            self._taken.admit(label, sha256)
            group = self._group_by_file.get(file.name) or patient
            yield SupportImage(file.name, self._spool.keep(encoded), group)


def select_images(
    source: Path,
    *,
    shot: int | None,
    query: int,
    names_path: Path | None = None,
    groups: Groups | None = None,
    negative: str | None = None,
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
    survey = survey_images(
        source,
        shot=shot,
        query=query,
        names_path=names_path,
        groups=groups,
        negative=negative,
        reader=reader,
        limits=limits,
    )
    return survey.selection()


def survey_images(
    source: Path,
    *,
    shot: int | None,
    query: int,
    names_path: Path | None = None,
    groups: Groups | None = None,
    negative: str | None = None,
    reader: LabelReader | None = None,
    limits: Limits = DEFAULT_LIMITS,
    bands: tuple[int, int, int] | None = None,
) -> Survey:
    """Read a folder or zip with a folder per class, and collect every problem.

    Args:
        source: folder or zip file; a single enclosing folder is stepped into.
        shot: the first this many usable images of each class, in name order, are the support
            set; None takes all.
        query: up to this many other images of each class are query images: those of a folder such as `val`, then those
            after the support set.
        names_path: JSON file with the class name of each folder.
        groups: tells which images belong together.
        negative: folder or label of the negative class. All its images are support images, whatever the shot, up to the limit.
        reader: how the backbone reads labels; None for the bundled backbone and the default recipe.
        limits: the bounds in force.
        bands: an image must be a TIFF with these bands; None for ordinary images.

    Raises:
        TooManyShotsError: the shot is outside the limits.
        ArchiveError: the source as a whole cannot be read.
        NamesFileError: the names cannot be used.
        EmptyClassError: no folder is that of the negative class.
    """
    if shot is not None and not 1 <= shot <= limits.max_shot:
        raise TooManyShotsError(
            expected=f"between 1 and {limits.max_shot} images a class", got=f"--shot {shot}", remedy="Choose another --shot"
        )
    classes: list[SurveyedClass] = []
    surveyed_negative: SurveyedClass | None = None
    with open_images(source, limits) as contents:
        patients = groups if isinstance(groups, PatientGroups) else None
        chooser = _Chooser(limits, _group_by_file(contents, groups), patients, bands)
        chooser.left_out += [LeftOut(rejection.name, rejection.error) for rejection in contents.rejections]
        found, problems = found_classes(contents, source, names_path, limits)
        found, found_negative = take_negative(found, negative, limits)
        problems += label_problems([one.label for one in found], reader or _default_reader())
        for one in found:
            surveyed, problem = _survey_class(one, contents, shot, query, chooser)
            classes.append(surveyed)
            problems += [problem] if problem is not None else []
        if found_negative is not None:
            surveyed_negative, problem = _survey_negative(found_negative, contents, chooser)
            problems += [problem] if problem is not None else []
    if not problems:
        problems += _shape_problems(classes, limits)
    notices = [*([] if groups is None else groups.notices()), *_group_notices(classes)]
    return Survey(tuple(classes), tuple(problems), tuple(chooser.left_out), contents.split, surveyed_negative, tuple(notices))


def _default_reader() -> LabelReader:
    return LabelReader(MINI, FinetuneRecipe())


def _group_by_file(contents: ArchiveContents, groups: Groups | None) -> dict[str, str | None]:
    """Return the group of every file, read or not, so that names of no file can be noticed."""
    if groups is None:
        return {}
    names = [file.name for file in (*contents.files, *contents.query_files)]
    names += [rejection.name for rejection in contents.rejections]
    return {name: groups.group_of(name) for name in names}


def _survey_class(
    one: FoundClass, contents: ArchiveContents, shot: int | None, query: int, chooser: _Chooser
) -> tuple[SurveyedClass, VttError | None]:
    num_left_out = len(chooser.left_out)
    usable = chooser.usable(one.label, one.files)
    support = _take(usable, shot if shot is not None else chooser.limits.max_shot + 1)
    left_out = [*_rejected(one, contents), *chooser.left_out[num_left_out:]]
    problem = shot_problem(one.label, len(support), shot, chooser.limits, left_out)
    others = chain(chooser.usable(one.label, one.query_files), usable)
    queried = tuple(LabelledImage(one.label, image) for image in _take(others, query)) if problem is None else ()
    return SurveyedClass(one.name, one.label, tuple(support), queried), problem


def _survey_negative(one: FoundClass, contents: ArchiveContents, chooser: _Chooser) -> tuple[SurveyedClass, VttError | None]:
    num_left_out = len(chooser.left_out)
    support = _take(chooser.usable(one.label, one.files), chooser.limits.max_shot)
    left_out = [*_rejected(one, contents), *chooser.left_out[num_left_out:]]
    problem = shot_problem(one.label, len(support), None, chooser.limits, left_out)
    return SurveyedClass(one.name, one.label, tuple(support), ()), problem


def _rejected(one: FoundClass, contents: ArchiveContents) -> list[LeftOut]:
    return [
        LeftOut(rejection.name, rejection.error)
        for rejection in contents.rejections
        if rejection.label in one.folders or rejection.name in one.folders
    ]


def _group_notices(classes: Sequence[SurveyedClass]) -> list[str]:
    """Say how many query images are not independent of the support set."""
    taught = {image.group for one in classes for image in one.support} - {None}
    queries = [query for one in classes for query in one.query]
    num_known = sum(query.image.group in taught for query in queries)
    if not num_known:
        return []
    return [
        f"{num_known} of {len(queries)} query images belong to groups of the support set, so their accuracy may be too high."
    ]


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
