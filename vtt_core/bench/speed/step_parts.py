"""Show where the time of a fast step goes, and what each of its fast forms saves: the step is timed without it.

Shapes: B images, L layers, W tower width, D joint size.
Source: METHOD.md, "Fast forms".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.absorption.prompt import absorb
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.product_choice import choose_products
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.bench.speed.interleaved import Spread, ratio_of_rounds, time_interleaved
from vtt_core.bench.speed.step_times import step_alternatives, synthetic_data
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import FusionNetwork
from vtt_core.fusion.scan import selective_scan
from vtt_core.fusion.sequence import num_scan_steps
from vtt_core.hosts.make import draw_vision_dropout
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.dropout import Dropout, LayerDropout
from vtt_core.training.finetune import start_state
from vtt_core.training.seeding import make_generator
from vtt_core.training.step import apply_gradients, plain_gradients


def measure_parts(
    backbone: Backbone, *, way: int, batch_size: int, repeats: int, stopwatch: Callable[[], float]
) -> dict[str, Any]:
    """Return the seconds of a fast step, of its parts, and of steps without one fast form each, as JSON values.

    Args:
        backbone: frozen; its weights do not matter.
        way: number of classes.
        batch_size: images in a step.
        repeats: rounds.
        stopwatch: gives monotonic seconds.
    """
    recipe = FinetuneRecipe(products="fastest")
    data = synthetic_data(backbone, recipe, way, batch_size)
    steps = step_alternatives(data, recipe, batch_size, num_threads=1)
    fast, plain = steps["fast"], steps["plain"]
    without = {f"without {name}": _with_patches(fast, patches) for name, patches in plain_forms(data).items()}
    without["without bfloat16 products"] = steps["fast_float32"]
    without["without hand-written passes"] = _with_patches(plain, fast_forms(data))
    alternatives = {"fast": fast, **without, **_parts(data, recipe, batch_size)}
    times = time_interleaved(alternatives, repeats, stopwatch)
    over_fast = {name: ratio_of_rounds(times[name], times["fast"]) for name in alternatives if name != "fast"}
    return {
        "over_fast": {name: spread.median for name, spread in over_fast.items()},
        "ratio_quartiles": {name: [spread.lower, spread.upper] for name, spread in over_fast.items()},
        "seconds": {name: asdict(Spread.of(values)) for name, values in times.items()},
    }


Patches = Mapping[str, Any]
"""What stands in a place, such as "package.module.name", while a step runs."""


def plain_forms(data: TrainingData) -> dict[str, Patches]:
    """Return the plain form of each fast form that can be replaced alone."""
    passes = "vtt_core.backbones.lora_pass"
    return {
        "compiled scan": {"vtt_core.fusion.fast_network.fast_selective_scan": selective_scan},
        "shared directions and compiled scan": {"vtt_core.training.fast.passes.fast_fuse": FusionNetwork.forward},
        "cached prompt": {"vtt_core.training.fast.passes.CachedPrompt.absorb": _plain_absorb(data)},
        "compiled dropout": {f"{passes}.keep": _plain_keep, f"{passes}.add_kept": _plain_add_kept},
    }


def fast_forms(data: TrainingData) -> Patches:
    """Return the fast forms for the plain gradients, except the tower's passes."""
    prompt = CachedPrompt(data.backbone.text_tower, data.prompt)
    return {
        "vtt_core.fusion.network.FusionNetwork.forward": fast_fuse,
        "vtt_core.training.step.absorb": lambda _tower, _prompt, fused_BD: prompt.absorb(fused_BD),
    }


def _with_patches(step: Callable[[], object], patches: Patches) -> Callable[[], object]:
    def run() -> None:
        with patched(patches):
            step()

    return run


@contextmanager
def patched(patches: Patches) -> Iterator[None]:
    """Put the stand-ins into their places inside the context."""
    with ExitStack() as stack:
        for place, stand_in in patches.items():
            stack.enter_context(patch(place, stand_in))
        yield


def _plain_absorb(data: TrainingData) -> Callable[[CachedPrompt, Tensor], Tensor]:
    return lambda _, fused_BD: absorb(data.backbone.text_tower, data.prompt, fused_BD)


def _plain_keep(x_BTW: Tensor, dropout: LayerDropout | None, projection: int) -> Tensor:
    return x_BTW if dropout is None else dropout.apply(x_BTW, projection)


def _plain_add_kept(total_KBTW: Tensor, gradient_KBTW: Tensor, dropout: LayerDropout | None, projection: int) -> None:
    total_KBTW += _plain_keep(gradient_KBTW, dropout, projection)


def _parts(data: TrainingData, recipe: FinetuneRecipe, batch_size: int) -> dict[str, Callable[[], object]]:
    """Return the parts of a fast step, one after another as they come in it."""
    backbone, state = data.backbone, start_state(data.backbone, recipe, seed=0)
    tower, products = backbone.vision_tower, choose_products(recipe.products, backbone.device, backbone.dtype)
    vision_pass = VisionPass(tower, products.dtype)
    prompt = CachedPrompt(backbone.text_tower, data.prompt)
    images_B3HW = data.views_V3HW[:batch_size]
    width, joint_size = tower.width, backbone.joint_size
    sequence_BSD = (
        torch.randn(batch_size, num_scan_steps(tower.num_layers, backbone.text_tower.num_layers), joint_size)
        .to(images_B3HW)
        .requires_grad_()
    )
    fused_BD = torch.randn(batch_size, joint_size).to(images_B3HW).requires_grad_()
    cotangents_KBLW = torch.randn(2, batch_size, tower.num_layers, width).to(images_B3HW)
    views_B = torch.arange(batch_size, device=backbone.device)
    gradients = plain_gradients(data, state.host, state.fusion, recipe, Batch(views_B, None, is_absorbing=True))

    def draw() -> Dropout | None:
        return draw_vision_dropout(backbone, state.lora, batch_size, make_generator(0, "dropout", 0, backbone.device))

    dropout = draw()

    def forward() -> Any:
        return vision_pass.forward(images_B3HW, state.lora, dropout)[1]

    def fuse() -> None:
        torch.autograd.grad(fast_fuse(state.fusion, sequence_BSD).sum(), [sequence_BSD, *state.fusion.parameters()])

    return {
        "dropout's random bytes": draw,
        "tower forward": forward,
        "tower forward and backward": lambda: vision_pass.backward(forward(), cotangents_KBLW),
        "fusion": fuse,
        "absorption": lambda: torch.autograd.grad(prompt.absorb(fused_BD).sum(), fused_BD),
        "DGSO and AdamW": lambda: apply_gradients([state], state.parameters, state.optimisers, recipe, gradients),
    }
