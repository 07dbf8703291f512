"""Watch one fine-tuning with VtT: what the scan reads, what it makes of it, what the text tower reads, and the conflict.

STEP 1 sequence    how alike the features are that the scan reads, pair by pair
STEP 2 scan        how much each of them moves the fused vector
STEP 3 absorption  how near the absorbed text of each class's images is to every class prompt
STEP 4 conflict    the report of every optimiser step

Shapes: B views, C classes, L layers, D joint size, S scan steps.
Source: Zhang et al. 2026, arXiv:2603.05235, whose parts these are; METHOD.md, "Diagnostics".
Differs: the authors show no such numbers; the definitions are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import absorb
from vtt_core.contract.errors import RecipeError
from vtt_core.contract.progress import StepReport
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.training_data import Batch
from vtt_core.training.finetune import Finetune
from vtt_core.training.seeding import make_generator

MOST_VIEWS = 100
"""Views of the support images that are looked at, evenly spread over them."""
NUM_PROBES = 8
"""Random directions in which the fused vector's change is measured."""


@dataclass(frozen=True)
class Look:
    """The parts of VtT at one moment of a fine-tuning."""

    likeness_SS: Tensor
    """Mean cosine between the features of two scan steps."""
    influence_S: Tensor
    """Share of each scan step in the change of the fused vector, when each feature changes by the same part of its length."""
    agreement_CC: Tensor
    """Mean cosine of the absorbed text of a class's images (row) with each class prompt (column)."""


@dataclass(frozen=True)
class TrainingRun:
    """A fine-tuning from its first step to its last."""

    labels: tuple[str, ...]
    before: Look
    after: Look
    steps: tuple[StepReport, ...]


def watch(finetune: Finetune, show: Callable[[StepReport], None] = lambda report: None) -> TrainingRun:
    """Run a fine-tuning, and look at its parts before and after.

    Args:
        finetune: one that has not begun.
        show: is told of every step.

    Raises:
        RecipeError: its method does not absorb, so there is nothing to look at.
    """
    if not finetune.recipe.uses_absorption or finetune.recipe.absorption != "text-tower":
        raise RecipeError(
            expected="a method with VtT, which absorbs into the text tower",
            got=repr(finetune.recipe.method),
            remedy="Choose a method that ends in +vtt",
        )
    before, steps = look(finetune), []
    for report in finetune.steps():
        show(report)
        steps.append(report)
    return TrainingRun(tuple(finetune.labels), before, look(finetune), tuple(steps))


def look(finetune: Finetune) -> Look:
    """Measure the parts of VtT as they are now; nothing is changed."""
    data, host = finetune.data, finetune.state.host
    num_views = len(data.labels_V)
    views_B = torch.linspace(0, num_views - 1, min(num_views, MOST_VIEWS), device=data.labels_V.device).long()
    with torch.no_grad():
        vision_BLD = host.vision_layers(data, Batch(views_B, None, is_absorbing=True))
        text_CLD, labels_B = host.text_layers(data), data.labels_V[views_B]
        sequence_BSD = interleave_layers(vision_BLD, text_CLD[labels_B], finetune.recipe.sequence)
        unit_BSD = functional.normalize(sequence_BSD, dim=-1)
        absorbed_BD = absorb(data.backbone.text_tower, data.prompt, finetune.state.fusion(sequence_BSD))
        cosines_BC = functional.normalize(absorbed_BD, dim=-1) @ functional.normalize(text_CLD[:, -1], dim=-1).T
    likeness_SS = (unit_BSD @ unit_BSD.transpose(1, 2)).mean(dim=0)
    agreement_CC = torch.stack([cosines_BC[labels_B == label].mean(dim=0) for label in range(len(finetune.labels))])
    return Look(likeness_SS.cpu(), influence(finetune, sequence_BSD).cpu(), agreement_CC.cpu())


def influence(finetune: Finetune, sequence_BSD: Tensor) -> Tensor:
    """Return influence_S: the length of the fused vector's derivative along each feature, as shares that sum to 1.

    Args:
        finetune: whose fusion network is asked.
        sequence_BSD: what it reads.
    """
    read_BSD = sequence_BSD.detach().requires_grad_()
    fused_BD = finetune.state.fusion(read_BSD)
    generator = make_generator(finetune.seed, "probes", 0, fused_BD.device)
    total_S = torch.zeros(read_BSD.shape[1], device=fused_BD.device)
    for _ in range(NUM_PROBES):
        probe_BD = torch.randn(fused_BD.shape, generator=generator, device=fused_BD.device)
        (gradient_BSD,) = torch.autograd.grad(fused_BD, read_BSD, probe_BD, retain_graph=True)
        total_S += (gradient_BSD.norm(dim=-1) * sequence_BSD.norm(dim=-1)).mean(dim=0)
    return total_S / total_S.sum()
