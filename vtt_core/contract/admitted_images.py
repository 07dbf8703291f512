"""Decide which images a support set takes: each file once, under one label, within the bounds on classes and images."""

from __future__ import annotations

from collections.abc import Iterable

from vtt_core.contract.errors import ConflictingLabelsError, DuplicateImageError, TooManyClassesError, TooManyShotsError
from vtt_core.contract.limits import Limits


class AdmittedImages:
    """The images that are in a support set so far.

    Args:
        limits: the bounds in force.
        admitted: label and SHA-256 of the images that are in it already.
        negative_label: label of the negative class, which does not count as a class.
    """

    def __init__(self, limits: Limits, admitted: Iterable[tuple[str, str]] = (), negative_label: str | None = None) -> None:
        self._limits = limits
        self._negative_label = negative_label
        self._label_by_sha256: dict[str, str] = {}
        self.shots: dict[str, int] = {}
        """Number of images by label."""
        for label, sha256 in admitted:
            self.admit(label, sha256)

    def check_new(self, label: str, sha256: str) -> None:
        """Refuse a file that is in the set already.

        Raises:
            DuplicateImageError: the same bytes are in this class.
            ConflictingLabelsError: the same bytes are in another class.
        """
        known_label = self._label_by_sha256.get(sha256)
        if known_label == label:
            raise DuplicateImageError(
                expected="each image once", got=f"a file that is in {label!r} already", remedy="Leave it out"
            )
        if known_label is not None:
            raise ConflictingLabelsError(
                expected="an image under one label",
                got=f"a file under {label!r} that is in {known_label!r} already",
                remedy="Keep one of the two labels; to keep this one, remove the other image first",
            )

    def check_room(self, label: str) -> None:
        """Refuse one more image of this class where there is no room for it, whatever it shows.

        Raises:
            TooManyClassesError: it would start one class too many.
            TooManyShotsError: its class is full.
        """
        is_new_class = label not in self.shots and label != self._negative_label
        if is_new_class and len(self.shots) - (self._negative_label in self.shots) >= self._limits.max_way:
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

    def admit(self, label: str, sha256: str) -> None:
        """Count an image that the set has taken."""
        self._label_by_sha256[sha256] = label
        self.shots[label] = self.shots.get(label, 0) + 1
