"""How a backbone reads prompts: which prompts are the same to it, and how long one may be."""

from __future__ import annotations

from dataclasses import dataclass

from vtt_core.contract.backbones import MINI, RANDOM_TAG, BackboneEntry, catalogue, split_backbone_id
from vtt_core.labels.clip_tokens import fits_clip, num_clip_tokens
from vtt_core.labels.prompt_text import Cleaning, clean_prompt, clip_words

_SPECIAL_TOKENS = 2
"""Start and end of text."""


@dataclass(frozen=True)
class PromptRules:
    """How one backbone reads prompts."""

    cleaning: Cleaning
    max_tokens: int | None
    """Most tokens of a prompt; None for a hub's tokenizer, whose tokens only a worker can count."""

    def key(self, prompt: str) -> tuple[str, ...]:
        """Return a key of the prompt; prompts with the same key have the same tokens.

        With CLIP's tokenizer, prompts with the same tokens also have the same key. With a hub's tokenizer they may not, and
        only a worker finds out.
        """
        return clip_words(prompt) if self.max_tokens is not None else (clean_prompt(prompt, self.cleaning),)

    def fits(self, prompt: str) -> bool:
        """Tell whether the prompt is short enough; True if only a worker can tell."""
        return self.max_tokens is None or fits_clip(prompt, self.max_tokens)

    def num_tokens(self, prompt: str) -> int:
        """Return the number of tokens of CLIP's tokenizer."""
        return num_clip_tokens(prompt)


def prompt_rules(backbone_id: str) -> PromptRules:
    """Return how a backbone reads prompts; for a local file, how the published weights of its name do.

    Args:
        backbone_id: as `check_backbone_id` accepts it.
    """
    entry = _entry(backbone_id)
    _, tag = split_backbone_id(backbone_id)
    if entry.has_hub_tokenizer and tag != RANDOM_TAG:
        return PromptRules(entry.cleaning, None)  # type: ignore[arg-type]  # a test checks the catalogue's cleanings
    return PromptRules("lower", entry.num_text_positions - _SPECIAL_TOKENS)


def _entry(backbone_id: str) -> BackboneEntry:
    by_id = {entry.backbone_id: entry for entry in catalogue()}
    if backbone_id in by_id:
        return by_id[backbone_id]
    name, _ = split_backbone_id(backbone_id)
    return next((entry for entry in catalogue() if split_backbone_id(entry.backbone_id)[0] == name), by_id[MINI])
