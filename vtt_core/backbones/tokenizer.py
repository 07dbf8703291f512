"""Tokenise prompts with open_clip's bundled tokenizer or a hub's. Prompts that are too long are refused, not cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import BackboneUnavailableError, PromptError
from vtt_core.contract.extras import install_extra

Tokenize = Callable[[Sequence[str]], Tensor]


def make_tokenize(context_length: int, vocabulary_size: int | None = None) -> Tokenize:
    """Return a function from C texts to token ids (C, T), padded with zeros to the context length.

    The function raises PromptError for a text that does not fit. open_clip would silently cut it.

    Args:
        context_length: positions T of the text tower, including start and end of text.
        vocabulary_size: of a tower with random weights, which knows no words; larger ids are taken modulo this.
    """

    def tokenize(texts: Sequence[str]) -> Tensor:
        tokenizer = _clip_tokenizer()
        for text in texts:
            check_length(text, len(tokenizer.encode(text)), context_length - 2)
        tokens_CT: Tensor = tokenizer(list(texts), context_length)
        return tokens_CT if vocabulary_size is None else tokens_CT % vocabulary_size

    return tokenize


@cache
def _clip_tokenizer() -> Any:
    """Return CLIP's own tokenizer, which takes a tenth of a second to make. Images need none."""
    return open_clip.SimpleTokenizer()


def make_hub_tokenize(text_config: Mapping[str, Any], backbone_id: str) -> Tokenize:
    """Like `make_tokenize`, for a model whose tokenizer is on a hub, such as SigLIP2.

    Args:
        text_config: `text_cfg` of open_clip's configuration, with `hf_tokenizer_name`.
        backbone_id: for the message.

    Raises:
        BackboneUnavailableError: the package `transformers` is not installed, or the files are unavailable.
    """
    name, context_length = text_config["hf_tokenizer_name"], text_config["context_length"]
    try:
        tokenizer = open_clip.tokenizer.HFTokenizer(
            name,
            context_length=context_length,
            tokenizer_mode=text_config.get("tokenizer_mode"),
            **text_config.get("tokenizer_kwargs", {}),
        )
    except ImportError as error:
        raise BackboneUnavailableError(
            expected=f"the package transformers, which reads the tokenizer of {backbone_id!r}",
            got=f"{type(error).__name__}: {str(error)[:300]}",
            remedy=install_extra("siglip"),
        ) from error
    except Exception as error:  # hub libraries raise many kinds of errors; all mean the same here
        raise BackboneUnavailableError(
            expected=f"the tokenizer of {backbone_id!r}, {name!r}, from a hub or a cache",
            got=f"{type(error).__name__}: {str(error)[:300]}",
            remedy=(
                "Allow this machine to reach the hub, or copy a filled cache to the folder that HF_HOME names "
                "and set HF_HUB_OFFLINE=1, or use a backbone with a bundled tokenizer, such as PE-Core-B-16/meta"
            ),
        ) from error
    num_special = len(tokenizer.tokenizer("").input_ids)

    def tokenize(texts: Sequence[str]) -> Tensor:
        for text in texts:
            num_tokens = len(tokenizer.tokenizer(tokenizer.clean_fn(text), truncation=False).input_ids) - num_special
            check_length(text, num_tokens, context_length - num_special)
        tokens_CT: Tensor = tokenizer(list(texts))
        return tokens_CT

    return tokenize


def check_length(text: str, num_tokens: int, max_tokens: int) -> None:
    """Refuse a text that is too long.

    Raises:
        PromptError: it has more tokens than the text tower reads.
    """
    if num_tokens > max_tokens:
        raise PromptError(
            expected=f"a prompt of at most {max_tokens} tokens",
            got=f"{num_tokens}, beginning with {text[:80]!r}",
            remedy="Shorten the class label or the template",
        )


def find_first_word(tokenize: Tokenize) -> int:
    """Return the position of a prompt's first word: 1 after a start-of-text token, 0 without one."""
    empty_T, word_T = tokenize(["", "a"])
    return int((empty_T != word_T).nonzero()[0])
