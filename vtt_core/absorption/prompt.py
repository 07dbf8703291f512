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
from vtt_core.backbones.towers import TextTower
from vtt_core.contract.errors import PromptError


@dataclass(frozen=True)
class AbsorptionPrompt:
    """A prompt with one token whose embedding will be replaced."""

    tokens_T: Tensor
    """Token ids up to the end-of-text token; those of a tower that also reads the padding, all of them."""
    placeholder_index: int
    """Position of the placeholder, counted from the first token."""


OTHER_WORDS = ("a", "o")
"""Words of one token in every tokenizer, to compare with."""


def make_absorption_prompt(backbone: Backbone, template: str, placeholder: str) -> AbsorptionPrompt:
    """Tokenise the template with the placeholder as its class and find it.

    Args:
        backbone: whose tokenizer reads the prompt.
        template: class prompt with `{}` for the label.
        placeholder: a word that is one token.

    Raises:
        PromptError: the placeholder is not one token.
    """
    tokens_1T = backbone.text_tower.cut_padding(backbone.tokenize([template.replace("{}", placeholder)]))
    return AbsorptionPrompt(tokens_1T[0].to(backbone.device), find_placeholder(backbone.tokenize, template, placeholder))


def find_placeholder(tokenize: Tokenize, template: str, placeholder: str) -> int:
    """Return the position of the placeholder's token: the only one that another word in its place would change.

    A token's id alone would not tell: some tokenizers give a word other ids at the start of a text.

    Raises:
        PromptError: the placeholder is not one token, or no word of its own.
    """
    before, _, after = template.partition("{}")
    if before[-1:].isalnum() or after[:1].isalnum():
        raise PromptError(
            expected="a template whose {} is a word of its own",
            got=repr(template),
            remedy="Put a space or a punctuation mark between {} and the letters beside it",
        )
    other = next(word for word in OTHER_WORDS if word != placeholder)
    own_T, others_T = tokenize([template.replace("{}", placeholder), template.replace("{}", other)])
    positions: list[int] = (own_T != others_T).nonzero().flatten().tolist()
    if len(positions) != 1:
        raise PromptError(
            expected=f"a placeholder that is one token in the prompt {template!r}",
            got=f"{placeholder!r}, which changes {len(positions)} of its tokens",
            remedy="Use a short common word such as 'x'",
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
    end_B = text_tower.end_of(prompt.tokens_T[None]).expand(len(fused_BD))
    return text_tower.layer_features_of_embeddings(replaced_BTW, end_B)[:, -1]
