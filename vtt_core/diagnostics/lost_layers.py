"""Find lost layers: text layers that few-shot accuracy would be better without, before and after a fine-tuning.

STEP 1 edit      a text tower with one block removed or emphasised; every class prompt read by each of them, once
STEP 2 features  of the query images, by the frozen vision tower and by the LoRA of each fine-tuning on the support set
STEP 3 classify  the same features against each edit's prototypes: one product an episode
STEP 4 compare   accuracy of each edit minus that of the full tower, paired over the episodes

Shapes: E edits, I images of the data set, C its classes, N way of an episode, Q its queries, P episodes, L text layers,
    D joint size.
Source: Zhang et al. 2026, arXiv:2603.05235, "lost layers"; METHOD.md, "Diagnostics".
Differs: no code of it was released. Here a removed block is skipped (x <- x), and emphasising is
    x <- x + w (block(x) - x) with w > 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import Backbone
from vtt_core.benchmark.episode_images import EpisodeImages
from vtt_core.benchmark.episodes import Episode, Protocol, draw_episodes, in_parts
from vtt_core.benchmark.image_bank import ImageBank
from vtt_core.classify import CHUNK_IMAGES, image_features
from vtt_core.contract.errors import InputError
from vtt_core.contract.interval import mean_half_width
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.finetune import Finetune
from vtt_core.losses import class_logits
from vtt_core.prompts import class_prompts
from vtt_core.train_all import train_all

Kind = Literal["full", "removed", "emphasised"]
BEFORE = "before"
"""State without any fine-tuning; the others are called by their method."""


@dataclass(frozen=True)
class Edit:
    """A text tower of which at most one block is changed."""

    kind: Kind
    layer: int
    """Of the changed block, 1 first; 0 for the full tower."""
    block_weights: tuple[float, ...]
    """Factor on what each block adds."""


def make_edits(num_layers: int, weight: float) -> list[Edit]:
    """Return the full tower, then each block removed, then each emphasised.

    Args:
        num_layers: blocks of the text tower.
        weight: of an emphasised block, above 1.

    Raises:
        InputError: the weight is no emphasis.
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
    """Return prototypes_ECD: the unit text feature of every class by each edited text tower.

    Args:
        backbone: frozen.
        labels: class labels.
        template: class prompt with `{}` for the label.
        edits: of its text tower.
    """
    tower = backbone.text_tower
    tokens_CT = backbone.tokenize(class_prompts(labels, template)).to(backbone.device)
    with torch.inference_mode():
        text_ECD = torch.stack([tower.layer_features(tokens_CT, block_weights=edit.block_weights)[:, -1] for edit in edits])
        return functional.normalize(text_ECD, dim=-1)


class LostLayers:
    """Measures accuracy against the edited text layer on the episodes of a data set."""

    def __init__(
        self,
        bank: ImageBank,
        protocol: Protocol,
        edits: Sequence[Edit],
        recipes: Sequence[FinetuneRecipe] = (),
        num_threads: int | None = None,
    ) -> None:
        """Read the class prompts with every edited text tower and, once, all images with the frozen vision tower.

        Args:
            bank: all images of a data set, with the frozen backbone.
            protocol: what episodes to draw.
            edits: of the text tower, the full one first.
            recipes: fine-tunings of the vision tower to compare with the frozen one; each a method of its own.
            num_threads: cores to fine-tune with.

        Raises:
            ImageError: an image cannot be decoded; it is named.
            PromptError: a class prompt does not fit the text tower.
        """
        self.bank, self.protocol = bank, protocol
        self.recipes, self._num_threads = recipes, num_threads
        template = FinetuneRecipe().prompt_template
        assert all(recipe.host == "clip-lora" and recipe.prompt_template == template for recipe in recipes)
        self.prototypes_ECD = edited_prototypes(bank.backbone, bank.labels, template, edits)
        self._frozen_ID = bank.features(range(len(bank.images)))

    def run(self, together: int = 1) -> Iterator[dict[str, list[float]]]:
        """Give for each episode and state the accuracy of every edit.

        Args:
            together: episodes that are fine-tuned at once, which a GPU is faster for.

        Raises:
            SupportSetError: too few classes have enough images.
        """
        bank, seed = self.bank, self.protocol.seed
        drawn = enumerate(draw_episodes(bank.class_I, self.protocol, bank.group_I))
        for part in in_parts((EpisodeImages(bank, episode, number, seed) for number, episode in drawn), together):
            finetuned = {recipe.method: self._finetuned(part, recipe) for recipe in self.recipes}
            for index, images in enumerate(part):
                of_states = {BEFORE: self._frozen_ID[images.query]}
                of_states |= {method: features[index] for method, features in finetuned.items()}
                yield {state: self._accuracies(images.episode, features_QD) for state, features_QD in of_states.items()}

    def over_images(self) -> list[dict[str, list[float]]]:
        """Return for each image whether every edit puts it into its class among all, as 1 or 0, before any fine-tuning.

        Episodes draw the same images again and again; an interval over these, each of which counts once, is not too narrow.
        """
        labels_I = torch.tensor(self.bank.class_I, device=self._frozen_ID.device)
        correct_EI = [_correct(prototypes_CD, self._frozen_ID, labels_I).tolist() for prototypes_CD in self.prototypes_ECD]
        return [{BEFORE: list(correct_E)} for correct_E in zip(*correct_EI, strict=True)]

    def _finetuned(self, part: Sequence[EpisodeImages], recipe: FinetuneRecipe) -> list[Tensor]:
        """Return features_QD of the queries of each episode after a fine-tuning on its support set."""
        bank, num_threads = self.bank, self._num_threads
        finetunes = [
            Finetune(bank.backbone, images.support_set(), recipe, images.seed, limits=bank.limits, num_threads=num_threads)
            for images in part
        ]
        for _ in train_all(finetunes, num_threads or torch.get_num_threads()):
            pass
        return [self._features(images, finetune) for images, finetune in zip(part, finetunes, strict=True)]

    def _features(self, images: EpisodeImages, finetune: Finetune) -> Tensor:
        chunks = [images.query[start : start + CHUNK_IMAGES] for start in range(0, len(images.query), CHUNK_IMAGES)]
        lora = finetune.state.lora
        return torch.cat([image_features(self.bank.backbone, self.bank.decoded(chunk), lora) for chunk in chunks])

    def _accuracies(self, episode: Episode, features_QD: Tensor) -> list[float]:
        prototypes_END = self.prototypes_ECD[:, list(episode.classes)]
        labels_Q = episode.query_labels_Q.to(features_QD.device)
        return [float(_correct(prototypes_ND, features_QD, labels_Q).mean()) for prototypes_ND in prototypes_END]


def _correct(prototypes_ND: Tensor, features_QD: Tensor, labels_Q: Tensor) -> Tensor:
    return (class_logits(features_QD, prototypes_ND, 1.0).argmax(dim=-1) == labels_Q).double()


def summarise(edits: Sequence[Edit], accuracies: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Any]:
    """Return for each state the accuracy of the full tower, the gain of every edit and the best layer, as JSON values.

    A gain is the mean over the episodes (or images) of an edit's accuracy minus the full tower's. Since the best of L layers
    is chosen after looking, it has a second, wider interval that holds for all L together.

    Args:
        edits: the full tower first.
        accuracies: what `LostLayers.run` or `over_images` gave, at least 2.
    """
    return {state: _summarise_state(edits, [episode[state] for episode in accuracies]) for state in accuracies[0]}


def _summarise_state(edits: Sequence[Edit], accuracies_PE: Sequence[Sequence[float]]) -> dict[str, Any]:
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
