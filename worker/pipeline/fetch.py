"""Read what a job needs: its row and the images of its support set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.band_columns import wish_of
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import SupportImageRow, SupportSetRow
from vtt_core.contract.bands import BandChoice, BandWish
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.ingest.band_images import measure_support, show_support
from vtt_core.ingest.spool import Spool

FETCHED_TOGETHER = 32
"""Images of a support set that the store gives side by side."""


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
    bands: BandWish | None = None
    """Which bands the images are shown in; None for ordinary images."""
    base_adapter_key: str | None = None
    """Of the model whose tower is taken as it is; None where the job starts anew."""


def read_job_spec(session: Session, job_id: str) -> JobSpec:
    """Return what the job asks for; raises NotFoundError, RecipeError, and GoneError where its base model was deleted."""
    row = JobRepository(session).get(job_id)
    base = None if row.base_model_id is None else ModelRepository(session).get(row.base_model_id)
    statement = select(SupportImageRow).where(SupportImageRow.support_set_id == row.support_set_id)
    images = session.scalars(statement.order_by(SupportImageRow.position, SupportImageRow.id))
    support_set = session.get_one(SupportSetRow, row.support_set_id)
    return JobSpec(
        job_id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        backbone_id=row.backbone_id,
        recipe=FinetuneRecipe.from_json(row.recipe),
        seed=row.seed,
        created_at=row.created_at,
        images=tuple(ImageSpec(image.label, image.file_name, image.blob_key, image.group_name) for image in images),
        negative_label=support_set.negative_label,
        bands=wish_of(support_set),
        base_adapter_key=None if base is None else base.adapter_key,
    )


def fetch_support_set(spec: JobSpec, store: ObjectStore) -> SupportSet:
    """Return the support set, its classes and images in the order of their upload; raises BlobMissingError."""
    by_label: dict[str, list[SupportImage]] = {}
    spool = Spool()
    for first in range(0, len(spec.images), FETCHED_TOGETHER):
        images = spec.images[first : first + FETCHED_TOGETHER]
        blobs = store.get_many(image.blob_key for image in images)
        for image in images:
            content = spool.keep(blobs[image.blob_key])
            by_label.setdefault(image.label, []).append(SupportImage(image.file_name, content, image.group))
    negatives = () if spec.negative_label is None else tuple(by_label.pop(spec.negative_label, ()))
    return SupportSet(tuple(SupportClass(label, tuple(images)) for label, images in by_label.items()), negatives)


def show_bands(
    support_set: SupportSet, wish: BandWish | None, known: BandChoice | None, limits: Limits
) -> tuple[SupportSet, BandChoice | None]:
    """Return a support set of many bands as pictures of three, and what is black and white in them; others as they are.

    Args:
        support_set: of the job.
        wish: of its user; None for ordinary images.
        known: what is black and white, where a model says so; None measures it on the support set.
        limits: the bounds in force.

    Raises:
        ImageError: an image has no such bands.
    """
    if wish is None:
        return support_set, None
    choice = known or measure_support(support_set, wish, limits)
    return show_support(support_set, choice, limits), choice
