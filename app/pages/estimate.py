"""Say how long a job will take: as long as the last ones of its kind took, or else in words without a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from sqlalchemy.orm import Session

from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow
from vtt_core.contract.recipe import AUTO, FINETUNING_PAYS, FROZEN, FinetuneRecipe

LOOKED_AT = 20
"""Jobs of the backbone among which those of the method are sought."""
COUNTED = 5
"""Jobs whose median is taken."""


@dataclass(frozen=True)
class Estimate:
    """How long a job will take."""

    words: str
    """Key of a text below `start.time`: `as_before`, or what is said without a measurement."""
    seconds: float | None = None
    """Of the last jobs of its kind, scaled; None without any."""


def estimate(session: Session, backbone_id: str, recipe: FinetuneRecipe, num_images: int) -> Estimate:
    """Return how long a job will take.

    Args:
        session: sees only the jobs of the caller's tenant.
        backbone_id: of the job.
        recipe: of the job.
        num_images: of its image set.
    """
    jobs = JobRepository(session).latest_succeeded(backbone_id, LOOKED_AT)
    like_it = [job for job in jobs if job.recipe.get("method") == recipe.method][:COUNTED]
    shots = SupportSetRepository(session).shots({job.support_set_id for job in like_it})
    seconds = [found for job in like_it if (found := _scaled(job, shots, recipe, num_images)) is not None]
    if seconds:
        return Estimate("as_before", median(seconds))
    if recipe.method == FROZEN or (recipe.method == AUTO and FINETUNING_PAYS.get(backbone_id) is False):
        return Estimate("seconds")
    return Estimate("perhaps_minutes" if recipe.method == AUTO else "minutes")


def _scaled(job: JobRow, shots: Mapping[str, Mapping[str, int]], recipe: FinetuneRecipe, num_images: int) -> float | None:
    """Return what the job would have taken with this recipe and so many images; None if its images are gone."""
    if job.started_at is None or job.finished_at is None:
        return None
    seconds = (job.finished_at - job.started_at).total_seconds()
    if job.num_steps:  # a step reads a batch, however many images there are
        return seconds * (recipe.num_steps or job.num_steps) / job.num_steps
    its_images = sum(shots.get(job.support_set_id, {}).values())
    return seconds * num_images / its_images if its_images else None
