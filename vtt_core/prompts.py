"""Write the class prompts."""

from __future__ import annotations

from collections.abc import Sequence


def class_prompts(labels: Sequence[str], template: str) -> tuple[str, ...]:
    """Return one prompt for each class; underscores of a label become spaces.

    Args:
        labels: class labels.
        template: with `{}` for the label.
    """
    return tuple(template.replace("{}", label.replace("_", " ")) for label in labels)
