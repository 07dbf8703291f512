"""Decide which images a support set takes: no doubles, no more than its way and shot, no labels that read the same."""

from __future__ import annotations

from collections.abc import Iterable

from vtt_core.contract.backbones import MINI
from vtt_core.contract.errors import ConflictingLabelsError, DuplicateImageError, TooManyClassesError, TooManyShotsError
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.labels.checks import KnownLabels, LabelReader


class Admission:
    """What is in the set so far.

    Args:
        limits: the bounds in force.
        admitted: label and digest of the images that are already there.
        empty_labels: labels of the classes that are there without an image.
        reader: how the backbone reads labels; None for the bundled backbone.
    """

    def __init__(
        self,
        limits: Limits,
        admitted: Iterable[tuple[str, str]] = (),
        empty_labels: Iterable[str] = (),
        reader: LabelReader | None = None,
    ) -> None:
        self._limits = limits
        self._labels_by_digest: dict[str, str] = {}
        self.shots: dict[str, int] = {}
        for label, digest in admitted:
            self.admit(label, digest)
        self._known = KnownLabels(reader or LabelReader(MINI, FinetuneRecipe()), [*self.shots, *empty_labels])

    def name_class(self, label: str) -> None:
        """Let a class of this label exist, perhaps without an image.

        Raises:
            BadLabelError: its prompt is too long for the text encoder.
            SameTokensError: the text encoder reads it as the label of another class; both are named.
        """
        self._known.add(label)

    def check(self, label: str, digest: str) -> None:
        """Refuse an image that the set cannot take.

        Raises:
            DuplicateImageError: the same bytes are in this class.
            ConflictingLabelsError: the same bytes are in another class.
            TooManyClassesError: it would begin one class too many.
            TooManyShotsError: its class is full.
        """
        self._check_digest(label, digest)
        self.check_room(label)

    def check_room(self, label: str) -> None:
        """Refuse a class too many and an image too many, whatever the image is.

        Raises:
            TooManyClassesError: it would begin one class too many.
            TooManyShotsError: its class is full.
        """
        if label not in self.shots and len(self.shots) >= self._limits.max_way:
            raise TooManyClassesError(
                expected=f"at most {self._limits.max_way} classes",
                got=f"one more, {label!r}",
                remedy="Split the problem or leave classes out",
            )
        if self.shots.get(label, 0) >= self._limits.max_shot:
            raise TooManyShotsError(
                expected=f"at most {self._limits.max_shot} images a class",
                got=f"one more in {label!r}",
                remedy="Keep the most typical ones and leave the others out",
            )

    def admit(self, label: str, digest: str) -> None:
        """Count an image in."""
        self._labels_by_digest[digest] = label
        self.shots[label] = self.shots.get(label, 0) + 1

    def _check_digest(self, label: str, digest: str) -> None:
        known_label = self._labels_by_digest.get(digest)
        if known_label == label:
            raise DuplicateImageError(
                expected="each image once",
                got=f"a file that is in {label!r} already",
                remedy="Leave it out",
            )
        if known_label is not None:
            raise ConflictingLabelsError(
                expected="an image under one label",
                got=f"a file under {label!r} that is in {known_label!r} already",
                remedy="Keep one of the two labels. If it is this one, delete the other image, then send this one again",
            )
