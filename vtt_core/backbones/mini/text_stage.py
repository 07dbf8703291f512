"""Teach the text tower what a sentence encoder says of many words, before any image is seen.

Captions of class names alone would teach it a table of names; and a text tower that learns beside an
untrained vision tower maps all captions to nearly one point.

Shapes: P phrases, B captions of a batch, T tokens, D joint size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.mini.corpus import PROMPTS
from vtt_core.backbones.mini.recipe import PretrainRecipe
from vtt_core.backbones.open_clip_import import open_clip

CONTRAST_SCALE = 20.0
"""Factor on the cosine between a caption and the phrases of its batch."""


def teach_text(
    model: Any, phrases: Sequence[str], targets_PD: Tensor, num_class_names: int, recipe: PretrainRecipe
) -> Iterator[float]:
    """Train the text tower in place, giving the loss of every step.

    Args:
        model: `open_clip.model.CLIP`; its vision tower is left alone.
        phrases: what captions are made of, names of classes first.
        targets_PD: where each phrase's caption shall lie, unit length.
        num_class_names: how many of the phrases are names of classes; a quarter of each batch are.
        recipe: numbers of the stage.
    """
    device = targets_PD.device
    tokens = open_clip.SimpleTokenizer()([prompt.format(phrase) for phrase in phrases for prompt in PROMPTS])
    optimiser = torch.optim.AdamW(_text_parameters(model), lr=recipe.text_learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(recipe.text_steps):
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_033 + step)
        size = recipe.text_batch_size
        names = torch.randint(num_class_names, (size // 4,), generator=generator)
        others = torch.randint(len(phrases), (size - size // 4,), generator=generator)
        chosen_B = torch.unique(torch.cat((names, others)))
        prompt_B = torch.randint(len(PROMPTS), (len(chosen_B),), generator=generator)
        tokens_BT = tokens[chosen_B * len(PROMPTS) + prompt_B].to(device)
        loss = _loss(encode_text(model, tokens_BT), targets_PD[chosen_B.to(device)])
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(step, recipe)
        optimiser.step()
        yield float(loss.detach())


def encode_text(model: Any, tokens_BT: Tensor) -> Tensor:
    """Return text_BD as open_clip's encode_text, without the padding, which the causal mask hides."""
    end_B = tokens_BT.argmax(dim=-1)
    length = int(end_B.max()) + 1
    hidden_BTW = model.token_embedding(tokens_BT[:, :length]) + model.positional_embedding[:length]
    hidden_BTW = model.ln_final(model.transformer(hidden_BTW, attn_mask=model.attn_mask[:length, :length]))
    text_BD: Tensor = hidden_BTW[torch.arange(len(end_B), device=end_B.device), end_B] @ model.text_projection
    return text_BD


def _loss(text_BD: Tensor, targets_BD: Tensor) -> Tensor:
    cosine_BB = functional.normalize(text_BD, dim=-1) @ targets_BD.T
    own_B = torch.arange(len(cosine_BB), device=cosine_BB.device)
    return functional.cross_entropy(CONTRAST_SCALE * cosine_BB, own_B) + 1 - cosine_BB.diagonal().mean()


def _learning_rate(step: int, recipe: PretrainRecipe) -> float:
    """Warm up over a twentieth of the stage, then fall to zero along a cosine."""
    warm_up = max(1, recipe.text_steps // 20)
    return recipe.text_learning_rate * min(1.0, (step + 1) / warm_up) * (1 + math.cos(math.pi * step / recipe.text_steps)) / 2


def _text_parameters(model: Any) -> list[Tensor]:
    frozen = ("visual.", "logit_scale")
    return [value for name, value in model.named_parameters() if not name.startswith(frozen)]
