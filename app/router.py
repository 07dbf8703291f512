"""Choose the endpoints of a process by its role."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app.backbones.endpoints import router as backbones
from app.batches.endpoints import router as batches
from app.evaluations.endpoints import router as evaluations
from app.exports.endpoints import router as exports
from app.health.endpoints import router as health
from app.infra.settings import Role
from app.inspections.endpoints import router as inspections
from app.jobs.endpoints import router as jobs
from app.models.alias_endpoints import router as aliases
from app.models.class_endpoints import router as model_classes
from app.models.endpoints import router as models
from app.pages.router import every_role as api_pages
from app.pages.router import router as pages
from app.predictions.attention_endpoints import router as attention
from app.predictions.endpoints import router as predictions
from app.support_sets.endpoints import router as support_sets
from app.support_sets.image_endpoints import router as support_images
from app.webhooks.endpoints import router as webhooks

_CONTROL = (support_sets, support_images, jobs, models, exports, model_classes, aliases, backbones, batches, webhooks, pages)
_ROUTERS: dict[Role, tuple[APIRouter, ...]] = {
    # Paths are tried in this order, and predictions are most of the requests.
    Role.ALL: (predictions, *_CONTROL, inspections, attention, evaluations, health, api_pages),
    Role.CONTROL: (*_CONTROL, health, api_pages),
    Role.PREDICT: (predictions, inspections, attention, evaluations, health, api_pages),
}


@lru_cache
def routes_of(role: Role) -> tuple[BaseRoute, ...]:
    """Return the endpoints of a role; the applications of a process share them, since building takes a third of a second."""
    router = APIRouter(generate_unique_id_function=_operation_id)
    for part in _ROUTERS[role]:
        router.include_router(part)
    return tuple(router.routes)


def _operation_id(route: APIRoute) -> str:
    """Return the name of the endpoint's function: generators of clients call their methods by it."""
    return route.name
