"""The page about the service: what it sees with, what it runs on, and how much of it is used."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from app.backbones.service import live_workers, weights_of
from app.dependencies import AppContext, RequestContextDep, require_scope
from app.domain.access import Scope
from app.infra.access_repository import UsageRepository
from app.pages.cards import card_html
from app.pages.page_route import PageRoute
from app.pages.rendering import render
from vtt_core.contract.backbones import BackboneEntry, Weights, catalogue, model_card

router = APIRouter(prefix="/about", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

VENDORED = (
    ("htmx", "vendor/htmx-LICENSE.txt"),
    ("Open Props", "vendor/open-props-LICENSE.txt"),
    ("Swagger UI", "vendor/swagger-ui-LICENSE.txt"),
)
"""Works of others in the package, with their licences."""
AT_HAND = (Weights.BUNDLED, Weights.CACHED)
"""Where the weights of a backbone are that a job can use at once."""


@dataclass(frozen=True)
class Usage:
    """How much there is of what a quota limits."""

    key: str
    """Of its text."""
    used: int
    most: int | None
    """None for no limit."""
    is_bytes: bool = False


@router.get("")
def show_about(request: Request, context: RequestContextDep) -> Response:
    """Say what the service is made of, and what of it is used."""
    workers = live_workers(context.workers)
    backbones = [(entry, weights_of(entry, workers)) for entry in catalogue()]
    default = context.settings.default_backbone
    return render(
        request,
        "about.html.jinja",
        context,
        at_hand=[_shown(entry, weights) for entry, weights in backbones if weights in AT_HAND or entry.backbone_id == default],
        others=[(entry, weights) for entry, weights in backbones if weights not in AT_HAND and entry.backbone_id != default],
        default_backbone=default,
        workers=workers,
        serving=context.predictor.condition if context.predictor is not None else None,
        usage=_usage(context),
        limits=context.settings.limits,
        keeps_days=context.settings.prediction_retention_days,
        vendored=VENDORED,
    )


def _shown(entry: BackboneEntry, weights: Weights) -> tuple[BackboneEntry, Weights, Markup | None]:
    card = model_card(entry)
    return entry, weights, None if card is None else card_html(card)


def _usage(context: AppContext) -> list[Usage]:
    quotas = context.caller.quotas
    with context.readers() as session:
        usage = UsageRepository(session)
        return [
            Usage("images", usage.images(), quotas.max_images),
            Usage("bytes", usage.size_bytes(), quotas.max_bytes, is_bytes=True),
            Usage("jobs", usage.unfinished_jobs(), quotas.max_unfinished_jobs),
        ]
