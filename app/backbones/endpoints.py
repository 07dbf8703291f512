"""Answer /v1/backbones."""

from __future__ import annotations

from fastapi import APIRouter

from app.backbones.schemas import BackboneAnswer, BackboneList
from app.backbones.service import live_workers, weights_of
from app.dependencies import RequestContextDep, require_scope
from app.domain.access import Scope
from app.problem_details import problem_responses
from vtt_core.contract.backbones import catalogue

router = APIRouter(prefix="/v1/backbones", tags=["backbones"], dependencies=[require_scope(*Scope)])


@router.get("", responses=problem_responses())
def list_backbones(context: RequestContextDep) -> BackboneList:
    """List the backbones that a job can adapt, the bundled one first, and say where the weights of each are."""
    default = context.settings.default_backbone
    workers = live_workers(context.workers)
    items = [
        BackboneAnswer(
            id=entry.backbone_id,
            image_side_pixels=entry.image_side_pixels,
            joint_size=entry.joint_size,
            num_vision_layers=entry.num_vision_layers,
            num_text_layers=entry.num_text_layers,
            is_bundled=entry.is_bundled,
            weights=weights_of(entry, workers),
            is_default=entry.backbone_id == default,
            description=entry.description,
        )
        for entry in catalogue()
    ]
    return BackboneList(items=items)
