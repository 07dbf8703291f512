"""Baselines that nothing is trained for step by step: the class prompts alone, and a closed-form linear probe.

Shapes: Q queries, C classes.
Source: Radford et al. 2021, arXiv:2103.00020: zero-shot in section 3.1, a probe on the features before the projection in 3.2.
Differs: the probe is a ridge regression (`vtt_core/linear_probe.py`), theirs a logistic one.
"""

from __future__ import annotations

from torch import Tensor

from vtt_core.baselines.problem import FewShotProblem
from vtt_core.linear_probe import probe_scores


def predict_zero_shot(problem: FewShotProblem, seed: int) -> Tensor:
    """Return logits_QC of the class prompts; neither the support images nor the seed matter."""
    return problem.zero_shot_logits(problem.query_features_QD)


def predict_linear_probe(problem: FewShotProblem, seed: int) -> Tensor:
    """Return scores_QC of a probe on the plain support images; nothing is drawn, so the seed does not matter."""
    return probe_scores(problem.plain_unprojected_SW, problem.labels_S, problem.query_unprojected_QW, problem.num_classes)
