"""Baselines without training steps: the class prompts alone, and a closed-form linear probe.

Shapes: Q queries, C classes.
Source: Radford et al. 2021, arXiv:2103.00020: zero-shot in section 3.1, a probe on the features before the projection in 3.2.
Differs: the probe is a ridge regression (`vtt_core/adapter/linear_probe.py`). The authors use logistic regression.
"""

from __future__ import annotations

from torch import Tensor

from vtt_core.adapter.linear_probe import probe_scores
from vtt_core.bench.baselines.few_shot_task import FewShotTask


def predict_zero_shot(task: FewShotTask, seed: int) -> Tensor:
    """Return logits_QC of the class prompts. Support images and seed are not used."""
    return task.zero_shot_logits(task.query_features_QD)


def predict_linear_probe(task: FewShotTask, seed: int) -> Tensor:
    """Return scores_QC of a probe on the plain support images. The seed is not used."""
    return probe_scores(task.plain_unprojected_SW, task.labels_S, task.query_unprojected_QW, task.num_classes)
