"""Tokenise the class prompts, and refuse classes with the same tokens.

Shapes: C classes, T prompt positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from vtt_core.backbones.tokenizer import Tokenize
from vtt_core.labels.checks import same_tokens
from vtt_core.labels.prompts import class_prompts


def tokenize_classes(tokenize: Tokenize, labels: Sequence[str], template: str) -> Tensor:
    """Return tokens_CT of the class prompts.

    Args:
        tokenize: the backbone's.
        labels: class labels.
        template: with `{}` for the label.

    Raises:
        PromptError: a prompt does not fit the text tower.
        SameTokensError: two labels have the same tokens: their classes would always get the same probability.
    """
    tokens_CT = tokenize(class_prompts(labels, template))
    first: dict[tuple[int, ...], str] = {}
    for label, tokens in zip(labels, tokens_CT.tolist(), strict=True):
        known = first.setdefault(tuple(tokens), label)
        if known != label:
            raise same_tokens(known, label)
    return tokens_CT
