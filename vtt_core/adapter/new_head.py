"""Learn a head anew on the tower of an adapter that is there, for a support set with more classes.

Nothing is fine-tuned, so this takes seconds. What can be measured depends on the vision tower of the adapter:

| vision tower | head | numbers |
| --- | --- | --- |
| unchanged | as with method `frozen` | cross-validated |
| fine-tuned | the adapter's, but `ridge` for one that reads class prompts | none: the tower has seen the old images |

The fine-tuning knew the prompts of the old classes only. A head that reads prompts takes many old images for the new class: on
`mini` and CropDisease (5 images a class, 5 classes and one added, 8 episodes) `sum` was right on 47.5 % of the queries, `ridge`
on 73.5 %, and the head of a new `frozen` job on 71.8 %.

Shapes: C classes, D joint size.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from vtt_core.adapter.adaptation import Adaptation, Adapted
from vtt_core.adapter.classify import read_for
from vtt_core.adapter.files import UNWRITTEN, Adapter
from vtt_core.adapter.measure import Measured, Results, make_metrics
from vtt_core.adapter.stranger_row import stranger_row
from vtt_core.adapter.strip import with_head
from vtt_core.adapter.support_features import SupportFeatures
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.recipe import FinetuneRecipe, Head
from vtt_core.contract.support_set import SupportSet
from vtt_core.heads.bases import LOGIT_SCALE, READS_TEXT, Labelled
from vtt_core.heads.features import features_of
from vtt_core.heads.learn import HEAD_BASES, LearntHead, Splits, learn_head
from vtt_core.labels.prompts import class_prompts


class NewHead:
    """A head on the tower of an adapter; `finish` gives the adapter with it.

    Args:
        backbone: of the adapter.
        base: the adapter.
        support_set: what to learn from. It may have other classes than the adapter.
        limits: the bounds in force.
        num_threads: for decoding.

    Raises:
        BackboneMismatchError: the adapter belongs to another backbone.
        SupportSetError: too few or too many classes or images.
        ImageError: an image cannot be decoded.
        PromptError: a class prompt does not fit the text tower.
    """

    def __init__(
        self,
        backbone: Backbone,
        base: Adapter,
        support_set: SupportSet,
        limits: Limits = DEFAULT_LIMITS,
        num_threads: int | None = None,
    ) -> None:
        base.check_backbone(backbone)
        self.backbone, self.base = backbone, base
        self.added_labels = tuple(label for label in support_set.labels if label not in base.manifest.labels)
        """Classes that the adapter does not have."""
        self._recipe = FinetuneRecipe.from_json(base.manifest.recipe)
        self._frozen = Adaptation(backbone, support_set, self._frozen_recipe, base.manifest.seed, None, limits, num_threads)

    @property
    def support(self) -> SupportFeatures:
        """The images, and what the frozen tower makes of them."""
        return self._frozen.support

    @property
    def is_tower_changed(self) -> bool:
        """Whether the adapter changes the vision tower."""
        return self.base.lora.rank > 0 or self.base.prompts_JPW is not None

    @property
    def kind(self) -> Head:
        """Kind of the new head."""
        if not self.is_tower_changed:
            return self._frozen_recipe.head
        reads_text = any(base in READS_TEXT for base in HEAD_BASES[self._recipe.head])
        return "ridge" if reads_text else self._recipe.head

    @property
    def _frozen_recipe(self) -> FinetuneRecipe:
        return replace(self._recipe, method="frozen", head="sum" if self._recipe.fine_tunes else self._recipe.head)

    def finish(self) -> Adapted:
        """Learn the head, and measure what can be measured."""
        return self._on_changed_tower() if self.is_tower_changed else self._on_frozen_tower()

    def _on_frozen_tower(self) -> Adapted:
        adapted = self._frozen.finish()
        head = adapted.adapter.manifest.head
        assert head is not None
        manifest = replace(adapted.adapter.manifest, head=replace(head, added_labels=self._all_added))
        return replace(adapted, adapter=replace(adapted.adapter, manifest=manifest))

    def _on_changed_tower(self) -> Adapted:
        known = self._read()
        learnt = self._learn(known)
        bare = self._without_head(known)
        adapter = with_head(
            bare,
            learnt,
            strangers=stranger_row(self.backbone, bare, known, self.support.way),
            has_negative=self.support.has_negative,
            added_labels=self._all_added,
        )
        # The frozen tower has seen none of the images: what its head says of the left-out ones is true.
        frozen = Measured.of(self.support, self._frozen.frozen_head, self._frozen.frozen_splits.rounds)
        results = Results(Measured.nothing(self.support), frozen, None, is_tuned=True, unseen_labels=self._all_added)
        metrics = make_metrics(self.support, self._frozen.groups, known, learnt, results, method=self._recipe.method)
        return Adapted(adapter, metrics, None, self.base)

    def _read(self) -> Labelled:
        """Return the images by the adapter's tower, with the frozen class prompts, which the head does not read."""
        with torch.no_grad():
            features = features_of(read_for(self.backbone, self.base, self.support.small))
        return replace(self.support.frozen, features=features)

    def _learn(self, known: Labelled) -> LearntHead:
        """Learn from all images, and hold none out: the tower has seen some of them. Scales of the adapter's head stand."""
        facts = self.base.manifest.head
        scales = {} if facts is None else facts.scales
        return learn_head(
            self.kind,
            known,
            Splits([], lambda fold: known, []),
            trained_text_scale=self._recipe.logit_scale / LOGIT_SCALE,
            num_real=self.support.way,
            known_scales=scales if all(scales.get(base, 0.0) > 0 for base in HEAD_BASES[self.kind]) else None,
        )

    def _without_head(self, known: Labelled) -> Adapter:
        labels = self.support.support_set.labels
        manifest = replace(
            self.base.manifest,
            tensors_sha256=UNWRITTEN,
            labels=labels,
            prompts=class_prompts(labels, self._recipe.prompt_template),
            recipe=replace(self._recipe, head=self.kind).to_json(),
        )
        prototypes_CD = known.prototypes_CD[: len(labels)].to(self.base.prototypes_CD)
        return replace(
            self.base, manifest=manifest, prototypes_CD=prototypes_CD, head=None, class_means_MF=None, strangers=None
        )

    @property
    def _all_added(self) -> tuple[str, ...]:
        """Labels that were added now or before."""
        head = self.base.manifest.head
        before = () if head is None else head.added_labels
        return tuple(label for label in self.support.support_set.labels if label in {*before, *self.added_labels})
