"""Choose the endpoints of a process by its role."""

from __future__ import annotations

from fastapi import APIRouter

from app.backbones.endpoints import router as backbones
from app.evaluations.endpoints import router as evaluations
from app.health.endpoints import router as health
from app.infra.settings import Role
from app.inspections.endpoints import router as inspections
from app.jobs.endpoints import router as jobs
from app.models.alias_endpoints import router as aliases
from app.models.class_endpoints import router as model_classes
from app.models.endpoints import router as models
from app.pages.router import router as pages
from app.predictions.endpoints import router as predictions
from app.support_sets.endpoints import router as support_sets
from app.support_sets.image_endpoints import router as support_images

_CONTROL = (support_sets, support_images, jobs, models, model_classes, aliases, backbones, pages)
_ROUTERS: dict[Role, tuple[APIRouter, ...]] = {
    Role.ALL: (*_CONTROL, inspections, predictions, evaluations, health),
    Role.CONTROL: (*_CONTROL, health),
    Role.PREDICT: (inspections, predictions, evaluations, health),
}


def make_router(role: Role) -> APIRouter:
    """Return the endpoints of a role."""
    router = APIRouter()
    for part in _ROUTERS[role]:
        router.include_router(part)
    return router
