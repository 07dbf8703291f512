"""MaPLe: learnt tokens in the first blocks of both towers; those of the vision tower are made from those of the text tower.

Shapes: B images, C classes, L layers, T prompt positions, D joint size; J blocks with prompts, P tokens, U text width,
    W vision width.
Source: Khattak et al. 2023, arXiv:2210.03117; METHOD.md, "Hosts".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vtt_core.absorption.prompt import find_placeholder
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.contract.errors import PromptError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData

PROMPT_STD = 0.02
"""Standard deviation of the deeper tokens at the start. Source: MaPLe."""


class MaPLe(Host):
    """Deep prompts of both towers, coupled by one linear map a block."""

    embeddings_CTU: Tensor
    end_C: Tensor

    def __init__(self, backbone: Backbone, labels: Sequence[str], recipe: FinetuneRecipe) -> None:
        """Start the first block's tokens from the template's first words, and draw the others from torch's global generator.

        Args:
            backbone: whose towers read the tokens.
            labels: class labels.
            recipe: number of tokens, depth and template.

        Raises:
            PromptError: fewer words than tokens stand before the label.
            SameTokensError: two labels have the same tokens.
        """
        super().__init__()
        text, vision = backbone.text_tower, backbone.vision_tower
        num_prompts = recipe.num_prompt_tokens
        start, end = text.first_word, text.first_word + num_prompts
        label_index = find_placeholder(backbone.tokenize, recipe.prompt_template, recipe.placeholder)
        if label_index < end:
            raise PromptError(
                expected=f"a template with at least {num_prompts} words before the label, whose places are taken",
                got=repr(recipe.prompt_template),
                remedy="Use such a template, or fewer num_prompt_tokens",
            )
        depth = min(recipe.prompt_depth, text.num_layers, vision.num_layers)
        tokens_CT = tokenize_classes(backbone.tokenize, labels, recipe.prompt_template)
        tokens_CT = text.cut_padding(tokens_CT).to(backbone.device)
        with torch.no_grad():
            embeddings_CTU = text.embed(tokens_CT)
        self.register_buffer("embeddings_CTU", embeddings_CTU, persistent=False)
        self.register_buffer("end_C", text.end_of(tokens_CT), persistent=False)
        prompts_JPU = PROMPT_STD * torch.randn(depth, num_prompts, text.width)
        prompts_JPU[0] = embeddings_CTU[0, start:end].to(prompts_JPU)
        self.prompts_JPU = nn.Parameter(prompts_JPU)
        couplings = [nn.Linear(text.width, vision.width) for _ in range(depth)]
        self.coupling_JWU = nn.Parameter(torch.stack([coupling.weight.detach() for coupling in couplings]))
        # One row a block, so that each bias is a tensor of its own to DGSO.
        self.coupling_bias_J1W = nn.Parameter(torch.stack([coupling.bias.detach()[None] for coupling in couplings]))

    def visual_prompts(self) -> Tensor:
        """Return prompts_JPW of the vision tower."""
        return self.prompts_JPU @ self.coupling_JWU.transpose(1, 2) + self.coupling_bias_J1W

    def vision_layers(self, data: TrainingData, batch: Batch) -> Tensor:
        """Return vision_BLD of the batch."""
        images_B3HW = data.views_V3HW[batch.views_B]
        return data.backbone.vision_tower.layer_features(images_B3HW, prompts_JPW=self.visual_prompts())

    def text_layers(self, data: TrainingData, batch: Batch | None = None) -> Tensor:
        """Return text_CLD of the class prompts."""
        return data.backbone.text_tower.layer_features_of_embeddings(
            self.embeddings_CTU, self.end_C, prompts_JPW=self.prompts_JPU
        )
