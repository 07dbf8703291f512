"""Find the class of a model that a folder or form field means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

NUM_NAMED = 5
"""Labels that a sentence names."""


def match_labels(sent: Iterable[str], labels: Sequence[str]) -> dict[str, str | None]:
    """Return the model's label for each label that was sent, and None for a class that the model does not know.

    Upper and lower case count as the same where no label is exactly as sent: no text encoder tells them apart.

    Args:
        sent: cleaned labels.
        labels: of the model.
    """
    folded = {label.casefold(): label for label in labels}
    return {label: label if label in labels else folded.get(label.casefold()) for label in sent}


def unknown_notice(counts: Mapping[str, int], labels: Sequence[str], whose: str) -> str | None:
    """Return a sentence about classes that the model does not know; None without any.

    Args:
        counts: number of images by unknown label.
        labels: of the model.
        whose: names the model.
    """
    if not counts:
        return None
    number = sum(counts.values())
    what = "1 image is of a class" if number == 1 else f"{number} images are of classes"
    return (
        f"{what} that {whose} does not know ({_named(counts, labels)}). "
        f"They count only for none_of_these, not for the accuracy. Its classes: {_listed(labels)}."
    )


def _named(counts: Mapping[str, int], labels: Sequence[str]) -> str:
    """Name the unknown labels, with a class that is spelt much like it."""
    named = []
    for label in list(counts)[:NUM_NAMED]:
        close = get_close_matches(label, labels, n=1, cutoff=0.8)
        named.append(f"{label!r}, perhaps {close[0]!r}" if close else repr(label))
    more = len(counts) - NUM_NAMED
    return "; ".join([*named, *([f"{more} more"] if more > 0 else [])])


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - NUM_NAMED
    return ", ".join([*map(repr, labels[:NUM_NAMED]), *([f"{more} more"] if more > 0 else [])])
