"""Carry a recipe out, from a support set to an adapter and its numbers.

STEP 1 read       images by the frozen tower; a head on it, and its held-out numbers, in a second
STEP 2 validate   fine-tunings on parts of the support set, for numbers on the images that each has not seen
STEP 3 fine-tune  on all images
STEP 4 learn      the head on the tower that is served
STEP 5 measure    held-out accuracy beside zero-shot and the linear probe

Method `frozen` needs no step 2 and 3. Method `auto` asks first whether they pay.

The whole can be stopped between any two optimiser steps and gives the same adapter when it goes on.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vtt_core.adapter.files import Adapter
from vtt_core.adapter.measure import Measured, Results, make_metrics
from vtt_core.adapter.stranger_row import stranger_row
from vtt_core.adapter.strip import frozen_adapter, strip, with_head
from vtt_core.adapter.support_features import SupportFeatures, read_support
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import AUTO, AUTO_FINETUNING, FINETUNING_PAYS, FinetuneRecipe, Head
from vtt_core.contract.support_set import SupportSet, check_shape
from vtt_core.heads.bases import LOGIT_SCALE, Labelled
from vtt_core.heads.duplicates import joined_groups
from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.folds import Fold, make_folds
from vtt_core.heads.learn import LearntHead, Splits, frozen_splits, learn_head
from vtt_core.training.finetune import Finetune
from vtt_core.training.seeding import derived_seed

FINETUNE_TENSOR = "finetune"
"""Name of the tensor of a checkpoint that holds the checkpoint of the fine-tuning on all images."""
INTERIM_ADVICE = (
    "This is an interim model: a classifier on the unchanged backbone, for the time of the fine-tuning. "
    "The model of the fine-tuning replaces it."
)
_FEATURES = ("levels_BF", "joint_BD", "pooled_BW")
_OF_ANY_HEAD = ("groups", "frozen_splits", "folds", "finetune")
"""What a run computes once and another head may read as well."""


@dataclass(frozen=True)
class Adapted:
    """The result."""

    adapter: Adapter
    metrics: dict[str, Any]
    finetune: Finetune | None
    """What the adapter was stripped of; None where nothing was fine-tuned."""
    base: Adapter | None = None
    """The adapter whose tower the head was learnt on, where that was there before."""


def learn_tuned_head(
    recipe: FinetuneRecipe, known: Labelled, way: int, folds: Sequence[Fold] = (), validated: Sequence[Labelled] = ()
) -> LearntHead:
    """Learn the recipe's head on a fine-tuned tower.

    Args:
        recipe: of the fine-tuning.
        known: the support images by the tower that will be served.
        way: number of classes that are no negative class.
        folds: that were held out from a fine-tuning each; none without a validation.
        validated: of each fold: the support images by the tower that was trained without it.
    """
    by_fold = {id(fold): labelled for fold, labelled in zip(folds, validated, strict=True)}
    splits = Splits([folds] if folds else [], lambda fold: by_fold[id(fold)], folds)
    return learn_head(recipe.head, known, splits, trained_text_scale=recipe.logit_scale / LOGIT_SCALE, num_real=way)


class Adaptation:
    """One run of a recipe; `steps` runs it, `checkpoint` can be taken between any two steps, `finish` gives the adapter."""

    def __init__(
        self,
        backbone: Backbone,
        support_set: SupportSet,
        recipe: FinetuneRecipe,
        seed: int,
        checkpoint: bytes | None = None,
        limits: Limits = DEFAULT_LIMITS,
        num_threads: int | None = None,
        *,
        support: SupportFeatures | None = None,
    ) -> None:
        """Read the support set, unless `support` has it already; other arguments and errors are those of `Finetune`."""
        check_shape([(known.label, known.shot) for known in support_set.classes], limits)
        self.backbone, self.recipe, self.seed = backbone, recipe, seed
        self._limits, self._num_threads = limits, num_threads
        self.support = support or read_support(backbone, support_set, recipe, limits, num_threads)
        self._validated: list[Labelled] = []
        """Of each fold that is done: all images by the tower that was trained without the fold's held-out ones."""
        finetune_checkpoint = self._read_checkpoint(checkpoint) if checkpoint is not None else None
        self._finetune_checkpoint = finetune_checkpoint
        if finetune_checkpoint is not None:
            _ = self.finetune  # a checkpoint of something else is refused now, not at the first step

    @cached_property
    def groups(self) -> list[int]:
        """Number of each image's group: what its user says, or copies of one photo. A group is held out as a whole."""
        return joined_groups([image.group for image in self.support.images], self.support.duplicates)

    @cached_property
    def frozen_splits(self) -> Splits:
        """How the frozen tower's head is held out."""
        return frozen_splits(self.support.frozen, self.groups, self.seed)

    @property
    def frozen_kind(self) -> Head:
        """Kind of the head on the frozen tower; beside a fine-tuning, what `frozen` would have."""
        return "sum" if self.recipe.fine_tunes else self.recipe.head

    @cached_property
    def frozen_head(self) -> LearntHead:
        """The head on the frozen tower."""
        return learn_head(
            self.frozen_kind, self.support.frozen, self.frozen_splits, trained_text_scale=None, num_real=self.support.way
        )

    @cached_property
    def folds(self) -> list[Fold]:
        """Of the validation; a negative class, which no fine-tuning sees, is split too, for its row of the head."""
        if not self._may_fine_tune or not self.recipe.validation_folds:
            return []
        return make_folds(
            self.support.frozen.labels_S.tolist(),
            self.groups,
            self.recipe.validation_folds,
            derived_seed(self.seed, "folds", 0),
        )

    @cached_property
    def finetune(self) -> Finetune:
        """The fine-tuning on all images."""
        return Finetune(
            self.backbone,
            SupportSet(self.support.support_set.classes),
            self._finetune_recipe,
            self.seed,
            self._finetune_checkpoint,
            self._limits,
            self._num_threads,
        )

    @cached_property
    def _finetune_recipe(self) -> FinetuneRecipe:
        return replace(self.recipe, method=AUTO_FINETUNING) if self.recipe.method == AUTO else self.recipe

    @cached_property
    def _may_fine_tune(self) -> bool:
        """Whether a fine-tuning is wanted, or to be tried."""
        if self.recipe.method != AUTO:
            return self.recipe.fine_tunes
        return FINETUNING_PAYS.get(self.backbone.backbone_id) is not False and bool(self.frozen_splits.rounds)

    @cached_property
    def _fine_tunes(self) -> bool:
        """Whether the fine-tuning on all images is wanted; of `auto`, known after the validation."""
        if self.recipe.method != AUTO or not self._may_fine_tune:
            return self._may_fine_tune
        return self._measured_tuned is not None and self._measured_tuned.is_better_than(self._frozen_on_validation_folds)

    @property
    def num_steps(self) -> int:
        """Optimiser steps in all, those that `auto` may leave out included."""
        if not self._may_fine_tune:
            return 0
        return len(self.folds) * self.recipe.validation_iterations + self.recipe.iterations

    @property
    def step(self) -> int:
        """Number of finished steps."""
        if not self._may_fine_tune:
            return 0
        return len(self._validated) * self.recipe.validation_iterations + self.finetune.step

    def steps(self) -> Iterator[StepReport]:
        """Run what is left, giving a report after each optimiser step."""
        per_fold = self.recipe.validation_iterations
        for number in range(len(self._validated), len(self.folds)):
            tuning = self._fold_finetune(number)
            for report in tuning.steps():
                yield replace(report, step=number * per_fold + report.step, num_steps=self.num_steps, phase="validation")
            self._validated.append(self.support.by(self.backbone, tuning))
        if self._fine_tunes:
            before = len(self.folds) * per_fold
            for report in self.finetune.steps():
                yield replace(report, step=before + report.step, num_steps=self.num_steps)

    def _fold_finetune(self, number: int) -> Finetune:
        recipe = replace(self._finetune_recipe, iterations=self.recipe.validation_iterations)
        seed = derived_seed(self.seed, "validation", number)
        training_set = self.support.without(self.folds[number])
        return Finetune(self.backbone, training_set, recipe, seed, limits=self._limits, num_threads=self._num_threads)

    def interim(self) -> Adapted | None:
        """Return what can be served before the first step: the head on the frozen tower; None where no step may follow."""
        if not self._may_fine_tune:
            return None
        results = Results(served=self._measured_frozen, frozen=self._measured_frozen, tuned=None, is_tuned=False)
        known, learnt = self.support.frozen, self.frozen_head
        metrics = make_metrics(self.support, self.groups, known, learnt, results, method=self.recipe.method)
        return Adapted(self._frozen_adapter(), metrics | {"advice": [INTERIM_ADVICE, *metrics["advice"]]}, None)

    def _frozen_adapter(self) -> Adapter:
        recipe = replace(self.recipe, method="frozen", head=self.frozen_kind)
        adapter = frozen_adapter(self.backbone, self.support.support_set.labels, recipe, self.seed)
        return self._with_head(adapter, self.support.frozen, self.frozen_head)

    def _with_head(self, adapter: Adapter, known: Labelled, learnt: LearntHead) -> Adapter:
        row = stranger_row(self.backbone, adapter, known, self.support.way)
        return with_head(adapter, learnt, strangers=row, has_negative=self.support.has_negative)

    def finish(self) -> Adapted:
        """Learn the head of the finished run, and measure it."""
        if self._fine_tunes:
            known, learnt = self._tuned_known, self._tuned_head
            adapter = strip(self.finetune)
            adapter = replace(adapter, manifest=replace(adapter.manifest, recipe=self._finetune_recipe.to_json()))
            adapter = self._with_head(adapter, known, learnt)
        else:
            adapter, known, learnt = self._frozen_adapter(), self.support.frozen, self.frozen_head
        metrics = make_metrics(
            self.support,
            self.groups,
            known,
            learnt,
            Results(
                served=(self._measured_tuned or Measured.nothing(self.support)) if self._fine_tunes else self._measured_frozen,
                frozen=self._frozen_on_validation_folds if self.folds else self._measured_frozen,
                tuned=self._measured_tuned,
                is_tuned=self._fine_tunes,
            ),
            method=self.recipe.method,
        )
        return Adapted(adapter, metrics, self.finetune if self._fine_tunes else None)

    @cached_property
    def _tuned_known(self) -> Labelled:
        """The support images by the tower that was fine-tuned on all of them."""
        return self.support.by(self.backbone, self.finetune)

    @cached_property
    def _tuned_head(self) -> LearntHead:
        return self._learn_tuned(self._tuned_known)

    def _learn_tuned(self, known: Labelled) -> LearntHead:
        return learn_tuned_head(self._finetune_recipe, known, self.support.way, self.folds, self._validated)

    def with_other_head(self, head: Head) -> Adaptation:
        """Return the same run with another head: nothing that this one has trained so far is trained again."""
        other = copy.copy(self)
        other.recipe = replace(self.recipe, head=head)
        for name in [*other.__dict__]:
            if isinstance(getattr(Adaptation, name, None), cached_property) and name not in _OF_ANY_HEAD:
                del other.__dict__[name]
        return other

    @cached_property
    def _measured_frozen(self) -> Measured:
        return Measured.of(self.support, self.frozen_head, self.frozen_splits.rounds)

    @cached_property
    def _frozen_on_validation_folds(self) -> Measured:
        """What the frozen tower's head says where it has learnt from as few images as the fine-tunings of the validation."""
        known = self.support.frozen
        splits = Splits([self.folds], lambda fold: known, self.folds)
        head = learn_head(self.frozen_kind, known, splits, trained_text_scale=None, num_real=self.support.way)
        return Measured.of(self.support, head, splits.rounds)

    @cached_property
    def _measured_tuned(self) -> Measured | None:
        """What the validation says; it needs no fine-tuning on all images, whose features no held-out number reads."""
        if not self.folds:
            return None
        return Measured.of(self.support, self._learn_tuned(self._validated[0]), [self.folds])

    def checkpoint(self) -> bytes:
        """Return the state between two steps as a safetensors file."""
        encoded = bytearray(self.finetune.checkpoint())
        tensors: dict[str, Tensor] = {FINETUNE_TENSOR: torch.frombuffer(encoded, dtype=torch.uint8)}
        for number, known in enumerate(self._validated):
            tensors |= {f"fold{number}.{name}": getattr(known.features, name) for name in _FEATURES}
            tensors[f"fold{number}.prototypes_CD"] = known.prototypes_CD
        return save({name: tensor.contiguous() for name, tensor in tensors.items()})

    def _read_checkpoint(self, encoded: bytes) -> bytes:
        """Take the folds that are done, and return the checkpoint of the fine-tuning."""
        try:
            tensors = load(encoded)
            inner = tensors.pop(FINETUNE_TENSOR)
            if not self._may_fine_tune:
                raise KeyError("a fine-tuning")
            labels_S = self.support.frozen.labels_S
            for number in range(len({name.partition(".")[0] for name in tensors})):
                parts = [tensors[f"fold{number}.{name}"] for name in _FEATURES]
                prototypes_CD = tensors[f"fold{number}.prototypes_CD"]
                if any(len(part) != len(labels_S) for part in parts):
                    raise KeyError("features of all images")
                self._validated.append(Labelled(ImageFeatures(*parts), labels_S, prototypes_CD))
        except (SafetensorError, KeyError) as error:
            self._validated.clear()
            raise CheckpointMismatchError(
                expected="a checkpoint of this run",
                got=f"{type(error).__name__}: {str(error)[:200]}",
                remedy="Start again without the checkpoint",
            ) from error
        return bytes(inner.tolist())
