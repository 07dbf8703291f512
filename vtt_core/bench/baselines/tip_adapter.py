"""Tip-Adapter: a cache of support features beside the class prompts, with fixed or trained keys.

Shapes: B images, V views, S support images, Q queries, C classes, D joint size.
Source: Zhang et al. 2022, "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification", arXiv:2207.09519:
    the affinity exp(-beta (1 - cos)) and the logits; released gaopengcuhk/Tip-Adapter@e6bdba4, main.py and utils.py.
Differs: both ratios have the final values of the paper's ablation. The authors search them on a validation set, and choose
    Tip-Adapter-F's best epoch on the test set: an episode has images for neither. Keys and epochs use fixed views. The authors
    draw new crops and flips, ten times for the keys and once for each epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.bench.baselines.few_shot_task import LOGIT_SCALE, FewShotTask
from vtt_core.bench.baselines.training import Schedule, train
from vtt_core.training.losses import class_logits, classification_loss

RESIDUAL_RATIO = 1.0
"""alpha: weight of the cache. Source: paper, ablation on ImageNet; the released searches start at 1.17 (ImageNet) and
2 (EuroSAT)."""
SHARPNESS = 5.5
"""beta: how fast the affinity falls with the distance from a key. Source: paper, its ablation on
ImageNet; the released searches start at 1."""
SCHEDULE = Schedule(num_epochs=20, batch_size=256, learning_rate=1e-3, weight_decay=1e-2, adam_epsilon=1e-4)
"""Of Tip-Adapter-F. Source: paper and released; the decay is AdamW's default."""


def tip_logits(
    features_BD: Tensor, keys_SD: Tensor, values_SC: Tensor, prototypes_CD: Tensor, residual_ratio: float = RESIDUAL_RATIO
) -> Tensor:
    """Return logits_BC: of the class prompts plus the labels of similar keys.

    Args:
        features_BD: image features, not normalised.
        keys_SD: unit features of the support images, or trained keys.
        values_SC: one-hot labels of the support images.
        prototypes_CD: unit text features.
        residual_ratio: alpha; 0 uses the class prompts only.
    """
    affinity_BS = torch.exp(-SHARPNESS * (1 - functional.normalize(features_BD, dim=-1) @ keys_SD.t()))
    return class_logits(features_BD, prototypes_CD, LOGIT_SCALE) + residual_ratio * affinity_BS @ values_SC


def make_cache(task: FewShotTask) -> tuple[Tensor, Tensor]:
    """Return keys_SD, the unit mean feature of each support image's views, and values_SC, their one-hot labels."""
    features_VD = task.view_features_VD
    keys_SD = functional.normalize(features_VD.unflatten(0, (task.num_views, -1)).mean(dim=0), dim=-1)
    values_SC = functional.one_hot(task.labels_S, task.num_classes).to(features_VD.dtype)
    return keys_SD, values_SC


def train_keys(task: FewShotTask, seed: int) -> tuple[Tensor, Tensor]:
    """Return Tip-Adapter-F's keys_SD, and the loss of every step."""
    start_SD, values_SC = make_cache(task)
    keys_SD = nn.Parameter(start_SD.clone())

    def loss_of(views_B: Tensor) -> Tensor:
        views_B = views_B.to(task.labels_V.device)
        logits_BC = tip_logits(task.view_features_VD[views_B], keys_SD, values_SC, task.prototypes_CD)
        return classification_loss(logits_BC, task.labels_V[views_B])

    losses_N = train([keys_SD], loss_of, len(task.labels_V), SCHEDULE, seed)
    return keys_SD.detach(), losses_N


def predict_tip_adapter(task: FewShotTask, seed: int) -> Tensor:
    """Return logits_QC of Tip-Adapter. The seed is not used."""
    return tip_logits(task.query_features_QD, *make_cache(task), task.prototypes_CD)


def predict_tip_adapter_f(task: FewShotTask, seed: int) -> Tensor:
    """Return logits_QC of Tip-Adapter-F."""
    keys_SD, _ = train_keys(task, seed)
    return tip_logits(task.query_features_QD, keys_SD, make_cache(task)[1], task.prototypes_CD)
