"""Find the placeholder in the absorption prompt's token ids and put vectors in its place.

Shapes: B images, T prompt positions, W text width, D joint size (equal to W), L text layers.
Source: Zhang et al. 2026, arXiv:2603.05235, text-information absorption; METHOD.md, row "prompt".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.tokenizer import Tokenize
from vtt_core.backbones.towers import TextTower, cut_padding
from vtt_core.contract.errors import PromptError


@dataclass(frozen=True)
class AbsorptionPrompt:
    """A prompt with one token whose embedding will be replaced."""

    tokens_T: Tensor
    """Token ids up to the end-of-text token."""
    placeholder_index: int
    """Position of the placeholder, 0 = start-of-text."""


def make_absorption_prompt(backbone: Backbone, template: str, placeholder: str) -> AbsorptionPrompt:
    """Tokenise the template with the placeholder as its class and find it.

    Args:
        backbone: whose tokenizer reads the prompt.
        template: class prompt with `{}` for the label.
        placeholder: a word that is one token.

    Raises:
        PromptError: the placeholder is not one token, or does not occur exactly once.
    """
    tokens_T = cut_padding(backbone.tokenize([template.replace("{}", placeholder)]))[0]
    return AbsorptionPrompt(tokens_T.to(backbone.device), find_placeholder(backbone.tokenize, tokens_T, placeholder))


def find_placeholder(tokenize: Tokenize, tokens_T: Tensor, placeholder: str) -> int:
    """Return the position of the placeholder's token id in the prompt.

    Raises:
        PromptError: the placeholder is not one token, or does not occur exactly once.
    """
    alone = cut_padding(tokenize([placeholder]))[0].tolist()
    if len(alone) != 3:
        raise PromptError(
            expected="a placeholder that is one token between start and end of text",
            got=f"{placeholder!r}, which is {len(alone) - 2} tokens",
            remedy="Use a short common word such as 'x'",
        )
    positions = [index for index, token in enumerate(tokens_T.tolist()) if token == alone[1]]
    if len(positions) != 1:
        raise PromptError(
            expected="the placeholder exactly once in the prompt",
            got=f"{placeholder!r} {len(positions)} times",
            remedy="Use another placeholder or another template",
        )
    return positions[0]


def absorb(text_tower: TextTower, prompt: AbsorptionPrompt, fused_BD: Tensor) -> Tensor:
    """Return the text feature A'_i of the prompt with each fused vector in the placeholder's place.

    The vector replaces the token embedding, before the positional embedding.

    Args:
        text_tower: frozen; gradients pass through it to the fused vectors.
        prompt: where the placeholder is.
        fused_BD: one vector for each image.

    Returns:
        absorbed_BD, not normalised.
    """
    embeddings_BTW = text_tower.embed(prompt.tokens_T).expand(len(fused_BD), -1, -1)
    before, after = embeddings_BTW[:, : prompt.placeholder_index], embeddings_BTW[:, prompt.placeholder_index + 1 :]
    replaced_BTW = torch.cat((before, fused_BD[:, None], after), dim=1)
    end_B = torch.full((len(fused_BD),), len(prompt.tokens_T) - 1, device=fused_BD.device)
    return text_tower.layer_features_of_embeddings(replaced_BTW, end_B)[:, -1]
