"""LDC: adapters on four vision layers, and a residual that takes the confusion of classes out of the zero-shot logits.

Shapes: B images, V views, Q queries, C classes, L layers, D joint size; 4 levels.
Source: Li et al. 2025, "Logits DeConfusion with CLIP for Few-Shot Learning", arXiv:2504.12104; released LiShuo1001/LDC@3b133d7,
    ldc_train.py and clip_ldc/model.py (the form for vision transformers).
Differs: an adapter reads its layer's projected feature (size D). The authors' reads every token of the block (width W), and
    the sum of the means is projected. Fixed views of the support images replace new crops and flips. The logits are those of
    the learnt gate. The authors search a weight for the two kinds of logits on a validation set, which an episode lacks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.training import Schedule, train
from vtt_core.training.losses import classification_loss
from vtt_core.training.seeding import seeded

LEVEL_TWELFTHS = (6, 8, 10, 12)
"""Depths of the four layers in twelfths of the tower. Source: released, blocks 6, 8, 10 and 12 of 12."""
LEVEL_WEIGHTS = (0.1, 0.2, 0.3, 0.4)
"""Weights of the adapted layers in their sum, shallow to deep. Source: released (default)."""
HEAD_WIDTH = 2048
"""Hidden size of the classifier on the fused feature. Source: released."""
SCHEDULE = Schedule(num_epochs=50, batch_size=64, learning_rate=1e-4, weight_decay=1e-4, adam_epsilon=1e-4)
"""Source: released (it sets 1e-3 and gives a tenth to the optimiser)."""


@dataclass(frozen=True)
class LdcLogits:
    """The three kinds of logits of a batch."""

    adapted_BC: Tensor
    """Of the classifier on the fused feature."""
    deconfused_BC: Tensor
    """Of the class prompts plus the learnt residual."""
    gated_BC: Tensor
    """Weighted mean of both, with a weight for each image."""


class Ldc(nn.Module):
    """Multi-level adapter fusion, inter-class deconfusion and the gate between the two."""

    def __init__(self, joint_size: int, num_classes: int) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__()
        self.adapters = nn.ModuleList(_adapter(joint_size) for _ in LEVEL_WEIGHTS)
        self.head = _two_layers(joint_size, HEAD_WIDTH, num_classes)
        self.from_logits = _two_layers(num_classes, joint_size, joint_size)
        self.from_feature = _two_layers(joint_size, joint_size, joint_size)
        self.to_logits = _two_layers(joint_size, joint_size, num_classes)
        self.gate = _two_layers(joint_size, joint_size, 1)

    def forward(self, levels_B4D: Tensor, zero_shot_BC: Tensor) -> LdcLogits:
        """Return the logits of a batch.

        Args:
            levels_B4D: frozen features of the four layers, shallow to deep.
            zero_shot_BC: logits of the class prompts.
        """
        adapted = [
            weight * adapter(levels_B4D[:, level])
            for level, (weight, adapter) in enumerate(zip(LEVEL_WEIGHTS, self.adapters, strict=True))
        ]
        fused_BD = torch.stack(adapted).sum(dim=0)
        adapted_BC = self.head(fused_BD)
        deconfused_BC = zero_shot_BC + self.to_logits(self.from_logits(zero_shot_BC) + self.from_feature(fused_BD))
        gate_B1 = self.gate(fused_BD).sigmoid()
        return LdcLogits(adapted_BC, deconfused_BC, gate_B1 * adapted_BC + (1 - gate_B1) * deconfused_BC)


def level_indices(num_layers: int) -> list[int]:
    """Return the indices of the four layers, counted from 0. In a shallow tower some may be equal."""
    return [-(-num_layers * twelfths // 12) - 1 for twelfths in LEVEL_TWELFTHS]


def ldc_loss(logits: LdcLogits, zero_shot_BC: Tensor, labels_B: Tensor) -> Tensor:
    """Return the sum of three cross-entropies and two distances to the zero-shot logits."""
    kinds = (logits.adapted_BC, logits.deconfused_BC, logits.gated_BC)
    cross_entropy = torch.stack([classification_loss(kind_BC, labels_B) for kind_BC in kinds]).sum()
    adapted = functional.l1_loss(logits.adapted_BC, zero_shot_BC)
    return cross_entropy + adapted + functional.l1_loss(logits.deconfused_BC, zero_shot_BC)


def train_ldc(task: FewShotTask, seed: int) -> tuple[Ldc, Tensor]:
    """Return the trained model, and the loss of every step."""
    with seeded(seed, "ldc"):
        ldc = Ldc(task.backbone.joint_size, task.num_classes)
    levels_V4D = task.view_layers_VLD[:, level_indices(task.view_layers_VLD.shape[1])]
    zero_shot_VC = task.zero_shot_logits(task.view_features_VD)
    ldc.to(levels_V4D.device, levels_V4D.dtype).train()

    def loss_of(views_B: Tensor) -> Tensor:
        views_B = views_B.to(levels_V4D.device)
        logits: LdcLogits = ldc(levels_V4D[views_B], zero_shot_VC[views_B])
        return ldc_loss(logits, zero_shot_VC[views_B], task.labels_V[views_B])

    losses_N = train(ldc.parameters(), loss_of, len(task.labels_V), SCHEDULE, seed)
    return ldc.eval(), losses_N


@torch.no_grad()
def _ask(ldc: Ldc, task: FewShotTask) -> Tensor:
    levels_Q4D = task.query_layers_QLD[:, level_indices(task.query_layers_QLD.shape[1])]
    logits: LdcLogits = ldc(levels_Q4D, task.zero_shot_logits(task.query_features_QD))
    return logits.gated_BC


def predict_ldc(task: FewShotTask, seed: int) -> Tensor:
    """Return logits_QC of LDC."""
    ldc, _ = train_ldc(task, seed)
    return _ask(ldc, task)


def _adapter(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, size, bias=False), nn.LayerNorm(size), nn.ReLU())


def _two_layers(size_in: int, hidden: int, size_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size_in, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, size_out, bias=False),
    )
