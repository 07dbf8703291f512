"""Run many fine-tunings of one shape as one: their tensors are stacked, and each operation of a step is one for all of them.

This is how a benchmark fills a GPU with a small backbone. Every fine-tuning keeps its own images, classes, order of batches,
dropout and DGSO, so that it becomes what it would have become alone, but for rounding.

Shapes: E fine-tunings, B images of a batch of each, C classes, L layers, D joint size.
Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.absorption.prompt import absorb
from vtt_core.contract.errors import RecipeError
from vtt_core.contract.progress import StepReport
from vtt_core.dgso.projection import conflict_cosine, project_out
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import Fusion
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.fusion.triton_scan import triton_selective_scan
from vtt_core.hosts.clip_lora import trains_vision_alone
from vtt_core.hosts.training_data import Batch
from vtt_core.kernels.triton_kernels import has_kernels
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.stacked import StackedLora
from vtt_core.training.fast.stacked_vision import LoraGradient, make_stacked_vision
from vtt_core.training.finetune import Finetune
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss
from vtt_core.training.step import learning_rate, make_optimisers


def can_train_many(finetune: Finetune) -> bool:
    """Whether a fine-tuning can be one of many: what it trains is a LoRA of the vision tower."""
    return trains_vision_alone(finetune.state.host)


def train_many(finetunes: Sequence[Finetune]) -> Iterator[list[StepReport]]:
    """Run all steps of fresh fine-tunings, giving a report of each after every step; in the end each has its own result.

    Args:
        finetunes: on one backbone, with one recipe and the same way and shot, none of them begun.

    Raises:
        RecipeError: they differ in more than images, labels and seed, or their host cannot be stacked.
    """
    many = _Many(finetunes)
    for _ in range(finetunes[0].recipe.iterations):
        yield many.take_step()
    many.hand_back()


class _FusionForm(nn.Module):
    """A fusion network that runs in one of its two forms."""

    def __init__(self, network: Fusion, run: Callable[[Fusion, Tensor], Tensor]) -> None:
        """Take both."""
        super().__init__()
        self.network = network
        self._run = run

    def forward(self, sequence_BSD: Tensor) -> Tensor:
        """Return the fused vectors."""
        return self._run(self.network, sequence_BSD)


class _Many:
    """The stacked tensors of some fine-tunings."""

    def __init__(self, finetunes: Sequence[Finetune]) -> None:
        """Stack them."""
        first = finetunes[0]
        if not (is_alike(finetunes) and can_train_many(first)):
            raise RecipeError(
                expected="fresh fine-tunings of a vision LoRA that differ in images, labels and seed alone",
                got=", ".join(sorted({f"{finetune.recipe.method!r} after {finetune.step} steps" for finetune in finetunes})),
                remedy="Use train_all, which runs them as they can be run",
            )
        self._finetunes = finetunes
        self._backbone, self._recipe = first.backbone, first.recipe
        self._views_EV3HW = torch.stack([finetune.data.views_V3HW for finetune in finetunes])
        self._labels_EV = torch.stack([finetune.data.labels_V for finetune in finetunes])
        self._text_ECLD = torch.stack([finetune.data.text_CLD for finetune in finetunes])
        self._prototypes_ECD = torch.stack([finetune.data.prototypes_CD for finetune in finetunes])
        self._vision = make_stacked_vision(first.backbone.vision_tower)
        self._host, _ = stack_module_state([finetune.state.host for finetune in finetunes])
        self._fusion, _ = stack_module_state([finetune.state.fusion for finetune in finetunes])
        self._optimisers = make_optimisers(self._host.values(), self._fusion.values(), self._recipe)
        tower = first.backbone.text_tower
        cached = CachedPrompt(tower, first.data.prompt) if tower.is_causal else None
        self._absorb = cached.absorb if cached else lambda fused_BD: absorb(tower, first.data.prompt, fused_BD)

    def take_step(self) -> list[StepReport]:
        """Take one step of every fine-tuning; METHOD.md, steps 1 to 6."""
        batches = [finetune.next_batch() for finetune in self._finetunes]
        absorbing = [index for index, finetune in enumerate(self._finetunes) if finetune.state.dgso.is_absorbing]
        vision_BLD, labels_EB = self._encode(batches)
        loss_ce_E = self._classification_losses(vision_BLD, labels_EB)
        cotangents = list(torch.autograd.grad(loss_ce_E.sum(), vision_BLD))
        figures = [loss_ce_E.detach()]
        on_fusion: list[Tensor | None] = [None for _ in self._fusion]
        if absorbing:
            loss_vtt_E = self._absorption_losses(vision_BLD, labels_EB, absorbing)
            of_vtt, *of_fusion = torch.autograd.grad(loss_vtt_E.sum(), [vision_BLD, *self._fusion.values()])
            cotangents.append(of_vtt)
            on_fusion = [self._recipe.absorption_weight * gradient for gradient in of_fusion]
            figures.append(loss_vtt_E.detach())
        gradients = self._vision.backward(cotangents)
        on_host = list(gradients[0])
        if absorbing:
            on_host, cosine_E = self._supervise(*gradients)
            figures.append(cosine_E)
        self._set_gradients(on_host, on_fusion)
        self._update()
        rows, absorbed = torch.stack(figures, dim=1).tolist(), set(absorbing)
        return [
            self._report(finetune, row, was_absorbing=index in absorbed)
            for index, (finetune, row) in enumerate(zip(self._finetunes, rows, strict=True))
        ]

    def _encode(self, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Return vision_BLD of all batches, one after another, and labels_EB."""
        views_EB = torch.stack([batch.views_B for batch in batches])
        rows_E1 = torch.arange(len(batches), device=views_EB.device)[:, None]
        lora = StackedLora(self._host["vision_lora.lora_A"], self._host["vision_lora.lora_B"], self._recipe.scaling)
        images_B3HW = self._views_EV3HW[rows_E1, views_EB].flatten(0, 1)
        vision_BLD = self._vision.forward(images_B3HW, lora, _joined([batch.dropout for batch in batches]))
        return vision_BLD, self._labels_EV[rows_E1, views_EB]

    def _classification_losses(self, vision_BLD: Tensor, labels_EB: Tensor) -> Tensor:
        features_EBD = vision_BLD[:, -1].unflatten(0, labels_EB.shape)
        logits_EBC = vmap(class_logits, (0, 0, None))(features_EBD, self._prototypes_ECD, self._recipe.logit_scale)
        loss_E: Tensor = vmap(classification_loss)(logits_EBC, labels_EB)
        return loss_E

    def _absorption_losses(self, vision_BLD: Tensor, labels_EB: Tensor, absorbing: Sequence[int]) -> Tensor:
        """Return L_vtt of every fine-tuning; of those that do not absorb it is zero and costs nothing."""
        chosen = torch.tensor(absorbing, device=labels_EB.device)
        rows_E1 = torch.arange(len(labels_EB), device=labels_EB.device)[:, None]
        text_BLD = self._text_ECLD[rows_E1, labels_EB][chosen].flatten(0, 1)
        vision_BLD = vision_BLD.unflatten(0, labels_EB.shape)[chosen].flatten(0, 1)
        sequence_BSD = interleave_layers(vision_BLD, text_BLD, self._recipe.sequence)
        fused_EBD = self._fuse(chosen, sequence_BSD.unflatten(0, (len(absorbing), -1)))
        if self._recipe.absorption == "text-tower":
            fused_EBD = self._absorb(fused_EBD.flatten(0, 1)).view(fused_EBD.shape)
        loss_vtt = vmap(absorption_loss)(fused_EBD, vision_BLD[:, -1].view(fused_EBD.shape))
        return loss_vtt.new_zeros(len(labels_EB)).index_put((chosen,), loss_vtt)

    def _fuse(self, chosen: Tensor, sequence_EBSD: Tensor) -> Tensor:
        network = self._finetunes[0].state.fusion
        # The compiled scan of a CPU, and mamba-ssm's, take one network's tensors; our own kernels and the plain form take many.
        fast = partial(fast_fuse, scan=triton_selective_scan)
        fuse = _FusionForm(network, fast if has_kernels(sequence_EBSD) else lambda plain, sequence: plain(sequence))

        def fuse_one(parameters: dict[str, Tensor], sequence_BSD: Tensor) -> Tensor:
            named = {f"network.{name}": parameter for name, parameter in parameters.items()}
            fused_BD: Tensor = functional_call(fuse, named, (sequence_BSD,))
            return fused_BD

        parameters = {name: stacked[chosen] for name, stacked in self._fusion.items()}
        fused_EBD: Tensor = vmap(fuse_one)(parameters, sequence_EBSD)
        return fused_EBD

    def _supervise(self, of_ce: LoraGradient, of_vtt: LoraGradient) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of L_comb = L_ce + beta L_vtt, projected, and the mean cosine of every fine-tuning."""
        supervised, cosines = [], []
        for g_ce, g_vtt in zip(of_ce, of_vtt, strict=True):
            g_comb = g_ce + self._recipe.absorption_weight * g_vtt
            cosine = conflict_cosine(g_comb, g_ce)
            supervised.append(project_out(g_comb, g_ce, cosine) if self._recipe.projects_conflict else g_comb)
            cosines.append(cosine.flatten(1))
        return supervised, torch.cat(cosines, dim=1).mean(dim=1)

    def _set_gradients(self, on_host: Sequence[Tensor], on_fusion: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip([*self._host.values(), *self._fusion.values()], [*on_host, *on_fusion], strict=True):
            # The fused AdamW reads a gradient in the order of its parameter's memory, whatever the gradient's own is.
            parameter.grad = None if gradient is None else gradient.contiguous()

    def _update(self) -> None:
        step = self._finetunes[0].state.step
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(group["start"], step, self._recipe, group["warm_up_steps"])
            optimiser.step()

    def _report(self, finetune: Finetune, figures: Sequence[float], *, was_absorbing: bool) -> StepReport:
        state = finetune.state
        state.step += 1
        loss_vtt, cosine = figures[1:] if was_absorbing else (None, None)
        if cosine is not None:
            state.dgso.observe(cosine)
        return StepReport(
            step=state.step,
            num_steps=self._recipe.iterations,
            classification_loss=figures[0],
            absorption_loss=loss_vtt,
            conflict_cosine=cosine,
            is_absorbing=state.dgso.is_absorbing,
            absorption_stopped_at=state.dgso.stopped_at,
        )

    def hand_back(self) -> None:
        """Give every fine-tuning its own tensors."""
        with torch.no_grad():
            for index, finetune in enumerate(self._finetunes):
                for module, stacked in ((finetune.state.host, self._host), (finetune.state.fusion, self._fusion)):
                    for name, parameter in module.named_parameters():
                        parameter.copy_(stacked[name][index])


def is_alike(finetunes: Sequence[Finetune]) -> bool:
    """Whether fresh fine-tunings differ in images, labels and seed alone."""
    first = finetunes[0]
    return all(
        finetune.backbone is first.backbone
        and finetune.recipe == first.recipe
        and finetune.step == 0
        and finetune.data.labels_V.shape == first.data.labels_V.shape
        and finetune.data.text_CLD.shape == first.data.text_CLD.shape
        for finetune in finetunes
    )


def _joined(dropouts: Sequence[Dropout | None]) -> Dropout | None:
    """Return the dropout of all images, those of one fine-tuning after those of another."""
    drawn = [dropout for dropout in dropouts if dropout is not None]
    return replace(drawn[0], bytes_LPBTW=torch.cat([dropout.bytes_LPBTW for dropout in drawn], dim=2)) if drawn else None
