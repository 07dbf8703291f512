"""CoOp: learnt vectors in the place of the words before the class label; both towers stay as they are.

Shapes: C classes, L layers, T prompt positions, P context vectors, W text width, D joint size.
Source: Zhou et al. 2022, arXiv:2109.01134; METHOD.md, "Hosts".
Differs: the vectors are shared by all classes (its unified context), the label stands at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.contract.errors import PromptError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.labels.prompts import STAND_IN, context_template

CONTEXT_STD = 0.02
"""Standard deviation of vectors that start at random. Source: CoOp."""


class CoOp(Host):
    """Context vectors of the class prompts."""

    embeddings_CTW: Tensor
    end_C: Tensor

    def __init__(self, backbone: Backbone, labels: Sequence[str], recipe: FinetuneRecipe) -> None:
        """Embed the labels and draw the vectors from torch's global generator.

        Args:
            backbone: whose text tower reads the prompts.
            labels: class labels.
            recipe: number of vectors, and words to start from.

        Raises:
            PromptError: the vectors and a label do not fit the text tower, or there are more words than vectors.
            SameTokensError: two labels have the same tokens.
        """
        super().__init__()
        tower, num_context = backbone.text_tower, recipe.num_context_tokens
        tokens_CT = tower.cut_padding(tokenize_classes(backbone.tokenize, labels, context_template(num_context)))
        tokens_CT = tokens_CT.to(backbone.device)
        with torch.no_grad():
            self.register_buffer("embeddings_CTW", tower.embed(tokens_CT), persistent=False)
            self.register_buffer("end_C", tower.end_of(tokens_CT), persistent=False)
        self.context_PW = nn.Parameter(CONTEXT_STD * torch.randn(num_context, tower.width))
        self._first_word = tower.first_word
        if recipe.context_words:
            self._start_from(backbone, recipe.context_words)

    def _start_from(self, backbone: Backbone, words: str) -> None:
        tower = backbone.text_tower
        alone, with_words = backbone.tokenize([f"{STAND_IN}.", f"{words} {STAND_IN}."])
        num_words = int(tower.end_of(with_words[None]) - tower.end_of(alone[None])) if tower.is_causal else len(words.split())
        if num_words > len(self.context_PW):
            raise PromptError(
                expected=f"context words of at most {len(self.context_PW)} tokens",
                got=f"{num_words} in {words!r}",
                remedy="Use fewer words, or more num_context_tokens",
            )
        start = self._first_word
        with torch.no_grad():
            embedded_PW = tower.embed(with_words[start : start + num_words].to(backbone.device))
            self.context_PW[:num_words] = embedded_PW.to(self.context_PW)

    def text_layers(self, data: TrainingData, batch: Batch | None = None) -> Tensor:
        """Return text_CLD of the prompts with the learnt vectors."""
        return data.backbone.text_tower.layer_features_of_embeddings(
            self.embeddings_CTW, self.end_C, prompts_JPW=self.context_PW[None]
        )
