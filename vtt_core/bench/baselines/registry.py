"""The baselines by name.

Shapes: Q queries, C classes.
Source: docs/baselines.md.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.frozen import predict_linear_probe, predict_zero_shot
from vtt_core.bench.baselines.ldc import predict_ldc
from vtt_core.bench.baselines.style_prompt import predict_stepspt
from vtt_core.bench.baselines.tip_adapter import predict_tip_adapter, predict_tip_adapter_f

BASELINES: dict[str, Callable[[FewShotTask, int], Tensor]] = {
    "zero-shot": predict_zero_shot,
    "linear-probe": predict_linear_probe,
    "tip-adapter": predict_tip_adapter,
    "tip-adapter-f": predict_tip_adapter_f,
    "ldc": predict_ldc,
    "stepspt": predict_stepspt,
}
"""Each returns logits_QC for a task and a seed. A query's logits do not depend on the other queries."""
