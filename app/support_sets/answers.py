"""Write the answers of /v1/support-sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import Response

from app.health.metrics import Metrics
from app.infra.tables import SupportImageRow
from app.support_sets.receive import Received
from app.support_sets.schemas import ClassSummary, ImageLinks, LabelAdvice, StoredImage, SupportSetLinks, UploadAnswer
from app.support_sets.service import SupportSetView
from app.uploads.results import CREATED, ImageResult, overall_status
from vtt_core.labels.advice import advise

PREFIX = "/v1/support-sets"
"""Path of all support sets."""


def summary(view: SupportSetView) -> dict[str, Any]:
    """Return the fields of a `SupportSetSummary`."""
    row = view.row
    classes = [ClassSummary(label=label, shot=shot) for label, shot in view.classes.items()]
    if row.negative_label is not None and view.negative_shot:
        classes.append(ClassSummary(label=row.negative_label, shot=view.negative_shot, role="negative"))
    return {
        "id": row.id,
        "name": row.name,
        "way": len(view.classes),
        "classes": classes,
        "negative": row.negative_label,
        "bands": row.bands,
        "stretch": row.stretch,
        "empty_classes": row.empty_labels,
        "is_frozen": row.frozen_at is not None,
        "created_at": row.created_at,
        "frozen_at": row.frozen_at,
        "links": SupportSetLinks(self=f"{PREFIX}/{row.id}", images=f"{PREFIX}/{row.id}/images"),
    }


def detail(view: SupportSetView, images: Sequence[SupportImageRow]) -> dict[str, Any]:
    """Return the fields of a `SupportSetDetail`."""
    return {**summary(view), "advice": _advice(view), "images": [stored(image) for image in images]}


def upload(received: Received, counted: Metrics, response: Response) -> UploadAnswer:
    """Return the answer to an upload, set its status and count its images."""
    response.status_code = overall_status(received.results)
    count_images(received.results, counted)
    view = received.view
    return UploadAnswer(**summary(view), advice=_advice(view), results=received.results, notices=received.notices)


def count_images(results: Iterable[ImageResult], counted: Metrics) -> None:
    """Count the images of an upload by what became of them."""
    for result in results:
        counted.requests.received_images.labels("kept" if result.status == CREATED else result.code).inc(result.count)


def _advice(view: SupportSetView) -> list[LabelAdvice]:
    empty = [label for label in view.row.empty_labels if label != view.row.negative_label]
    return [LabelAdvice(**asdict(advice)) for advice in advise([*view.classes, *empty])]


def stored(image: SupportImageRow) -> StoredImage:
    """Return the answer for one image."""
    here = f"{PREFIX}/{image.support_set_id}/images/{image.id}"
    return StoredImage(
        id=image.id,
        file=image.file_name,
        label=image.label,
        group=image.group_name,
        width=image.width,
        height=image.height,
        image_format=image.image_format,
        size_bytes=image.size_bytes,
        sha256=image.sha256,
        links=ImageLinks(self=here, thumbnail=f"{here}/thumbnail"),
    )
