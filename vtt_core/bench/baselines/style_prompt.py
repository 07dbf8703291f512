"""StepSPT, inductive: a style prompt changes the pixels before the frozen tower, and a linear classifier reads the features.

Shapes: B images, V views, S support images, Q queries, C classes, D joint size, E epochs; 3 colour channels.
Source: Xu et al. 2024, "Step-wise Distribution Alignment Guided Style Prompt Tuning for Source-free Cross-domain Few-shot
    Learning", arXiv:2411.10070; released xuhuali-mxj/StepSPT@3664df6, stepspt.py: there the style prompt is a batch
    normalisation of the pixels.
Differs: the authors tune the prompt by aligning the predictions of support *and query* images step by step, and finally
    propagate labels among the queries. Here the queries are not used: the prompt lowers the cross-entropy of the plain support
    images, and the statistics of the pixels are those of the support views. The classifier reads CLIP's image feature, scaled
    to a mean square of 1. The authors' reads ConvNeXt's class scores.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.adapter.classify import CHUNK_IMAGES
from vtt_core.backbones.towers import VisionTower
from vtt_core.bench.baselines.few_shot_task import FewShotTask, in_chunks
from vtt_core.bench.baselines.training import epoch_batches
from vtt_core.training.losses import classification_loss
from vtt_core.training.seeding import seeded

NUM_EPOCHS = 100
"""Each is one pass of the classifier over all views, then one step of the style prompt. Source: released."""
BATCH_SIZE = 5
"""Of the classifier. Source: released."""
LEARNING_RATE = 0.01
"""Of the classifier and of the style prompt, SGD without a schedule. Source: released."""
MOMENTUM, DAMPENING, WEIGHT_DECAY = 0.9, 0.9, 1e-3
"""Of the classifier; the style prompt has none. Source: released."""
VARIANCE_FLOOR = 1e-5
"""Added to the variance of a channel. Source: released (torch's default)."""


class StylePrompt(nn.Module):
    """Replaces each channel's mean and deviation in the target domain by learnt ones."""

    def __init__(self, images_B3HW: Tensor) -> None:
        """Start from mean 0 and deviation 1.

        Args:
            images_B3HW: preprocessed images of the target domain, whose statistics are replaced.
        """
        super().__init__()
        variance_3, mean_3 = torch.var_mean(images_B3HW, dim=(0, 2, 3), correction=0)
        self.mean_311 = mean_3.view(3, 1, 1)
        self.deviation_311 = (variance_3 + VARIANCE_FLOOR).sqrt().view(3, 1, 1)
        self.new_deviation_311 = nn.Parameter(torch.ones_like(self.mean_311))
        self.new_mean_311 = nn.Parameter(torch.zeros_like(self.mean_311))

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Return the images in the new style."""
        styled_B3HW: Tensor = self.new_deviation_311 * (images_B3HW - self.mean_311) / self.deviation_311 + self.new_mean_311
        return styled_B3HW


class StyledClassifier:
    """A style prompt, the frozen tower and a linear classifier."""

    def __init__(self, task: FewShotTask, seed: int) -> None:
        """Draw the classifier's weights."""
        self._tower: VisionTower = task.backbone.vision_tower
        self.style = StylePrompt(task.views_V3HW)
        with seeded(seed, "stepspt"):
            linear = nn.Linear(task.backbone.joint_size, task.num_classes)
        self.linear = linear.to(task.views_V3HW.device, task.views_V3HW.dtype)

    def features(self, images_B3HW: Tensor) -> Tensor:
        """Return styled_BD, the classifier's inputs with mean square 1."""
        features_BD = self._tower.features(self.style(images_B3HW))
        return functional.normalize(features_BD, dim=-1) * sqrt(features_BD.shape[-1])

    def logits(self, images_B3HW: Tensor) -> Tensor:
        """Return logits_BC, without gradient."""
        with torch.no_grad():
            logits_BC: Tensor = self.linear(in_chunks(self.features, images_B3HW))
        return logits_BC


def train_styled(task: FewShotTask, seed: int) -> tuple[StyledClassifier, Tensor]:
    """Return the trained style prompt and classifier, and losses_E of the plain support images before each style step."""
    styled = StyledClassifier(task, seed)
    internal = torch.optim.SGD(
        styled.linear.parameters(), LEARNING_RATE, momentum=MOMENTUM, dampening=DAMPENING, weight_decay=WEIGHT_DECAY
    )
    external = torch.optim.SGD(styled.style.parameters(), LEARNING_RATE)
    losses = []
    for epoch in range(NUM_EPOCHS):
        # Tower and style are fixed while the classifier learns, so one pass gives the inputs of the whole epoch.
        features_VD = in_chunks(styled.features, task.views_V3HW)
        for views_B in epoch_batches(len(features_VD), BATCH_SIZE, seed, epoch):
            views_B = views_B.to(features_VD.device)
            internal.zero_grad()
            classification_loss(styled.linear(features_VD[views_B]), task.labels_V[views_B]).backward()
            internal.step()
        external.zero_grad()
        losses.append(add_style_gradients(styled, task))
        external.step()
    return styled, torch.stack(losses)


def add_style_gradients(styled: StyledClassifier, task: FewShotTask) -> Tensor:
    """Backpropagate the loss of the plain support images to the style prompt. Memory does not grow with their number."""
    total = torch.zeros((), device=task.labels_V.device)
    for images_B3HW, labels_B in zip(task.plain_S3HW.split(CHUNK_IMAGES), task.labels_S.split(CHUNK_IMAGES), strict=True):
        share = len(labels_B) / task.num_images
        loss = share * classification_loss(styled.linear(styled.features(images_B3HW)), labels_B)
        loss.backward()
        total = total + loss.detach()
    return total


def predict_stepspt(task: FewShotTask, seed: int) -> Tensor:
    """Return logits_QC of StepSPT without its use of the queries."""
    styled, _ = train_styled(task, seed)
    return styled.logits(task.queries_Q3HW)
