"""Count which classes images were taken for, and say how sure a share is.

Shapes: C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vtt_core.contract.interval import wilson_interval


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told."""

    label: str
    support: int
    """Images of the class."""
    precision: float | None
    """Share of the images taken for the class that are of it; None where none was."""
    recall: float | None
    """Share of the images of the class that were taken for it; None where there are none."""
    f1: float | None
    """Harmonic mean of both; None where there are no images of the class."""


def accuracy_facts(num_correct: int, num_images: int, widening: float = 1.0) -> dict[str, Any]:
    """Return an accuracy with its 95 % Wilson interval, as JSON values.

    Args:
        num_correct: images classified correctly.
        num_images: images classified, at least 1.
        widening: factor on the variance, for images that are not independent.
    """
    low, high = wilson_interval(num_correct, num_images, widening)
    return {"accuracy": num_correct / num_images, "low": low, "high": high, "num_images": num_images}


def confusion_counts(true: Sequence[int], said: Sequence[int], way: int) -> list[list[int]]:
    """Return how many images of each class (row) were taken for each class (column).

    Args:
        true: index of the true class of each image.
        said: index of the class that it was taken for.
        way: number of classes.
    """
    counts = [[0] * way for _ in range(way)]
    for row, column in zip(true, said, strict=True):
        counts[row][column] += 1
    return counts


def class_scores(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[ClassScores, ...]:
    """Return precision, recall and F1 of each class.

    Args:
        labels: of the classes.
        confusion: of `confusion_counts`.
    """
    scores = []
    for place, label in enumerate(labels):
        hits, support, taken = confusion[place][place], sum(confusion[place]), sum(row[place] for row in confusion)
        scores.append(
            ClassScores(
                label,
                support,
                precision=hits / taken if taken else None,
                recall=hits / support if support else None,
                f1=2 * hits / (support + taken) if support else None,
            )
        )
    return tuple(scores)
