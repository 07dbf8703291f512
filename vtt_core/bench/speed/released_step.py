"""Compute a batch's gradients the way the released code does: what the fast path is compared with, kept readable.

It gives the numbers of `step.plain_gradients`, at the cost that the released code pays: the support images are encoded
twice and the second result is not used; the absorption prompt is read over all positions of the text tower; the scan writes
its (B, S, D, N) tensors out, one direction after the other; and two full backward passes compute the gradients of every
frozen weight.

Shapes: B images, S scan steps, D joint size, N state size.
Source: METHOD.md, "Item by item"; zhenyuZ-HUST/CVPR26-VtT@93e79e7. Written anew from these descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.towers import TextTower
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.mamba import Mamba
from vtt_core.fusion.network import Fusion, FusionNetwork
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss
from vtt_core.training.step import StepGradients


def released_gradients(data: TrainingData, host: Host, fusion: Fusion, recipe: FinetuneRecipe, batch: Batch) -> StepGradients:
    """Return the losses and gradients of a batch with absorption; the arguments are those of `plain_gradients`."""
    assert batch.is_absorbing, "only the step with both losses is compared"
    assert isinstance(fusion, FusionNetwork), "only the released network is compared"
    lora = host.vision_lora
    tower, labels_B = data.backbone.vision_tower, data.labels_V[batch.views_B]
    with _frozen_weights_learn(data.backbone) as frozen:
        images_B3HW = data.views_V3HW[batch.views_B]
        vision_BLD = tower.layer_features(images_B3HW, lora, batch.dropout)
        _ = tower.layer_features(images_B3HW, lora, batch.dropout)
        features_BD = vision_BLD[:, -1]
        loss_ce = classification_loss(class_logits(features_BD, data.prototypes_CD, recipe.logit_scale), labels_B)
        fused_BD = _fuse(fusion, interleave_layers(vision_BLD, data.text_CLD[labels_B]))
        absorbed_BD = _absorb_over_all_positions(data, fused_BD)
        loss_vtt = absorption_loss(absorbed_BD, features_BD)
        on_lora, on_fusion = list(host.parameters()), list(fusion.parameters())
        everything = [*on_lora, *on_fusion, *frozen]
        of_ce = torch.autograd.grad(loss_ce, everything, retain_graph=True, allow_unused=True)
        loss_comb = loss_ce + recipe.absorption_weight * loss_vtt
        of_comb = torch.autograd.grad(loss_comb, everything, allow_unused=True)
    lora_ce = tuple(gradient for gradient in of_ce[: len(on_lora)] if gradient is not None)
    lora_comb = [gradient for gradient in of_comb[: len(on_lora)] if gradient is not None]
    of_fusion = [gradient for gradient in of_comb[len(on_lora) : len(on_lora) + len(on_fusion)] if gradient is not None]
    weight = recipe.absorption_weight
    lora_vtt = tuple((comb - ce) / weight for comb, ce in zip(lora_comb, lora_ce, strict=True))
    return StepGradients(loss_ce, lora_ce, loss_vtt, lora_vtt, tuple(gradient / weight for gradient in of_fusion))


@contextmanager
def _frozen_weights_learn(backbone: Backbone) -> Iterator[list[torch.nn.Parameter]]:
    """Let the weights of both towers have gradients inside."""
    parameters = [parameter for name, parameter in backbone.clip.named_parameters() if name != "logit_scale"]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield parameters
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)


def _absorb_over_all_positions(data: TrainingData, fused_BD: Tensor) -> Tensor:
    tower: TextTower = data.backbone.text_tower
    prompt = data.prompt
    num_padding = tower.context_length - len(prompt.tokens_T)
    tokens_T = functional.pad(prompt.tokens_T, (0, num_padding))
    embedded_BTW = tower.embed(tokens_T).expand(len(fused_BD), -1, -1)
    before, after = embedded_BTW[:, : prompt.placeholder_index], embedded_BTW[:, prompt.placeholder_index + 1 :]
    end_B = torch.full((len(fused_BD),), len(prompt.tokens_T) - 1, device=fused_BD.device)
    return tower.layer_features_of_embeddings(torch.cat((before, fused_BD[:, None], after), dim=1), end_B)[:, -1]


def _fuse(network: FusionNetwork, sequence_BSD: Tensor) -> Tensor:
    tokens_BSD = network.tokens(sequence_BSD)
    assert isinstance(network.block, Mamba), "only the released network is compared"
    outputs = [_scan_one_direction(network.block, tokens_BSD[:, order]) for order in network.orders_OS]
    residual_BD: Tensor = network.residual_proj(sequence_BSD.mean(dim=1))
    return residual_BD + torch.stack(outputs).sum(dim=0).mean(dim=1)


def _scan_one_direction(block: Mamba, tokens_BSD: Tensor) -> Tensor:
    """Return one direction's output; every direction projects and gates anew."""
    num_steps = tokens_BSD.shape[1]
    x_BSD, z_BSD = block.in_proj(tokens_BSD).chunk(2, dim=-1)
    u_BSD = functional.silu(block.conv1d(x_BSD.transpose(1, 2))[..., :num_steps].transpose(1, 2))
    low_rank, B_BSN, C_BSN = block.split_projection(u_BSD)
    step_BSD = functional.softplus(block.dt_proj(low_rank))
    decays_BSDN = torch.exp(step_BSD[..., None] * -torch.exp(block.A_log))
    entering_BSDN = (step_BSD * u_BSD)[..., None] * B_BSN[:, :, None]
    state_BDN, states = torch.zeros_like(decays_BSDN[:, 0]), []
    for s in range(num_steps):
        state_BDN = decays_BSDN[:, s] * state_BDN + entering_BSDN[:, s]
        states.append(state_BDN)
    y_BSD = torch.einsum("bsdn,bsn->bsd", torch.stack(states, dim=1), C_BSN) + block.D * u_BSD
    output_BSD: Tensor = block.out_proj(y_BSD * functional.silu(z_BSD))
    return output_BSD
