"""Count the tokens of a prompt as CLIP's tokenizer does, without torch.

A word begins as one token for each byte of its UTF-8. Then the pair of neighbours that comes first in the list of merges
becomes one token, again and again, until no pair is in the list.

Source: Sennrich et al. 2016, arXiv:1508.07909 (byte pair encoding); open_clip 3.3.0, src/open_clip/tokenizer.py, bpe().
    `clip_merges.txt.xz` holds the merges that open_clip uses of OpenAI's bpe_simple_vocab_16e6.txt.gz (MIT licence); it is
    written by `python -m tests.vtt_core.labels.write_clip_merges`, and a test compares the two.
"""

from __future__ import annotations

import lzma
from functools import lru_cache
from importlib.resources import files

from vtt_core.labels.prompt_text import clip_words

MERGES_FILE = "clip_merges.txt.xz"
_END_OF_WORD = "</w>"
_SPECIAL_WORDS = ("<start_of_text>", "<end_of_text>")


def num_clip_tokens(prompt: str) -> int:
    """Return the number of tokens of a prompt, without those for its start and end."""
    return sum(_num_tokens(word) for word in clip_words(prompt))


def fits_clip(prompt: str, max_tokens: int) -> bool:
    """Tell whether a prompt has at most so many tokens; short prompts are not tokenized."""
    words = clip_words(prompt)
    if sum(len(word.encode()) for word in words) <= max_tokens:  # a token is at least one byte
        return True
    return len(words) <= max_tokens and num_clip_tokens(prompt) <= max_tokens


@lru_cache(maxsize=1000)
def _num_tokens(word: str) -> int:
    if word in _SPECIAL_WORDS:
        return 1
    ranks, letters = _merge_ranks(), _byte_letters()
    tokens = [letters[byte] for byte in word.encode()]
    tokens[-1] += _END_OF_WORD
    while len(tokens) > 1:
        pair = min(zip(tokens, tokens[1:], strict=False), key=lambda pair: ranks.get(pair, len(ranks)))
        if pair not in ranks:
            break
        tokens = _merged(tokens, pair)
    return len(tokens)


def _merged(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    place = 0
    while place < len(tokens):
        is_pair = tuple(tokens[place : place + 2]) == pair
        merged.append("".join(pair) if is_pair else tokens[place])
        place += 2 if is_pair else 1
    return merged


@lru_cache(maxsize=1)
def _merge_ranks() -> dict[tuple[str, str], int]:
    packed = files("vtt_core.labels").joinpath(MERGES_FILE).read_bytes()
    lines = lzma.decompress(packed).decode().split("\n")
    return {(first, second): rank for rank, (first, second) in enumerate(line.split(" ") for line in lines)}


@lru_cache(maxsize=1)
def _byte_letters() -> tuple[str, ...]:
    """Return a visible letter for each byte: itself where it is one in Latin-1, else one from U+0100 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return tuple(chr(byte) if byte in visible else chr(next(others)) for byte in range(256))
