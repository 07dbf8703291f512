"""Clean a prompt and split it into words, as the tokenizers of the backbones do before they look up tokens.

Two prompts whose words are the same have the same tokens, so no text encoder can tell them apart.

Source: open_clip 3.3.0, src/open_clip/tokenizer.py: basic_clean, whitespace_clean, canonicalize_text, SimpleTokenizer.
Differs: nothing; tests compare the words with the ids of open_clip's tokenizer.
"""

from __future__ import annotations

import html
import string
from functools import lru_cache
from typing import Literal, get_args

import ftfy
import regex

Cleaning = Literal["lower", "canonicalize", "whitespace"]
CLEANINGS: tuple[Cleaning, ...] = get_args(Cleaning)

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLIP_WORD = regex.compile(
    r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)


@lru_cache(maxsize=2000)
def clean_prompt(prompt: str, cleaning: Cleaning) -> str:
    """Return the prompt as a tokenizer reads it.

    Args:
        prompt: what is said of a class.
        cleaning: `lower` is CLIP's: encoding mistakes and HTML entities are undone, runs of white space become one space,
            capital letters become small. `whitespace` is the same with capital letters kept. `canonicalize` is SigLIP's:
            as `lower`, and punctuation is removed.
    """
    text = prompt
    if not (prompt.isascii() and prompt.isprintable() and "&" not in prompt):  # else it would change nothing, slowly
        text = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    text = text.strip()
    if cleaning == "canonicalize":
        text = text.replace("_", " ").translate(_WITHOUT_PUNCTUATION).lower()
    text = " ".join(text.split())
    return text.lower() if cleaning == "lower" else text


def clip_words(prompt: str) -> tuple[str, ...]:
    """Return the words of a prompt as CLIP's tokenizer splits them: each has tokens of its own."""
    words: list[str] = _CLIP_WORD.findall(clean_prompt(prompt, "lower"))
    return tuple(words)
