"""Tokenise prompts with open_clip's bundled tokenizer, without losing their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import PromptError

Tokenize = Callable[[Sequence[str]], Tensor]


def make_tokenize(context_length: int) -> Tokenize:
    """Return a function from C texts to token ids (C, T), padded with zeros to the context length.

    The function raises PromptError for a text that does not fit; open_clip would cut it silently.

    Args:
        context_length: positions T of the text tower, start and end of text among them.
    """
    tokenizer = open_clip.SimpleTokenizer(context_length=context_length)

    def tokenize(texts: Sequence[str]) -> Tensor:
        for text in texts:
            num_tokens = len(tokenizer.encode(text))
            if num_tokens > context_length - 2:
                raise PromptError(
                    expected=f"a prompt of at most {context_length - 2} tokens",
                    got=f"{num_tokens}, beginning with {text[:80]!r}",
                    remedy="Shorten the class label or the template",
                )
        tokens_CT: Tensor = tokenizer(list(texts))
        return tokens_CT

    return tokenize
