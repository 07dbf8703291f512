"""The optimisers of both stages: Muon for the matrices inside the towers, AdamW for the rest.

Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) moves a matrix by its momentum with all
singular values set to one. Here it learns about 1.5 times as much from an image as AdamW alone (CARD.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer

from vtt_core.bench.pretraining.side_by_side import SideBySide

MATRICES_OF_MUON = ("resblocks.", "proj")
"""Part of the name of the blocks' weights, and name of the vision tower's projection."""


def make_optimisers(
    parameters: Mapping[str, Tensor],
    matrix_learning_rate: float,
    learning_rate: float,
    weight_decay: float,
    num_threads: int = 1,
) -> list[Optimizer]:
    """Return optimisers that together own all parameters.

    Args:
        parameters: of a tower, by name.
        matrix_learning_rate: of Muon.
        learning_rate: of AdamW.
        weight_decay: of all matrices except embeddings.
        num_threads: number of Muon optimisers, which share the matrices and can run in parallel.
    """
    matrices = [value for name, value in parameters.items() if is_of_muon(name, value)]
    others = {name: value for name, value in parameters.items() if not is_of_muon(name, value)}
    decayed = [value for name, value in others.items() if value.ndim >= 2 and "embedding" not in name]
    kept = [value for name, value in others.items() if value.ndim < 2 or "embedding" in name]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    optimisers: list[Optimizer] = [
        *(
            Muon(matrices[first::num_threads], lr=matrix_learning_rate, weight_decay=weight_decay)
            for first in range(num_threads)
        ),
        AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=(0.9, 0.98), fused=True),
    ]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return optimisers


def is_of_muon(name: str, value: Tensor) -> bool:
    """Tell whether Muon optimises this parameter."""
    return value.ndim == 2 and (MATRICES_OF_MUON[0] in name or name == MATRICES_OF_MUON[1])


def take_step(optimisers: Sequence[Optimizer], learning_rate_factor: float, threads: SideBySide) -> None:
    """Update all parameters that have a gradient.

    Args:
        optimisers: from `make_optimisers`.
        learning_rate_factor: factor on each optimiser's learning rate.
        threads: for running the optimisers in parallel.
    """
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_factor * group["initial_lr"]
    threads.call([optimiser.step for optimiser in optimisers])


def optimiser_state(optimisers: Sequence[Optimizer], parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state for resuming, as "<moment>/<parameter>" -> tensor."""
    return {
        f"{moment}/{name}": value.detach().cpu().contiguous()
        for optimiser in optimisers
        for name, parameter in parameters.items()
        for moment, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser_state(
    optimisers: Sequence[Optimizer], parameters: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    """Restore the state from `optimiser_state`."""
    for optimiser in optimisers:
        owned = {id(value) for group in optimiser.param_groups for value in group["params"]}
        for name, parameter in parameters.items():
            moments = {key.partition("/")[0]: value for key, value in state.items() if key.partition("/")[2] == name}
            if id(parameter) in owned and moments:
                optimiser.state[parameter] = {
                    moment: value.to("cpu" if moment == "step" else parameter.device, copy=True)
                    for moment, value in moments.items()
                }


def global_norm_clip(optimisers: Sequence[Optimizer], bound: float) -> None:
    """Clip the norm of AdamW's gradients. Muon's step does not depend on the norm."""
    for optimiser in optimisers:
        if isinstance(optimiser, AdamW):
            torch.nn.utils.clip_grad_norm_([value for group in optimiser.param_groups for value in group["params"]], bound)
