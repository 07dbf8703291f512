"""Write the answers of /v1/evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.evaluations.schemas import (
    EvaluationAnswer,
    EvaluationDetail,
    EvaluationLinks,
    EvaluationMistake,
    EvaluationSummary,
    KeptImageAnswer,
)
from app.infra.tables import EvaluationImageRow, EvaluationRow

PREFIX = "/v1/evaluations"
"""Path of all evaluations."""


def summary(row: EvaluationRow) -> EvaluationSummary:
    """Return an evaluation in short."""
    return EvaluationSummary(**_in_short(row))


def answer(row: EvaluationRow) -> EvaluationAnswer:
    """Return all numbers of an evaluation."""
    return EvaluationAnswer(**_in_full(row))


def detail(row: EvaluationRow, images: Sequence[EvaluationImageRow]) -> EvaluationDetail:
    """Return an evaluation with the images that are kept."""
    shown = [
        KeptImageAnswer(id=image.id, file=image.file_name, label=image.label, link=_image_link(row, image.id))
        for image in images
    ]
    return EvaluationDetail(**_in_full(row), images=shown)


def _in_short(row: EvaluationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "model": row.model_id,
        "data_sha256": row.data_sha256,
        "num_images": row.num_images,
        "accuracy": row.result["accuracy"],
        "has_images": row.images_of is not None,
        "created_at": row.created_at,
        "links": EvaluationLinks(self=f"{PREFIX}/{row.id}", model=f"/v1/models/{row.model_id}"),
    }


def _in_full(row: EvaluationRow) -> dict[str, Any]:
    mistakes = [_mistake(row, one) for one in row.result["mistakes"]]
    shares = {"coverage": row.coverage, "false_rejects": row.false_rejects}
    return {**row.result, "mistakes": mistakes, **shares, **_in_short(row)}


def _mistake(row: EvaluationRow, one: Mapping[str, Any]) -> EvaluationMistake:
    is_kept = row.images_of is not None and one["image_id"] is not None
    link = _image_link(row, one["image_id"]) if is_kept else None
    return EvaluationMistake(**{name: value for name, value in one.items() if name != "image_id"}, link=link)


def _image_link(row: EvaluationRow, image_id: str) -> str:
    return f"{PREFIX}/{row.id}/images/{image_id}"
