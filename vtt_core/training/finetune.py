"""Fine-tune a host on a support set: draw the views, run the steps, stop and resume at any of them.

Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, rows "the loop" and "iterations".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import count

import torch
from torch import Tensor

from vtt_core.absorption.prompt import make_absorption_prompt
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.decode_small import decode_threads
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet, check_shape
from vtt_core.dgso.schedule import Dgso
from vtt_core.fusion.make import make_fusion
from vtt_core.hosts.make import draw_text_dropout, draw_vision_dropout, make_host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.ingest.decode import decode_image
from vtt_core.labels.prompts import class_prompts
from vtt_core.training.checkpoint import Belonging, read_checkpoint, write_checkpoint
from vtt_core.training.choice import choose_gradients, has_fast_form
from vtt_core.training.optimisers import make_optimisers
from vtt_core.training.seeding import make_generator, seeded
from vtt_core.training.step import GradientsOf, TrainingState, train_step
from vtt_core.training.views import Views, stack_views


class Finetune:
    """One fine-tuning; `steps` runs it, `checkpoint` can be taken between any two steps."""

    def __init__(
        self,
        backbone: Backbone,
        support_set: SupportSet,
        recipe: FinetuneRecipe,
        seed: int,
        checkpoint: bytes | None = None,
        limits: Limits = DEFAULT_LIMITS,
        num_threads: int | None = None,
    ) -> None:
        """Decode the images, draw their views and the initial weights.

        Args:
            backbone: frozen, on the device to train on.
            support_set: labelled encoded images.
            recipe: constants.
            seed: of every random stream.
            checkpoint: state to resume from, of the same backbone, support set, recipe and seed.
            limits: the bounds in force on way, shot and images.
            num_threads: cores to compute with on a CPU, None for as many as torch uses; the result depends on it by rounding.

        Raises:
            SupportSetError: way or shot is outside the limits.
            ImageError: an image cannot be decoded.
            PromptError: a class prompt does not fit the text tower.
            CheckpointMismatchError: the checkpoint belongs to another fine-tuning.
        """
        check_shape([(support_class.label, support_class.shot) for support_class in support_set.classes], limits)
        self.backbone = backbone
        self.recipe = recipe
        self.seed = seed
        self.labels = support_set.labels
        self.limits = limits
        self.data = make_training_data(backbone, support_set, recipe, seed, limits, num_threads)
        self.state = start_state(backbone, recipe, seed, self.labels)
        self.num_threads = num_threads
        if checkpoint is not None:
            read_checkpoint(checkpoint, self.state, self._belonging)

    @property
    def step(self) -> int:
        """Number of finished steps."""
        return self.state.step

    @property
    def has_finished(self) -> bool:
        """Whether no step is left."""
        return self.state.step >= self.recipe.iterations

    def steps(self) -> Iterator[StepReport]:
        """Run the remaining steps, giving a report after each."""
        while not self.has_finished:
            yield train_step(self.state, self.recipe, self.next_batch(), self._gradients_of)

    @cached_property
    def _gradients_of(self) -> GradientsOf:
        """Prepared at the first step: a stacked fine-tuning never needs it."""
        return choose_gradients(self.data, self.state.host, self.state.fusion, self.recipe, self.num_threads)

    @cached_property
    def _belonging(self) -> Belonging:
        """Hashed at the first checkpoint; a benchmark takes none."""
        return Belonging(self.recipe.to_json(), self.seed, self.backbone.weight_sha256, self.data.sha256())

    def next_batch(self) -> Batch:
        """Return what the next step learns from."""

        def permutation(pass_index: int) -> Tensor:
            num_views = len(self.data.labels_V)
            return torch.randperm(num_views, generator=make_generator(self.seed, "order", pass_index))

        step, device = self.state.step, self.backbone.device
        views_B = batch_of_step(step, len(self.data.labels_V), self.recipe.batch_size, permutation)
        host = self.state.host
        generator = make_generator(self.seed, "dropout", step, device)
        dropout = draw_vision_dropout(self.backbone, host.vision_lora, len(views_B), generator)
        text_dropout = draw_text_dropout(self.backbone, host, make_generator(self.seed, "text dropout", step, device))
        return Batch(views_B.to(device), dropout, self.state.dgso.is_absorbing, text_dropout)

    def checkpoint(self) -> bytes:
        """Return the state between two steps as a safetensors file."""
        return write_checkpoint(self.state, self._belonging)


def make_training_data(
    backbone: Backbone,
    support_set: SupportSet,
    recipe: FinetuneRecipe,
    seed: int,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int | None = None,
) -> TrainingData:
    """Return the views, labels, class prompts' layer features and absorption prompt of a support set.

    Args:
        backbone: frozen.
        support_set: labelled encoded images.
        recipe: constants.
        seed: of the views.
        limits: bounds on one image.
        num_threads: images decoded side by side, no more than there are cores; None for as many as torch uses.
    """
    images = [image for support_class in support_set.classes for image in support_class.images]
    views = Views(backbone.preprocessing, recipe, seed)
    labels = [index for index, support_class in enumerate(support_set.classes) for _ in support_class.images]
    tokens_CT = tokenize_classes(backbone.tokenize, support_set.labels, recipe.prompt_template).to(backbone.device)
    with ThreadPoolExecutor(decode_threads(num_threads)) as pool, torch.no_grad():
        # Decoding holds no interpreter lock, so the images are ready when the text tower is.
        drawn = pool.map(lambda image, index: views.of_image(decode_image(image.encoded, limits), index), images, count())
        text_CLD = backbone.text_tower.layer_features(tokens_CT)
        views_V3HW = stack_views(list(drawn))
    return TrainingData(
        backbone=backbone,
        views_V3HW=views_V3HW.to(backbone.device, backbone.dtype),
        labels_V=torch.tensor(labels, device=backbone.device).repeat(recipe.num_views),
        text_CLD=text_CLD,
        prompt=make_absorption_prompt(backbone, recipe.absorbing_template, recipe.placeholder),
    )


def start_state(backbone: Backbone, recipe: FinetuneRecipe, seed: int, labels: Sequence[str] = ("one", "two")) -> TrainingState:
    """Return the state before the first step: host and fusion network drawn, queue fresh.

    Args:
        backbone: frozen.
        recipe: what to make.
        seed: of the fine-tuning.
        labels: class labels, which a host that changes the text tower reads.
    """
    with seeded(seed, "lora"):
        host = make_host(backbone, labels, recipe)
    with seeded(seed, "fusion"):
        fusion = make_fusion(recipe, backbone.vision_tower.num_layers, backbone.text_tower.num_layers, backbone.joint_size)
    fusion.to(backbone.device, backbone.dtype)
    dgso = Dgso(
        window=recipe.conflict_window,
        is_absorbing=recipe.uses_absorption,
        switch_off=recipe.switch_off,
        max_steps=recipe.max_absorption_steps,
    )
    return TrainingState(host, fusion, make_optimisers(host.parameters(), fusion.parameters(), recipe), dgso)


def warm_up(backbone: Backbone) -> None:
    """Take the gradients of one drawn batch, so that loops are compiled before the first fine-tuning needs them."""
    side, recipe = backbone.preprocessing.side_pixels, FinetuneRecipe()
    tokens_CT = backbone.tokenize(class_prompts(("one", "two"), recipe.prompt_template)).to(backbone.device)
    with torch.no_grad():
        text_CLD = backbone.text_tower.layer_features(tokens_CT)
    views_V3HW = torch.zeros(2, 3, side, side, device=backbone.device, dtype=backbone.dtype)
    prompt = make_absorption_prompt(backbone, recipe.prompt_template, recipe.placeholder)
    data = TrainingData(backbone, views_V3HW, torch.arange(2, device=backbone.device), text_CLD, prompt)
    state = start_state(backbone, recipe, seed=0)
    if not has_fast_form(backbone, state.host):
        return
    dropout = draw_vision_dropout(backbone, state.lora, 2, make_generator(0, "dropout", 0, backbone.device))
    batch = Batch(torch.arange(2, device=backbone.device), dropout, is_absorbing=True)
    train_step(state, recipe, batch, choose_gradients(data, state.host, state.fusion, recipe, num_threads=1))


def batch_of_step(step: int, num_views: int, batch_size: int, permutation: Callable[[int], Tensor]) -> Tensor:
    """Return the view indices of one step's mini-batch.

    Args:
        step: number of finished steps.
        num_views: views of the support set; each pass over them has a permutation of its own.
        batch_size: consecutive entries of it taken at once; the last batch of a pass may be smaller.
        permutation: gives that of a pass, 0 first.
    """
    batches_per_pass = -(-num_views // batch_size)
    pass_index, batch_index = divmod(step, batches_per_pass)
    return permutation(pass_index)[batch_index * batch_size : (batch_index + 1) * batch_size]
