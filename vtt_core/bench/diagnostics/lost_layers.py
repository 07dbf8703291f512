"""Find lost layers: text layers without which few-shot accuracy is better, before and after fine-tuning.

STEP 1 edit      text towers with one block removed or emphasised; each encodes every class prompt once
STEP 2 features  of the query images, by the frozen vision tower and with the LoRA of each fine-tuning
STEP 3 classify  the same features against each edit's prototypes: one product for each episode
STEP 4 compare   accuracy of each edit minus that of the full tower, paired over the episodes

Shapes: E edits, I images of the data set, C its classes, N way of an episode, Q its queries, P episodes, L text layers,
    D joint size.
Source: Zhang et al. 2026, arXiv:2603.05235, "lost layers"; METHOD.md, "Diagnostics".
Differs: the authors released no code for it. Here removing a block skips it (x <- x), and emphasising it is
    x <- x + w (block(x) - x) with w > 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.adapter.classify import image_features
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.episode_log import EpisodeLog
from vtt_core.bench.episodes.methods import EpisodeMethod, Prediction, finetune_all
from vtt_core.bench.episodes.runner import Benchmark
from vtt_core.contract.errors import InputError
from vtt_core.contract.interval import mean_half_width
from vtt_core.contract.method_spec import MethodSpec
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.finetune import Finetune
from vtt_core.training.losses import class_logits

Kind = Literal["full", "removed", "emphasised"]
BEFORE = MethodSpec("before", "zero-shot", None)
"""The frozen vision tower."""
ACCURACIES = "accuracies"
"""Fact of an episode's line: the accuracy with every edit, the full tower first."""
_TEMPLATE = FinetuneRecipe().prompt_template


@dataclass(frozen=True)
class Edit:
    """A text tower with at most one changed block."""

    kind: Kind
    layer: int
    """Number of the changed block, from 1; 0 for the full tower."""
    block_weights: tuple[float, ...]
    """Factor on what each block adds."""


def make_edits(num_layers: int, weight: float) -> list[Edit]:
    """Return the full tower, then each block removed, then each block emphasised.

    Args:
        num_layers: blocks of the text tower.
        weight: of an emphasised block, above 1.

    Raises:
        InputError: the weight is not finite and above 1.
    """
    if not (isfinite(weight) and weight > 1):
        raise InputError(expected="a finite weight above 1", got=repr(weight), remedy="Choose one such as 1.5")

    def edit(kind: Kind, layer: int, changed: float) -> Edit:
        return Edit(kind, layer, tuple(changed if number == layer else 1.0 for number in range(1, num_layers + 1)))

    layers = range(1, num_layers + 1)
    removed, emphasised = (
        [edit("removed", layer, 0.0) for layer in layers],
        [edit("emphasised", layer, weight) for layer in layers],
    )
    return [edit("full", 0, 1.0), *removed, *emphasised]


def edited_prototypes(backbone: Backbone, labels: Sequence[str], template: str, edits: Sequence[Edit]) -> Tensor:
    """Return prototypes_ECD: the unit text feature of every class with each edit.

    Args:
        backbone: frozen.
        labels: class labels.
        template: class prompt with `{}` for the label.
        edits: of its text tower.
    """
    tower = backbone.text_tower
    tokens_CT = tokenize_classes(backbone.tokenize, labels, template).to(backbone.device)
    with torch.inference_mode():
        text_ECD = torch.stack([tower.layer_features(tokens_CT, block_weights=edit.block_weights)[:, -1] for edit in edits])
        return functional.normalize(text_ECD, dim=-1)


@dataclass(frozen=True)
class LostLayers(Benchmark):
    """A benchmark whose methods classify with every edited text tower. An episode's line has all accuracies as a fact."""

    weight: float
    """Of an emphasised layer."""

    def __post_init__(self) -> None:
        """Refuse fine-tunings that change the text tower or the class prompts.

        Raises:
            InputError: a method does.
        """
        for spec in self.specs:
            if spec.recipe is not None and (spec.recipe.host, spec.recipe.prompt_template) != ("clip-lora", _TEMPLATE):
                raise InputError(
                    expected=f"clip-lora or clip-lora+vtt with the class prompt {_TEMPLATE!r}, which the edited tower reads",
                    got=repr(spec.text),
                    remedy="Leave it out",
                )

    @cached_property
    def edits(self) -> list[Edit]:
        """Of the text tower.

        Raises:
            InputError: the weight is not finite and above 1.
        """
        return make_edits(self.bank.backbone.text_tower.num_layers, self.weight)

    @cached_property
    def prototypes_ECD(self) -> Tensor:
        """Unit text feature of every class of the data set with each edit.

        Raises:
            PromptError: a class prompt does not fit the text tower.
        """
        return edited_prototypes(self.bank.backbone, self.bank.labels, _TEMPLATE, self.edits)

    @cached_property
    def conditions(self) -> dict[str, Any]:
        """Everything that the numbers depend on besides method and episode, as JSON values."""
        return super().conditions | {"emphasised_by": self.weight}

    def make_method(self, spec: MethodSpec) -> EpisodeMethod:
        """Return the runner of a method: with the frozen vision tower, or with a fine-tuned one."""
        return EditedTextMethod(self.prototypes_ECD, spec.recipe, self.num_threads)

    def accuracies(self, log: EpisodeLog) -> dict[str, list[list[float]]]:
        """Return the accuracy with every edit, for each method and each episode in the log."""
        numbers = range(self.protocol.num_episodes)
        return {spec.text: [line.facts[ACCURACIES] for line in log.of(self.key(spec), numbers)] for spec in self.specs}

    def over_images(self) -> list[list[float]]:
        """Return for each image whether each edit classifies it correctly, as 1 or 0, among all classes and before fine-tuning.

        Episodes reuse the same images, so their interval may be too narrow. Here each image counts once.

        Raises:
            ImageError: an image cannot be decoded. Its name is in the message.
        """
        features_ID = self.bank.features(range(len(self.bank.images)))
        labels_I = torch.tensor(self.bank.class_I, device=features_ID.device)
        correct_EI = [_correct(_predicted(prototypes_CD, features_ID), labels_I) for prototypes_CD in self.prototypes_ECD]
        accuracies_IE: list[list[float]] = torch.stack(correct_EI, dim=1).tolist()
        return accuracies_IE


class EditedTextMethod(EpisodeMethod):
    """Classifies the same query features with every edited text tower."""

    def __init__(self, prototypes_ECD: Tensor, recipe: FinetuneRecipe | None, num_threads: int) -> None:
        """Remember what to run.

        Args:
            prototypes_ECD: of all classes of the data set, the full tower's first.
            recipe: for fine-tuning the vision tower on every episode; None to leave it frozen.
            num_threads: cores for fine-tuning.
        """
        self._prototypes_ECD, self._recipe, self._num_threads = prototypes_ECD, recipe, num_threads

    def predict(self, episodes: Sequence[EpisodeImages]) -> list[Prediction]:
        """Return the full tower's predictions, and the accuracy with every edit."""
        if self._recipe is None:
            return [self._prediction(images, images.bank.features(images.query), {}) for images in episodes]
        finished = finetune_all(episodes, self._recipe, self._num_threads)
        return [
            self._prediction(images, _features(images, finetune), facts)
            for images, (finetune, facts) in zip(episodes, finished, strict=True)
        ]

    def _prediction(self, images: EpisodeImages, features_QD: Tensor, facts: Mapping[str, Any]) -> Prediction:
        prototypes_END = self._prototypes_ECD[:, list(images.episode.classes)]
        predicted_EQ = [_predicted(prototypes_ND, features_QD).cpu() for prototypes_ND in prototypes_END]
        labels_Q = images.episode.query_labels_Q
        accuracies_E = [float(_correct(predicted_Q, labels_Q).mean()) for predicted_Q in predicted_EQ]
        return Prediction(predicted_EQ[0], {**facts, ACCURACIES: accuracies_E})


def _features(images: EpisodeImages, finetune: Finetune) -> Tensor:
    return image_features(images.bank.backbone, images.bank.decoded(images.query), finetune.state.lora)


def _predicted(prototypes_ND: Tensor, features_QD: Tensor) -> Tensor:
    return class_logits(features_QD, prototypes_ND, 1.0).argmax(dim=-1)


def _correct(predicted_Q: Tensor, labels_Q: Tensor) -> Tensor:
    return (predicted_Q == labels_Q).double()


def summarise(edits: Sequence[Edit], accuracies_PE: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return the accuracy of the full tower, the gain of every edit and the best layer, as JSON values.

    A gain is the mean over the episodes (or images) of an edit's accuracy minus the full tower's. The best of L layers is
    chosen after measuring, so there is a second, wider interval that holds for all L layers together.

    Args:
        edits: the full tower first.
        accuracies_PE: accuracy with every edit, for at least 2 episodes (or images).
    """
    num_layers, full_P = len(edits[0].block_weights), [accuracy_E[0] for accuracy_E in accuracies_PE]
    summary: dict[str, Any] = {"full": {"accuracy": _mean(full_P), "ci95": mean_half_width(full_P)}}
    kinds: dict[Kind, list[dict[str, Any]]] = {"removed": [], "emphasised": []}
    for index, edit in enumerate(edits[1:], start=1):
        edited_P = [accuracy_E[index] for accuracy_E in accuracies_PE]
        gain_P = [edited - full for edited, full in zip(edited_P, full_P, strict=True)]
        row = {"layer": edit.layer, "accuracy": _mean(edited_P), "gain": _mean(gain_P), "ci95": mean_half_width(gain_P)}
        kinds[edit.kind].append(row | {"ci95_of_all_layers": mean_half_width(gain_P, num_layers)})
    for kind, rows in kinds.items():
        summary |= {kind: rows, f"best_{kind}": _best(rows)}
    return summary


def _best(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    best = max(rows, key=lambda row: row["gain"])
    is_above_zero = best["gain"] > best["ci95"]
    return {**best, "is_above_zero": is_above_zero, "is_above_zero_of_all_layers": best["gain"] > best["ci95_of_all_layers"]}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
