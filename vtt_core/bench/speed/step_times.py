"""Compare the time and memory of a training step: as released, plain, fast, and the least that any form needs (the floor).

No form avoids the floor: a forward pass of the frozen vision tower, and for each loss a backward pass for
activations alone, by autograd: two with absorption, one after the switch-off. Where the processor multiplies bfloat16 faster,
the fast form and the floor do; the fast form in float32 is timed beside them.

Shapes: B images, C classes.
Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch

from vtt_core.absorption.prompt import make_absorption_prompt
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.product_choice import Products, choose_products
from vtt_core.bench.speed.interleaved import Spread, peak_bytes, ratio_of_rounds, time_interleaved
from vtt_core.bench.speed.released_step import released_gradients
from vtt_core.bench.speed.rounded_products import RoundedProducts
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.dgso.schedule import Dgso
from vtt_core.hosts.make import draw_vision_dropout
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.labels.prompts import class_prompts
from vtt_core.training.fast.passes import FastGradients, prepare_thread, split_rows
from vtt_core.training.finetune import start_state
from vtt_core.training.seeding import make_generator
from vtt_core.training.step import GradientsOf, TrainingState, plain_gradients, train_step

RATIOS = {
    "released_over_fast": ("released", "fast"),
    "plain_over_fast": ("plain", "fast"),
    "float32_over_fast": ("fast_float32", "fast"),
    "fast_over_floor": ("fast", "floor"),
    "plain_over_floor": ("plain", "floor"),
    "fast_off_over_floor_off": ("fast_off", "floor_off"),
}
"""Name -> (numerator, denominator)."""


def compare_steps(
    backbone: Backbone, *, way: int, batch_size: int, repeats: int, num_threads: int, stopwatch: Callable[[], float]
) -> dict[str, Any]:
    """Return seconds, ratios and peak memory of every alternative as JSON values.

    Args:
        backbone: frozen; its weights do not matter.
        way: number of classes.
        batch_size: images in a step.
        repeats: rounds.
        num_threads: cores to use.
        stopwatch: gives monotonic seconds.
    """
    recipe = FinetuneRecipe(products="fastest")
    data = synthetic_data(backbone, recipe, way, batch_size)
    steps = step_alternatives(data, recipe, batch_size, num_threads)
    times = time_interleaved(steps, repeats, stopwatch)
    peaks = {name: peak_bytes(step, backbone.device) for name, step in steps.items()}
    fast, floor = peaks["fast"], peaks["floor"]
    spreads = {name: ratio_of_rounds(times[above], times[below]) for name, (above, below) in RATIOS.items()}
    return {
        **{name: spread.median for name, spread in spreads.items()},
        "fast_peak_over_floor_peak": None if fast is None or floor is None else fast / floor,
        "ratio_quartiles": {name: [spread.lower, spread.upper] for name, spread in spreads.items()},
        "seconds": {name: asdict(Spread.of(values)) for name, values in times.items()},
        "peak_bytes": peaks,
    }


def synthetic_data(backbone: Backbone, recipe: FinetuneRecipe, way: int, num_views: int) -> TrainingData:
    """Return training data of random images, as large as real data."""
    side, device = backbone.preprocessing.side_pixels, backbone.device
    prompts = class_prompts([f"class number {index}" for index in range(way)], recipe.prompt_template)
    with torch.no_grad():
        text_CLD = backbone.text_tower.layer_features(backbone.tokenize(prompts).to(device))
    return TrainingData(
        backbone=backbone,
        views_V3HW=torch.randn(num_views, 3, side, side, generator=make_generator(0, "views")).to(device, backbone.dtype),
        labels_V=torch.arange(num_views, device=device) % way,
        text_CLD=text_CLD,
        prompt=make_absorption_prompt(backbone, recipe.prompt_template, recipe.placeholder),
    )


def step_alternatives(
    data: TrainingData, recipe: FinetuneRecipe, batch_size: int, num_threads: int
) -> dict[str, Callable[[], object]]:
    """Return one whole training step in every form, and the floor, as calls without arguments."""
    state, floor = start_state(data.backbone, recipe, seed=0), Floor(data, recipe.products, num_threads)
    learnt = (data, state.host, state.fusion)
    fast = FastGradients(*learnt, recipe, num_threads)
    exact = FastGradients(*learnt, replace(recipe, products="float32"), num_threads)

    def step(gradients_of: GradientsOf, *, is_absorbing: bool) -> Callable[[], object]:
        return lambda: _take_step(data.backbone, state, recipe, batch_size, gradients_of, is_absorbing=is_absorbing)

    return {
        "released": step(partial(released_gradients, *learnt, recipe), is_absorbing=True),
        "plain": step(partial(plain_gradients, *learnt, recipe), is_absorbing=True),
        "fast_float32": step(exact, is_absorbing=True),
        "fast": step(fast, is_absorbing=True),
        "floor": lambda: floor.run(num_losses=2),
        "fast_off": step(fast, is_absorbing=False),
        "floor_off": lambda: floor.run(num_losses=1),
    }


def _take_step(
    backbone: Backbone,
    state: TrainingState,
    recipe: FinetuneRecipe,
    batch_size: int,
    gradients_of: GradientsOf,
    *,
    is_absorbing: bool,
) -> None:
    # Drawn weights may conflict; a fresh queue keeps every step as it was asked for.
    state.dgso = Dgso(recipe.conflict_window, is_absorbing=is_absorbing, queue=[float(10 * recipe.conflict_window)])
    generator = make_generator(0, "dropout", state.step, backbone.device)
    dropout = draw_vision_dropout(backbone, state.lora, batch_size, generator)
    batch = Batch(torch.arange(batch_size, device=backbone.device), dropout, is_absorbing)
    train_step(state, recipe, batch, gradients_of)


class Floor:
    """The frozen vision tower's passes, parts of the batch side by side as the fast path has them."""

    def __init__(self, data: TrainingData, products: Products, num_threads: int) -> None:
        """Start the threads."""
        self._problem = data
        self._num_threads = num_threads
        dtype = choose_products(products, data.backbone.device, data.backbone.dtype).dtype
        self._arithmetic = nullcontext() if dtype is None else RoundedProducts(dtype)
        self._pool = ThreadPoolExecutor(num_threads, initializer=prepare_thread)

    def run(self, num_losses: int) -> None:
        """Run the tower forward, and back for each loss.

        Args:
            num_losses: 2 with absorption, 1 after the switch-off.
        """
        views_V3HW = self._problem.views_V3HW
        rows = split_rows(len(views_V3HW), self._num_threads)
        list(self._pool.map(lambda part: self._run_part(views_V3HW[part], num_losses), rows))
        if views_V3HW.device.type == "cuda":
            torch.cuda.synchronize()

    def _run_part(self, images_B3HW: torch.Tensor, num_losses: int) -> None:
        tower = self._problem.backbone.vision_tower
        entering_BTW = tower.embed(images_B3HW).requires_grad_()
        with self._arithmetic:
            vision_BLD = tower.layer_features_of_tokens(entering_BTW)
        cotangent_BLD = torch.ones_like(vision_BLD)
        for remaining in range(num_losses - 1, -1, -1):
            torch.autograd.grad(vision_BLD, entering_BTW, cotangent_BLD, retain_graph=remaining > 0)
