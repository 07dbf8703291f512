"""Write the class prompts."""

from __future__ import annotations

from collections.abc import Sequence

STAND_IN = "x"
"""Word of one token that keeps the place of a learnt vector while a prompt is tokenised."""


def class_prompts(labels: Sequence[str], template: str) -> tuple[str, ...]:
    """Return one prompt for each class; underscores of a label become spaces.

    Args:
        labels: class labels.
        template: with `{}` for the label.
    """
    return tuple(template.replace("{}", label.replace("_", " ")) for label in labels)


def context_template(num_context_tokens: int) -> str:
    """Return the template of CoOp's prompts: a word in the place of each learnt vector, then the label."""
    return " ".join([STAND_IN] * num_context_tokens) + " {}."
