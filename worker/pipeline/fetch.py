"""Read what a job needs: its row and the images of its support set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import SupportImageRow, SupportSetRow
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet


@dataclass(frozen=True)
class ImageSpec:
    """One image of the support set, and where its bytes are."""

    label: str
    file_name: str
    blob_key: str
    group: str | None


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
    images: tuple[ImageSpec, ...]
    """In the order of upload, those of the negative class among them."""
    negative_label: str | None
    """Label of the negative class, if there is one."""
    base_adapter_key: str | None = None
    """Of the model whose tower is taken as it is; None where the job starts anew."""


def read_job_spec(session: Session, job_id: str) -> JobSpec:
    """Return what the job asks for; raises NotFoundError, RecipeError, and GoneError where its base model was deleted."""
    row = JobRepository(session).get(job_id)
    base = None if row.base_model_id is None else ModelRepository(session).get(row.base_model_id)
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
        images=tuple(ImageSpec(image.label, image.file_name, image.blob_key, image.group_name) for image in images),
        negative_label=session.scalar(select(SupportSetRow.negative_label).where(SupportSetRow.id == row.support_set_id)),
        base_adapter_key=None if base is None else base.adapter_key,
    )


def fetch_support_set(spec: JobSpec, store: ObjectStore) -> SupportSet:
    """Return the support set, its classes and images in the order of their upload; raises BlobMissingError."""
    blobs = store.get_many(image.blob_key for image in spec.images)
    by_label: dict[str, list[SupportImage]] = {}
    for image in spec.images:
        by_label.setdefault(image.label, []).append(SupportImage(image.file_name, blobs[image.blob_key], image.group))
    negatives = () if spec.negative_label is None else tuple(by_label.pop(spec.negative_label, ()))
    return SupportSet(tuple(SupportClass(label, tuple(images)) for label, images in by_label.items()), negatives)
