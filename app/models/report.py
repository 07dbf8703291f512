"""Collect what the report of a published model is made of."""

from __future__ import annotations

import json

from sqlalchemy.orm import Session

from app.dependencies import AppContext
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import ModelRow, SupportImageRow, SupportSetRow
from app.reports.again import request_for
from app.reports.data import NEGATIVE, DataFacts, data_digest
from app.reports.facts import ReportFacts
from app.reports.metrics import Metrics
from app.reports.page import content_policy, render_report
from vtt_core.contract.manifest import AdapterManifest

MANIFEST_FILE = "manifest.json"
FRAME_HEADERS = {"Content-Security-Policy": content_policy("'self'"), "X-Frame-Options": "SAMEORIGIN"}
"""A page of the service itself may show a report inside it; the report loads nothing and runs nothing."""


def export_report(context: AppContext, session: Session, row: ModelRow) -> str:
    """Return the report of a model as HTML.

    Raises:
        BlobMissingError: the store has lost the adapter's manifest.
    """
    manifest = AdapterManifest.from_json(json.loads(context.store.get(f"{row.adapter_key}/{MANIFEST_FILE}")))
    job = JobRepository(session).get_even_deleted(row.job_id)
    support_set = session.get_one(SupportSetRow, job.support_set_id)
    images = SupportSetRepository(session).images(support_set.id)
    metrics = Metrics.from_json(row.metrics)
    missing = []
    if support_set.deleted_at is not None:
        missing.append(
            f"The support set was deleted on {support_set.deleted_at:%Y-%m-%d}. Its images and their digest are gone; what was "
            "measured with them is still known."
        )
    if metrics == Metrics():
        missing.append("No measurement of this model is stored.")
    return render_report(
        ReportFacts(
            manifest,
            metrics,
            data=None if support_set.deleted_at is not None else _data_facts(images, support_set.negative_label),
            missing=tuple(missing),
            again=((_how(support_set), request_for(manifest, metrics.asked_method, support_set.id)),),
            model_id=row.id,
            name=row.name,
            created_at=row.created_at,
        )
    )


def _data_facts(images: list[SupportImageRow], negative_label: str | None) -> DataFacts:
    negatives = [image for image in images if image.label == negative_label]
    shots: dict[str, int] = {}
    for image in images:
        if image.label != negative_label:
            shots[image.label] = shots.get(image.label, 0) + 1
    labelled = ((image.sha256, NEGATIVE if image.label == negative_label else image.label) for image in images)
    groups = {image.group_name for image in images} - {None}
    return DataFacts(data_digest(labelled), tuple(shots.items()), len(groups), len(negatives))


def _how(support_set: SupportSetRow) -> str:
    if support_set.deleted_at is None:
        return "Send this to the service that made the model:"
    return "Upload the same images with POST /v1/support-sets, put the new id into this request, and send it to the service:"
