"""Run many fine-tunings of one shape as one: their tensors are stacked, and each operation of a step is one for all of them.

A benchmark fills a GPU this way with a small backbone. Every fine-tuning keeps its own images, classes, permutations, dropout
and DGSO, so that it becomes what it would have become alone, but for rounding.

Shapes: E fine-tunings, B images of a batch of each, C classes, L layers, D joint size.
Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.absorption.prompt import absorb
from vtt_core.contract.progress import StepReport
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import Fusion
from vtt_core.fusion.scan_choice import choose_stacked_scan
from vtt_core.hosts.training_data import Batch
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.stacked_lora import StackedLora
from vtt_core.training.fast.passes import gradients_through
from vtt_core.training.fast.vision import Backward, run_of
from vtt_core.training.optimisers import make_optimisers
from vtt_core.training.step import StepGradients, apply_gradients, compute_loss_ce, compute_loss_vtt

if TYPE_CHECKING:
    from vtt_core.training.finetune import Finetune


def train_stacked(finetunes: Sequence[Finetune]) -> Iterator[list[StepReport]]:
    """Run all steps of fine-tunings, giving a report of each after every step; in the end each has its own result.

    Args:
        finetunes: for which `choice.can_stack` is true.
    """
    stack = _Stack(finetunes)
    for _ in range(finetunes[0].recipe.iterations):
        yield stack.take_step()
    stack.write_back()


class _Stack:
    """The stacked tensors of some fine-tunings."""

    def __init__(self, finetunes: Sequence[Finetune]) -> None:
        """Stack them."""
        first = finetunes[0]
        self._finetunes, self._recipe = finetunes, first.recipe
        self._views_EV3HW = torch.stack([finetune.data.views_V3HW for finetune in finetunes])
        self._labels_EV = torch.stack([finetune.data.labels_V for finetune in finetunes])
        self._text_ECLD = torch.stack([finetune.data.text_CLD for finetune in finetunes])
        self._run_vision = run_of(first.backbone.vision_tower)
        self._host, _ = stack_module_state([finetune.state.host for finetune in finetunes])
        self._fusion, _ = stack_module_state([finetune.state.fusion for finetune in finetunes])
        self._optimisers = make_optimisers(self._host.values(), self._fusion.values(), self._recipe)
        tower = first.backbone.text_tower
        self._prompt = CachedPrompt(tower, first.data.prompt) if tower.is_causal else None

    def take_step(self) -> list[StepReport]:
        """Take one step of every fine-tuning; METHOD.md, steps 1 to 6."""
        states = [finetune.state for finetune in self._finetunes]
        gradients = self._gradients([finetune.next_batch() for finetune in self._finetunes])
        parameters = [*self._host.values(), *self._fusion.values()]
        return apply_gradients(states, parameters, self._optimisers, self._recipe, gradients)

    def _gradients(self, batches: Sequence[Batch]) -> StepGradients:
        vision_XLD, backward, labels_EB = self._encode(batches)
        vision_EBLD = vision_XLD.unflatten(0, labels_EB.shape)
        loss_ce_E = compute_loss_ce(vision_EBLD, self._text_ECLD, labels_EB, self._recipe)
        absorbing = [index for index, batch in enumerate(batches) if batch.is_absorbing]
        loss_vtt_E = self._absorption_losses(vision_EBLD, labels_EB, absorbing) if absorbing else None
        return gradients_through(vision_XLD, backward, loss_ce_E, loss_vtt_E, list(self._fusion.values()))

    def _encode(self, batches: Sequence[Batch]) -> tuple[Tensor, Backward, Tensor]:
        """Return the layer features of all batches, one after another, the way back, and labels_EB."""
        views_EB = torch.stack([batch.views_B for batch in batches])
        rows_E1 = torch.arange(len(batches), device=views_EB.device)[:, None]
        lora = StackedLora(self._host["vision_lora.lora_A"], self._host["vision_lora.lora_B"], self._recipe.scaling)
        images_X3HW = self._views_EV3HW[rows_E1, views_EB].flatten(0, 1)
        vision_XLD, backward = self._run_vision(images_X3HW, lora, _joined([batch.dropout for batch in batches]))
        return vision_XLD, backward, self._labels_EV[rows_E1, views_EB]

    def _absorption_losses(self, vision_EBLD: Tensor, labels_EB: Tensor, absorbing: Sequence[int]) -> Tensor:
        """Return L_vtt of every fine-tuning; of those that do not absorb it is zero and costs nothing."""
        chosen = torch.tensor(absorbing, device=labels_EB.device)
        text_EBLD = self._text_ECLD[chosen[:, None], labels_EB[chosen]]
        loss_vtt = compute_loss_vtt(
            vision_EBLD[chosen], text_EBLD, self._recipe, lambda sequence_EBSD: self._fuse(chosen, sequence_EBSD), self._read
        )
        return loss_vtt.new_zeros(len(labels_EB)).index_put((chosen,), loss_vtt)

    def _fuse(self, chosen: Tensor, sequence_EBSD: Tensor) -> Tensor:
        fused = _Fused(self._finetunes[0].state.fusion)

        def fuse_one(parameters: dict[str, Tensor], sequence_BSD: Tensor) -> Tensor:
            named = {f"network.{name}": parameter for name, parameter in parameters.items()}
            fused_BD: Tensor = functional_call(fused, named, (sequence_BSD,))
            return fused_BD

        parameters = {name: stacked[chosen] for name, stacked in self._fusion.items()}
        fused_EBD: Tensor = vmap(fuse_one)(parameters, sequence_EBSD)
        return fused_EBD

    def _read(self, fused_EBD: Tensor) -> Tensor:
        fused_XD, data = fused_EBD.flatten(0, 1), self._finetunes[0].data
        absorbed = self._prompt.absorb(fused_XD) if self._prompt else absorb(data.backbone.text_tower, data.prompt, fused_XD)
        return absorbed.view(fused_EBD.shape)

    def write_back(self) -> None:
        """Give every fine-tuning its own tensors."""
        with torch.no_grad():
            for index, finetune in enumerate(self._finetunes):
                for module, stacked in ((finetune.state.host, self._host), (finetune.state.fusion, self._fusion)):
                    for name, parameter in module.named_parameters():
                        parameter.copy_(stacked[name][index])


class _Fused(nn.Module):
    """The fast form of a fusion network as a module, which `functional_call` wants."""

    def __init__(self, network: Fusion) -> None:
        """Take the network."""
        super().__init__()
        self.network = network

    def forward(self, sequence_BSD: Tensor) -> Tensor:
        """Return the fused vectors."""
        return fast_fuse(self.network, sequence_BSD, choose_stacked_scan(sequence_BSD.device))


def _joined(dropouts: Sequence[Dropout | None]) -> Dropout | None:
    """Return the dropout of all images, those of one fine-tuning after those of another."""
    drawn = [dropout for dropout in dropouts if dropout is not None]
    return replace(drawn[0], bytes_LPBTW=torch.cat([dropout.bytes_LPBTW for dropout in drawn], dim=2)) if drawn else None
