"""The page that starts a job: one button, and everything else folded away."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request, Response

from app.dependencies import AppContext, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import GoneError, NotFoundError
from app.error_handlers import status_of
from app.infra.clock import utc_now
from app.jobs.schemas import JobRequest
from app.jobs.service import create_job
from app.pages.backbone_choices import group_backbones
from app.pages.estimate import Estimate, estimate
from app.pages.form_values import mistakes_named
from app.pages.free_names import free_model_name
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.set_views import SetView, read_set
from app.pages.visits import FieldsDep
from app.support_sets.endpoints import SupportSetId
from vtt_core.contract.errors import RecipeError, VttError
from vtt_core.contract.recipe import ANY_METHODS, DEFAULT_PRESET, HEADS, PRESETS, make_recipe
from vtt_core.contract.recipe_checks import RANGES, WHOLE_NUMBERS

router = APIRouter(
    prefix="/sets/{set_id}/start",
    route_class=PageRoute,
    include_in_schema=False,
    dependencies=[require_scope(Scope.TRAIN)],
)

NUMBERS = {
    name: "1" if name in WHOLE_NUMBERS else "any"
    for name in ("iterations", "validation_folds", "host_learning_rate", "rank", "absorption_weight")
}
"""Hyper-parameters that people change most, with the step of their input."""
IN_RECIPE = (*NUMBERS, "head", "prompt_template")
"""Fields of the form that are fields of a recipe; what is left empty is the preset's."""


@router.get("")
def show_start(set_id: SupportSetId, request: Request, context: RequestContextDep) -> Response:
    """Show the button. Parameters of the address fill in the form."""
    return _page(request, context, set_id, request.query_params)


@router.post("")
def start(set_id: SupportSetId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Start the job. The same form sent twice starts one."""
    try:
        with mistakes_named():
            wanted = JobRequest(**_request_of(set_id, fields))
        job, _ = create_job(context, wanted, _once(fields), utc_now())
    except (NotFoundError, GoneError):
        raise
    except VttError as error:
        return _page(request, context, set_id, fields, error)
    return go_to(f"/jobs/{job.id}")


def _page(
    request: Request, context: AppContext, set_id: str, filled: Mapping[str, str], error: VttError | None = None
) -> Response:
    view = read_set(context, set_id)
    return render(
        request,
        "start.html.jinja",
        context,
        status=200 if error is None else status_of(type(error)),
        view=view,
        filled=filled,
        default_backbone=context.settings.default_backbone,
        backbones=group_backbones(context),
        free_name=free_model_name(context, view.title),
        methods=ANY_METHODS,
        presets=PRESETS,
        default_preset=DEFAULT_PRESET,
        heads=HEADS,
        numbers=NUMBERS,
        ranges=RANGES,
        estimate=_estimate(context, view, filled),
        once=secrets.token_hex(12),
        error=error,
        is_unfolded=error is not None or any(filled.get(name) for name in ("backbone", "method", "preset", *IN_RECIPE)),
    )


def _estimate(context: AppContext, view: SetView, filled: Mapping[str, str]) -> Estimate | None:
    """Return how long the job takes; None while the form holds no possible recipe."""
    with suppress(RecipeError):
        fields = _request_of(view.row.id, filled)
        backbone_id = fields.get("backbone") or context.settings.default_backbone
        changes, preset = fields.get("recipe", {}), fields.get("preset", DEFAULT_PRESET)
        recipe = make_recipe(fields.get("method", "auto"), preset, changes, backbone_id=backbone_id)
        with context.readers() as session:
            return estimate(session, backbone_id, recipe, view.num_images)
    return None


def _request_of(set_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a `JobRequest` that the form has filled in."""
    sent: dict[str, Any] = {name: fields[name] for name in ("backbone", "method", "preset", "seed", "name") if fields.get(name)}
    changes = {name: _number(name, fields[name].strip()) for name in IN_RECIPE if fields.get(name, "").strip()}
    return {"support_set_id": set_id, **sent, "recipe": changes}


def _number(name: str, sent: str) -> int | float | str:
    """Return a hyper-parameter as a number, where it is one; what cannot be read is left to the recipe's own checks."""
    with suppress(ValueError):
        if name in NUMBERS:
            return int(sent) if name in WHOLE_NUMBERS else float(sent)
    return sent


def _once(fields: Mapping[str, str]) -> str | None:
    """Return the Idempotency-Key of a form: another one if the same page is sent again with other values."""
    if not fields.get("once"):
        return None
    return hashlib.sha256(json.dumps(sorted(fields.items())).encode()).hexdigest()
