"""What the page of an image set shows: its classes with their prompts, and what is in the way of a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.dependencies import AppContext
from app.domain.access import Scope
from app.domain.jobs import JobState
from app.infra.job_repository import JobRepository
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets import service
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.labels.advice import Advice, advise

PROMPT_START, PROMPT_END = FinetuneRecipe().prompt_template.split("{}")
"""What the service reads before and after the name of a class."""


@dataclass(frozen=True)
class ClassView:
    """A class as the page shows it."""

    label: str
    images: tuple[SupportImageRow, ...]
    is_negative: bool
    advice: Advice | None
    """A better name, where there is one."""


@dataclass(frozen=True)
class SetView:
    """An image set as its page shows it."""

    row: SupportSetRow
    classes: tuple[ClassView, ...]
    """In the order that models follow, then those without an image; the negative one is the last."""
    obstacles: tuple[str, ...]
    """Why nothing can be learnt from it yet: keys of texts below `set.obstacles`."""

    @property
    def title(self) -> str:
        """What the set is called."""
        return title_of(self.row.name, [one.label for one in self.classes])

    @property
    def num_images(self) -> int:
        """Number of images of all classes."""
        return sum(len(one.images) for one in self.classes)

    @property
    def is_frozen(self) -> bool:
        """Whether a job has used it, so that it can no longer change."""
        return self.row.frozen_at is not None

    @property
    def way(self) -> int:
        """Number of classes that a model learns."""
        return sum(1 for one in self.classes if one.images and not one.is_negative)

    @property
    def empty_labels(self) -> tuple[str, ...]:
        """Classes that still need an image."""
        return tuple(one.label for one in self.classes if not one.images)

    @property
    def fewest(self) -> int:
        """Images of the smallest class that a model learns."""
        return min((len(one.images) for one in self.classes if one.images and not one.is_negative), default=0)

    @property
    def most(self) -> int:
        """Images of the largest class that a model learns."""
        return max((len(one.images) for one in self.classes if not one.is_negative), default=0)


@dataclass(frozen=True)
class SetLine:
    """An image set in a list."""

    view: service.SupportSetView
    images: tuple[SupportImageRow, ...]
    """The first image of its first classes."""
    use: str
    """What jobs have done with it: a key of a text below `sets.uses`, or empty."""

    @property
    def title(self) -> str:
        """What the set is called."""
        return title_of(self.view.row.name, list(self.view.shots))

    @property
    def num_images(self) -> int:
        """Number of images of all classes."""
        return sum(self.view.shots.values())


def read_set(context: AppContext, support_set_id: str) -> SetView:
    """Return an image set.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
    """
    with context.readers() as session:
        view, rows = service.view(session, support_set_id)
    labels = [*view.shots, *(label for label in view.row.empty_labels if label not in view.shots)]
    negative = view.row.negative_label
    labels.sort(key=lambda label: label == negative)
    advice = {one.label: one for one in advise([label for label in labels if label != negative])}
    classes = tuple(
        ClassView(
            label=label,
            images=tuple(row for row in rows if row.label == label),
            is_negative=label == negative,
            advice=advice.get(label),
        )
        for label in labels
    )
    return SetView(view.row, classes, _obstacles(view, context.settings.limits))


def list_sets(context: AppContext, cursor: str | None, limit: int, num_images: int = 4) -> tuple[list[SetLine], str | None]:
    """Return a page of image sets, newest first, and the cursor of the next one."""
    with context.readers() as session:
        views, next_cursor = service.list_views(session, cursor, limit)
        first = service.first_images(session, [view.row.id for view in views], num_images)
        states = JobRepository(session).states_by_set(view.row.id for view in views)
    uses = {set_id: _use_of(found) for set_id, found in states.items()}
    return [SetLine(view, first.get(view.row.id, ()), uses.get(view.row.id, "")) for view in views], next_cursor


def title_of(name: str, labels: Sequence[str]) -> str:
    """Return what an image set is called: its name, else its first classes; empty if it has neither."""
    return name or ", ".join(labels[:3])


def may_train(context: AppContext) -> bool:
    """Return whether the caller may have image sets."""
    return Scope.TRAIN in context.caller.scopes


def _use_of(states: set[JobState]) -> str:
    if any(not state.is_final for state in states):
        return "now"
    return "learnt" if JobState.SUCCEEDED in states else ""


def _obstacles(view: service.SupportSetView, limits: Limits) -> tuple[str, ...]:
    found = []
    if view.row.empty_labels:
        found.append("empty")
    if len(view.classes) < limits.min_way:
        found.append("few_classes")
    return tuple(found)
