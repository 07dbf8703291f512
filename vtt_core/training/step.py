"""Take one training step: two losses, their gradients, DGSO, AdamW. The page to read beside the paper.

The same lines serve one fine-tuning and a stack of many (`fast/stacked.py`): there, each tensor has a dimension of E
fine-tunings before those that are named.

Shapes: B images, C classes, L layers, D joint size.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, "One training step"; zhenyuZ-HUST/CVPR26-VtT@93e79e7.
Differs: the authors encode the support images once more without using the result, and run in fp16 with
    loss scaling, whose first steps overflow and are skipped. Neither is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.absorption.prompt import absorb
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.network import Fusion
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.layers import TowerLora
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss
from vtt_core.training.optimisers import Optimiser, learning_rate


@dataclass
class TrainingState:
    """What a step changes."""

    host: Host
    fusion: Fusion
    optimisers: list[Optimiser]
    dgso: Dgso
    step: int = 0
    """Number of finished steps."""

    @property
    def lora(self) -> TowerLora:
        """LoRA of the vision tower, of a host that has one."""
        assert self.host.vision_lora is not None
        return self.host.vision_lora

    @property
    def parameters(self) -> list[Tensor]:
        """Tensors of the host, then of the fusion network."""
        return [*self.host.parameters(), *self.fusion.parameters()]


@dataclass(frozen=True)
class StepGradients:
    """The losses of a batch and their gradients, in the order of `parameters()`."""

    classification_loss: Tensor
    host_classification: Sequence[Tensor]
    """Gradient of L_ce on the host."""
    absorption_loss: Tensor | None = None
    """None, and the gradients below empty, where absorption is off."""
    host_absorption: Sequence[Tensor] = ()
    """Gradient of L_vtt on the host."""
    fusion_absorption: Sequence[Tensor] = ()
    """Gradient of L_vtt on the fusion network."""


GradientsOf = Callable[[Batch], StepGradients]


def train_step(state: TrainingState, recipe: FinetuneRecipe, batch: Batch, gradients_of: GradientsOf) -> StepReport:
    """Take one step of the recipe.

    Args:
        state: changed in place.
        recipe: constants.
        batch: which images, what is dropped, and whether to absorb.
        gradients_of: computes the losses and gradients of the state's parameters, steps 1 to 4: `plain_gradients` or a
            faster form.
    """
    [report] = apply_gradients([state], state.parameters, state.optimisers, recipe, gradients_of(batch))
    return report


def plain_gradients(data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch) -> StepGradients:
    """Return the losses and gradients of a batch: the plain reference, one call of autograd a loss.

    Args:
        data: images, labels and text features.
        host: what is fine-tuned.
        fusion: network that only training needs.
        recipe: constants.
        batch: which images, what is dropped, and whether to absorb.
    """
    on_host, on_fusion = list(host.parameters()), list(fusion.parameters())
    loss_ce, loss_vtt = batch_losses(data, host, fusion, recipe, batch)
    of_ce = _gradients(loss_ce, on_host, retain_graph=loss_vtt is not None)
    if loss_vtt is None:
        return StepGradients(loss_ce.detach(), of_ce)
    of_vtt = _gradients(loss_vtt, on_host + on_fusion)
    return StepGradients(loss_ce.detach(), of_ce, loss_vtt.detach(), of_vtt[: len(on_host)], of_vtt[len(on_host) :])


def batch_losses(
    data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch
) -> tuple[Tensor, Tensor | None]:
    """Return L_ce, and L_vtt where it is wanted; the arguments are those of `plain_gradients`."""
    labels_B = data.labels_V[batch.views_B]
    vision_BLD, text_CLD = host.vision_layers(data, batch), host.text_layers(data, batch)  # step 1
    loss_ce = compute_loss_ce(vision_BLD, text_CLD, labels_B, recipe)
    if not batch.is_absorbing:
        return loss_ce, None
    read = partial(absorb, data.backbone.text_tower, data.prompt)
    return loss_ce, compute_loss_vtt(vision_BLD, text_CLD[labels_B], recipe, fusion, read)


def compute_loss_ce(vision_BLD: Tensor, text_CLD: Tensor, labels_B: Tensor, recipe: FinetuneRecipe) -> Tensor:
    """Return L_ce of layer features; METHOD.md, step 2."""
    prototypes_CD = functional.normalize(text_CLD[..., -1, :], dim=-1)
    return classification_loss(class_logits(vision_BLD[..., -1, :], prototypes_CD, recipe.logit_scale), labels_B)


def compute_loss_vtt(
    vision_BLD: Tensor,
    text_BLD: Tensor,
    recipe: FinetuneRecipe,
    fuse: Callable[[Tensor], Tensor],
    read: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return L_vtt of layer features; METHOD.md, steps 3 and 4.

    Args:
        vision_BLD: of the images.
        text_BLD: of each image's class prompt.
        recipe: constants.
        fuse: the fusion network.
        read: lets the frozen text tower read fused vectors, see `absorb`.
    """
    fused_BD = fuse(interleave_layers(vision_BLD, text_BLD, recipe.sequence))
    absorbed_BD = read(fused_BD) if recipe.absorption == "text-tower" else fused_BD
    return absorption_loss(absorbed_BD, vision_BLD[..., -1, :])


def _gradients(loss: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False) -> list[Tensor]:
    """Return gradients, and zeros for what the loss does not reach: parts of a text tower's last block, say."""
    gradients = torch.autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True)
    pairs = zip(gradients, parameters, strict=True)
    return [torch.zeros_like(parameter) if gradient is None else gradient for gradient, parameter in pairs]


def apply_gradients(
    states: Sequence[TrainingState],
    parameters: Sequence[Tensor],
    optimisers: Iterable[Optimiser],
    recipe: FinetuneRecipe,
    gradients: StepGradients,
) -> list[StepReport]:
    """Supervise the gradients, update the parameters, and decide whether absorption goes on; METHOD.md, steps 5 and 6.

    Args:
        states: of each fine-tuning whose losses are in `gradients`, all at the same step.
        parameters: what the gradients belong to, host before fusion network; changed in place.
        optimisers: of these parameters.
        recipe: constants.
        gradients: what `GradientsOf` gave.
    """
    supervised, measured = supervise(gradients, recipe)
    for index, parameter in enumerate(parameters):
        # Without absorption, the fusion network has no gradients: its optimiser leaves it alone, decay included.
        # The fused AdamW reads a gradient in the order of its parameter's memory, whatever the gradient's own is.
        parameter.grad = supervised[index].contiguous() if index < len(supervised) else None
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(group["start"], states[0].step, recipe, group["warm_up_steps"])
        optimiser.step()
    # The only time that a step waits for the device, once everything is on its way there.
    rows = torch.stack(measured).view(len(measured), len(states)).t().tolist()
    return [_finish_step(state, recipe, row) for state, row in zip(states, rows, strict=True)]


def supervise(gradients: StepGradients, recipe: FinetuneRecipe) -> tuple[list[Tensor], list[Tensor]]:
    """Return the gradients of L_comb = L_ce + beta L_vtt, projected on the host; and L_ce, L_vtt and the mean cosine.

    Without absorption, return the host's gradients of L_ce, and L_ce.
    """
    loss_ce, loss_vtt = gradients.classification_loss, gradients.absorption_loss
    if loss_vtt is None:
        return list(gradients.host_classification), [loss_ce]
    supervised, cosines = [], []
    for g_ce, g_vtt in zip(gradients.host_classification, gradients.host_absorption, strict=True):
        g_comb = g_ce + recipe.absorption_weight * g_vtt
        cosine = conflict_cosine(g_comb, g_ce)
        supervised.append(project_out(g_comb, g_ce, cosine) if recipe.projects_conflict else g_comb)
        cosines.append(cosine.flatten(loss_ce.ndim))
    supervised += [recipe.absorption_weight * gradient for gradient in gradients.fusion_absorption]
    return supervised, [loss_ce, loss_vtt, torch.cat(cosines, dim=-1).mean(dim=-1)]


def _finish_step(state: TrainingState, recipe: FinetuneRecipe, measured: Sequence[float]) -> StepReport:
    """Count the step, and let DGSO see its cosine; a stacked fine-tuning that no longer absorbs has a loss of zero."""
    loss_vtt, cosine = measured[1:] if state.dgso.is_absorbing else (None, None)
    state.step += 1
    if cosine is not None:
        state.dgso.observe(cosine)
    return StepReport(
        step=state.step,
        num_steps=recipe.iterations,
        classification_loss=measured[0],
        absorption_loss=loss_vtt,
        conflict_cosine=cosine,
        is_absorbing=state.dgso.is_absorbing,
        absorption_stopped_at=state.dgso.stopped_at,
    )
