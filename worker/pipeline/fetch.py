"""Bring what a job needs into memory: its row and the images of its support set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.jobs import JobRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import SupportImageRow
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet


@dataclass(frozen=True)
class JobSpec:
    """What a job asks for."""

    job_id: str
    tenant_id: str
    name: str
    backbone_id: str
    recipe: FinetuneRecipe
    seed: int
    created_at: datetime
    images: tuple[tuple[str, str, str], ...]
    """(label, file name, blob key) in the order of arrival."""


def read_job_spec(session: Session, job_id: str) -> JobSpec:
    """Return what the job asks for; raises NotFoundError and RecipeError."""
    row = JobRepository(session).get(job_id)
    statement = select(SupportImageRow).where(SupportImageRow.support_set_id == row.support_set_id)
    images = session.scalars(statement.order_by(SupportImageRow.position, SupportImageRow.id))
    return JobSpec(
        job_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        backbone_id=row.backbone_id,
        recipe=FinetuneRecipe.from_json(row.recipe),
        seed=row.seed,
        created_at=row.created_at,
        images=tuple((image.label, image.file_name, image.blob_key) for image in images),
    )


def fetch_support_set(spec: JobSpec, store: ObjectStore) -> SupportSet:
    """Return the images, classes and images in the order of their arrival; raises BlobMissingError."""
    blobs = store.get_many(blob_key for _, _, blob_key in spec.images)
    by_label: dict[str, list[SupportImage]] = {}
    for label, file_name, blob_key in spec.images:
        by_label.setdefault(label, []).append(SupportImage(file_name, blobs[blob_key]))
    return SupportSet(tuple(SupportClass(label, tuple(images)) for label, images in by_label.items()))
