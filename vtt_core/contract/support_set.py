"""Support sets: the labelled images that a fine-tuning learns from."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vtt_core.contract.errors import BadLabelError, EmptyClassError, TooFewClassesError, TooManyClassesError, TooManyShotsError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class SupportImage:
    """One encoded image of a support set."""

    name: str
    """For messages; never used as a path."""
    content: bytes | Callable[[], bytes]
    """The file as it was sent (JPEG, PNG, ...), or what reads it where it is kept outside of memory."""
    group: str | None = None
    """Patient, plant, plot: images of one group are not independent. None for an image that depends on no other."""

    @property
    def encoded(self) -> bytes:
        """The file as it was sent."""
        return self.read()

    def read(self) -> bytes:
        """Return the file as it was sent. Where it is kept outside of memory, it is read each time."""
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(frozen=True)
class SupportClass:
    """One class with its images."""

    label: str
    images: tuple[SupportImage, ...]

    @property
    def shot(self) -> int:
        """Number of images."""
        return len(self.images)


@dataclass(frozen=True)
class SupportSet:
    """All classes, in the order that logits and prototypes follow."""

    classes: tuple[SupportClass, ...]
    negatives: tuple[SupportImage, ...] = ()
    """Images of the negative class, which show none of the classes. It has no label, no prompt and no logit."""

    @property
    def way(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in class order."""
        return tuple(support_class.label for support_class in self.classes)


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of text, so that a label looks like another."""


def clean_label(label: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the label as prompts use it: NFC, underscores and runs of white space as one space.

    Raises:
        BadLabelError: nothing is left, it is too long, or it holds control characters.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", label).replace("_", " ").split())
    if not cleaned:
        raise BadLabelError(expected="a label with at least one character", got=repr(label[:80]), remedy="Name the class")
    if len(cleaned) > limits.max_label_characters:
        raise BadLabelError(
            expected=f"at most {limits.max_label_characters} characters",
            got=f"{len(cleaned)} characters, beginning with {cleaned[:40]!r}",
            remedy="Shorten the label to what a prompt would say",
        )
    if any(unicodedata.category(letter) in {"Cc", "Cs"} or letter in _TURNS for letter in cleaned):
        raise BadLabelError(expected="printable characters", got=repr(cleaned[:80]), remedy="Remove the control characters")
    return cleaned


def check_shape(shots: Mapping[str, int] | Sequence[tuple[str, int]], limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a support set whose number of classes or images is outside the limits.

    Args:
        shots: number of usable images by label.
        limits: the bounds in force.

    Raises:
        EmptyClassError: a class has no image.
        TooFewClassesError: fewer than two classes.
        TooManyClassesError: more classes than allowed.
        TooManyShotsError: a class has more images than allowed.
    """
    items = list(shots.items()) if isinstance(shots, Mapping) else list(shots)
    empty = [label for label, shot in items if shot == 0]
    if empty:
        raise EmptyClassError(
            expected="at least one usable image in every class",
            got=f"none in {', '.join(map(repr, empty[:5]))}",
            remedy="Add an image to it or leave the class out",
        )
    if len(items) < limits.min_way:
        named = f" ({items[0][0]!r})" if items else ""
        raise TooFewClassesError(
            expected=f"at least {limits.min_way} classes", got=f"{len(items)}{named}", remedy="Add images of another class"
        )
    if len(items) > limits.max_way:
        raise TooManyClassesError(
            expected=f"at most {limits.max_way} classes", got=str(len(items)), remedy="Split the problem or leave classes out"
        )
    for label, shot in items:
        if shot > limits.max_shot:
            raise TooManyShotsError(
                expected=f"at most {limits.max_shot} images a class",
                got=f"{shot} in {label!r}",
                remedy="Leave the least typical ones out",
            )
