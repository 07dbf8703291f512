"""All that a report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from app.reports.data import DataFacts
from app.reports.metrics import Metrics
from vtt_core.contract.manifest import AdapterManifest
from vtt_core.contract.recipe import FinetuneRecipe


@dataclass(frozen=True)
class ReportFacts:
    """A model, what was measured of it, and what it learnt from."""

    manifest: AdapterManifest
    metrics: Metrics
    data: DataFacts | None = None
    missing: tuple[str, ...] = ()
    """Sentences about what is not known, and why."""
    again: tuple[tuple[str, str], ...] = ()
    """How to make the model again: what to do, and the text of the request or command."""
    model_id: str | None = None
    name: str = ""
    created_at: datetime | None = None

    @property
    def title(self) -> str:
        """What to call the model."""
        return self.name or self.model_id or f"model of {len(self.manifest.labels)} classes"

    @cached_property
    def recipe(self) -> FinetuneRecipe:
        """The recipe that was run."""
        return FinetuneRecipe.from_json(self.manifest.recipe)

    @property
    def is_fine_tuned(self) -> bool:
        """Whether towers were fine-tuned for what is served."""
        return self.recipe.fine_tunes if self.metrics.is_fine_tuned is None else self.metrics.is_fine_tuned

    @property
    def is_compared(self) -> bool:
        """Whether fine-tuned and frozen tower were measured in the same folds."""
        return self.metrics.fine_tuned is not None and self.metrics.frozen_head is not None

    @property
    def shots(self) -> tuple[int, ...]:
        """Number of images of each class; empty where it is not known."""
        if self.data is not None:
            return tuple(num_images for _, num_images in self.data.classes)
        return tuple(row.num_images for row in self.metrics.per_class)

    @property
    def num_images(self) -> int | None:
        """Number of labelled images of all classes, without the negative one; None where it is not known."""
        return sum(self.shots) or self.metrics.num_images or None
