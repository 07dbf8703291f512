"""The forms that change a model; the list of models and the page of each have them."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import TypeAdapter

from app.dependencies import RequestContextDep
from app.exports.endpoints import MadeKind
from app.exports.service import ask_for_export
from app.infra.clock import utc_now
from app.models import service
from app.models.alias_endpoints import AliasName
from app.models.endpoints import CHANGES, ModelId
from app.models.schemas import ModelChange
from app.pages.form_values import mistakes_named
from app.pages.page_route import PageRoute, go_to
from app.pages.visits import Fields, FieldsDep
from vtt_core.contract.exports import ExportKind

router = APIRouter(prefix="/models", route_class=PageRoute, include_in_schema=False, dependencies=CHANGES)

_EXPORT_KIND: TypeAdapter[ExportKind] = TypeAdapter(MadeKind)
_ALIAS_NAME: TypeAdapter[str] = TypeAdapter(AliasName)


@router.post("/{model}/name")
def rename_model(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Give a model another name."""
    with mistakes_named():
        change = ModelChange(name=fields.get("name", ""))
    service.change_model(context, model, change.model_dump(exclude_unset=True))
    return _back(model, fields, "name")


@router.post("/{model}/false-rejects")
def set_false_rejects(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Set how readily a model says "none of these"."""
    with mistakes_named():
        change = ModelChange.model_validate({"false_rejects": fields.get("false_rejects", "")})
    service.change_model(context, model, change.model_dump(exclude_unset=True))
    return _back(model, fields, "none")


@router.post("/{model}/pin")
def pin_model(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Keep a model in memory, or no longer."""
    service.set_pinned(context, model, fields.get("pinned") == "yes")
    return _back(model, fields, "pin")


@router.post("/{model}/aliases")
def add_alias(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Let a short name point to a model, also one that points to another model now."""
    with mistakes_named():
        name = _ALIAS_NAME.validate_python("-".join(fields.get("alias", "").lower().split()))
    service.point_alias(context, name, model, utc_now())
    return _back(model, fields, "alias")


@router.post("/{model}/aliases/delete")
def delete_alias(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete a short name; its model stays."""
    service.delete_alias(context, fields.get("alias", ""))
    return _back(model, fields, "alias")


@router.post("/{model}/exports")
def make_export(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Make a model in a form that other programs read."""
    with mistakes_named():
        kind = _EXPORT_KIND.validate_python(fields.get("kind", ""))
    ask_for_export(context, model, kind, utc_now())
    return go_to(f"/models/{model}#exports")


@router.post("/{model}/delete")
def delete_model(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete a model."""
    service.delete_model(context, model, utc_now())
    return go_to("/models")


def _back(model_id: str, fields: Fields, saved: str) -> Response:
    """Return to where the form was: the list, or the page of the model, which says which form was saved."""
    return go_to(f"/models#{model_id}" if "in_list" in fields else f"/models/{model_id}?saved={saved}#settings")
