"""Train the vision tower to match images to the names of their classes. Training can be resumed after any step.

The targets of the names come from a sentence encoder (teacher.py), which also teaches the text tower (text_stage.py). An image
is pulled towards the target of its class and away from all others. The randomness of a step depends only on the seed and the
step's number.

Shapes: B images, C classes, D joint size, K kept patches, R names of all classes, W vision width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional

from vtt_core.bench.pretraining.corpus import ClassNames, Corpus, Crops, cut_crops, draw_crops, epoch_batches
from vtt_core.bench.pretraining.growth import grow, silence_blocks
from vtt_core.bench.pretraining.optimisers import (
    global_norm_clip,
    make_optimisers,
    optimiser_state,
    restore_optimiser_state,
    take_step,
)
from vtt_core.bench.pretraining.recipe import PretrainRecipe, decay_start, learning_rate_factor, vision_depth
from vtt_core.bench.pretraining.side_by_side import SideBySide
from vtt_core.bench.pretraining.tower_pass import TowerPass, fast_precision
from vtt_core.bench.pretraining.zero_shot import count_nearest
from vtt_core.contract.errors import RecipeError

METADATA_KEY = "training"
"""Only one key: safetensors writes several in random order, and the files of equal runs would differ."""


class ImageStage:
    """A training of the vision tower that can be resumed after any step.

    Args:
        model: `open_clip.model.CLIP`. Only its vision tower is trained, in place.
        corpus: images to learn from.
        names_RD: targets of the class names, in the order of `ClassNames.texts`, with unit length.
        recipe: settings.
        num_steps: length of the whole run.
        threads: for the parts of each batch.
    """

    def __init__(
        self,
        model: Any,
        corpus: Corpus,
        names_RD: Tensor,
        recipe: PretrainRecipe,
        num_steps: int,
        threads: SideBySide,
    ) -> None:
        self.visual, self.corpus, self.recipe, self.num_steps = model.visual, corpus, recipe, num_steps
        self.device: torch.device = model.visual.proj.device
        num_heads = model.visual.transformer.resblocks[0].attn.num_heads
        self._threads, self._pass = threads, TowerPass(num_heads, False, fast_precision(self.device))
        self.step = 0
        self._names, self._names_RD = ClassNames(corpus.names), names_RD.to(self.device)
        silence_blocks(self.visual, vision_depth(0, recipe))
        self._head = _fresh_head(self.visual.proj.shape[0], len(corpus.names), recipe.seed).to(self.device)
        self._parameters = {name: value for name, value in self.visual.named_parameters() if value.requires_grad}
        self._parameters |= {f"head.{name}": value for name, value in self._head.named_parameters()}
        self._optimisers = make_optimisers(
            self._parameters, recipe.matrix_learning_rate, recipe.learning_rate, recipe.weight_decay, threads.num_threads
        )
        self._batches: tuple[int, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in one pass over the corpus."""
        return len(self.corpus.class_I) // self.recipe.batch_size

    def run(self) -> Iterator[float]:
        """Train to the end, yielding the loss of every step."""
        while self.step < self.num_steps:
            yield self._run_step()

    def _run_step(self) -> float:
        recipe, step = self.recipe, self.step
        depth = vision_depth(step, recipe)
        if step > 0 and depth != vision_depth(step - 1, recipe):
            grow(self.visual, vision_depth(step - 1, recipe), depth)
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        chosen_B = self._epoch(step // self.steps_per_epoch)[step % self.steps_per_epoch]
        crops = draw_crops(recipe.batch_size, self.corpus.images_IHWC.shape[1], generator)
        kept_BK = self._draw_patches(generator)
        names_CD = self._names_RD[self._names.draw(generator).to(self.device)]
        if step >= recipe.turning_step:
            crops = crops.turned(recipe.turned_share, recipe.grey_share, generator)
        batch = _Batch(self.corpus.images_IHWC[chosen_B], self.corpus.class_I[chosen_B], crops, kept_BK).to(self.device)
        logged = self._threads.gradients(
            lambda rows: self._losses(batch[rows], names_CD, depth), recipe.batch_size, list(self._parameters.values())
        )
        global_norm_clip(self._optimisers, recipe.gradient_norm)
        take_step(self._optimisers, learning_rate_factor(step, self.num_steps, recipe), self._threads)
        self.step += 1
        return logged

    def _draw_patches(self, generator: torch.Generator) -> Tensor:
        """Return kept_BK, the patches of each image that this step uses."""
        recipe, num_patches = self.recipe, self.visual.positional_embedding.shape[0] - 1
        is_whole = self.step >= self.num_steps * (1 - recipe.whole_images_share)
        num_kept = num_patches if is_whole else max(1, round(num_patches * (1 - recipe.patch_dropout)))
        return torch.rand(recipe.batch_size, num_patches, generator=generator).topk(num_kept, dim=1).indices

    def _losses(self, batch: _Batch, names_CD: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Return the loss, and its logged part: the cross-entropy of images against names.

        The other part is the cross-entropy of a linear head, which is not kept after training.
        """
        recipe, smoothing = self.recipe, self.recipe.label_smoothing
        pixels = cut_crops(batch.images_BHWC, batch.crops, self.visual.image_size[0])
        pooled_BW = self._pass.image_features(self._parameters, pixels, batch.kept_BK, depth)
        cosine_BC = functional.normalize(pooled_BW @ self.visual.proj, dim=-1) @ names_CD.T
        named = functional.cross_entropy(recipe.logit_scale * cosine_BC, batch.class_B, label_smoothing=smoothing)
        labelled = functional.cross_entropy(self._head(pooled_BW), batch.class_B, label_smoothing=smoothing)
        return named + labelled, named.detach()

    def accuracy(self, images: Corpus) -> float:
        """Return the fraction of the images that are nearest to the usual name of their class."""
        names_CD = self._names_RD[self._names.usual.to(self.device)]
        return count_nearest(self.visual, images, names_CD) / len(images.class_I)

    def checkpoint(self) -> bytes:
        """Return everything needed for resuming, as safetensors."""
        tensors = {f"parameter/{name}": value.detach().cpu().contiguous() for name, value in self._parameters.items()}
        facts = {"step": self.step, "num_steps": self.num_steps, "recipe": _plain(self.recipe)}
        return save(tensors | optimiser_state(self._optimisers, self._parameters), {METADATA_KEY: json.dumps(facts)})

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of a run with the same recipe. Its length may differ.

        Raises:
            RecipeError: the recipe differs, or the length does and the checkpoint already depends on it.
        """
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()[METADATA_KEY])
        if facts["recipe"] != _plain(self.recipe):
            raise RecipeError(
                expected=f"the recipe of the checkpoint, {facts['recipe']}",
                got=str(_plain(self.recipe)),
                remedy="Use the same options, or another folder",
            )
        step, old_num_steps = facts["step"], facts["num_steps"]
        free_until = min(decay_start(num_steps, self.recipe) for num_steps in (old_num_steps, self.num_steps))
        if old_num_steps != self.num_steps and step > free_until:
            raise RecipeError(
                expected=f"a length whose decay begins at step {step} or later, or the checkpoint's {old_num_steps} steps",
                got=f"{self.num_steps} steps",
                remedy="Resume with more epochs, or start again",
            )
        tensors = load_file(path, device=str(self.device))
        with torch.no_grad():
            for name, value in self._parameters.items():
                value.copy_(tensors[f"parameter/{name}"])
        moments = {key: value for key, value in tensors.items() if not key.startswith("parameter/")}
        restore_optimiser_state(self._optimisers, self._parameters, moments)
        self.step = step

    def _epoch(self, epoch: int) -> Tensor:
        if self._batches is None or self._batches[0] != epoch:
            generator = torch.Generator().manual_seed(self.recipe.seed * 7_919 + epoch)
            rows = epoch_batches(len(self.corpus.class_I), self.recipe.batch_size, generator)
            self._batches = (epoch, rows)
        return self._batches[1]


@dataclass(frozen=True)
class _Batch:
    """The images of one step, or some rows of them."""

    images_BHWC: Tensor
    class_B: Tensor
    crops: Crops
    kept_BK: Tensor

    def __getitem__(self, rows: slice) -> _Batch:
        return _Batch(self.images_BHWC[rows], self.class_B[rows], self.crops[rows], self.kept_BK[rows])

    def to(self, device: torch.device) -> _Batch:
        return _Batch(self.images_BHWC.to(device), self.class_B.to(device), self.crops.to(device), self.kept_BK.to(device))


def _fresh_head(width: int, num_classes: int, seed: int) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(width, num_classes)


def _plain(recipe: PretrainRecipe) -> dict[str, Any]:
    """Return the recipe as it is after a round trip through JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain
