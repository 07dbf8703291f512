"""The pages of models: a list with everything that can be done to one, and the deletion of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from app.dependencies import AppContext, CursorQuery, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import InvalidRequestError
from app.error_handlers import status_of
from app.infra.clock import utc_now
from app.infra.tables import ModelRow
from app.models import service
from app.models.alias_endpoints import AliasName
from app.models.endpoints import CHANGES, ModelId
from app.pages.form_values import display_name, mistakes_named
from app.pages.page_route import PageRoute, go_to
from app.pages.rendering import render
from app.pages.texts import text
from app.pages.visits import FieldsDep
from vtt_core.contract.errors import VttError

router = APIRouter(prefix="/models", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

PAGE_MODELS = 20
_ALIAS: TypeAdapter[str] = TypeAdapter(AliasName)
MOST_CLASSES = 6
"""Classes that a card names."""


@dataclass(frozen=True)
class ModelView:
    """A model as the list shows it."""

    row: ModelRow
    aliases: list[str]

    @property
    def name(self) -> str:
        """What the user calls it."""
        return name_of(self.row)

    @property
    def expected(self) -> dict[str, Any] | None:
        """The expected accuracy with its interval; None where it was not measured."""
        return expected_of(self.row)

    @property
    def method(self) -> str:
        """How it was made, as the key of a text."""
        return method_of(self.row)


def name_of(model: ModelRow) -> str:
    """Return what people call a model."""
    return model.name or text("models.unnamed")


def expected_of(model: ModelRow) -> dict[str, Any] | None:
    """Return the expected accuracy of a model with its interval; None where it was not measured."""
    expected: dict[str, Any] | None = model.metrics.get("expected_accuracy")
    return expected if expected is not None and expected.get("low") is not None else None


def method_of(model: ModelRow) -> str:
    """Return the key of the text that says how a model was made."""
    method = str(model.recipe.get("method", ""))
    return "frozen" if method == "frozen" else "vtt" if method.endswith("+vtt") else "tuned"


@router.get("")
def show_models(request: Request, context: RequestContextDep, cursor: CursorQuery = None) -> Response:
    """List the models, newest first."""
    return _page(request, context, cursor)


@router.post("/{model}/name", dependencies=CHANGES)
def rename(model: ModelId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Rename a model."""
    try:
        service.change_model(context, model, {"name": display_name(fields.get("name"))})
    except InvalidRequestError as error:
        return _page(request, context, error=error)
    return _back(model)


@router.post("/{model}/pin", dependencies=CHANGES)
def pin(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Keep a model in memory, or let it go: the field `pinned` says which."""
    service.set_pinned(context, model, fields.get("pinned") == "yes")
    return _back(model)


@router.post("/{model}/aliases", dependencies=CHANGES)
def add_alias(model: ModelId, request: Request, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Let an alias point to a model."""
    try:
        with mistakes_named():
            alias = _ALIAS.validate_python(fields.get("alias", "").strip())
        service.point_alias(context, alias, model, utc_now())
    except VttError as error:
        return _page(request, context, error=error)
    return _back(model)


@router.post("/{model}/aliases/delete", dependencies=CHANGES)
def delete_alias(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete an alias; its model stays."""
    service.delete_alias(context, fields.get("alias", ""))
    return _back(model)


@router.post("/{model}/delete", dependencies=CHANGES)
def delete(model: ModelId, context: RequestContextDep, fields: FieldsDep) -> Response:
    """Delete a model."""
    service.delete_model(context, model, utc_now())
    return go_to("/models")


def _back(model_id: str) -> Response:
    return go_to(f"/models#{model_id}")


def _page(request: Request, context: AppContext, cursor: str | None = None, error: VttError | None = None) -> Response:
    with context.readers() as session:
        found, next_cursor = service.list_models(session, cursor, PAGE_MODELS)
    return render(
        request,
        "models.html.jinja",
        context,
        status=200 if error is None else status_of(type(error)),
        models=[ModelView(row, aliases) for row, aliases in found],
        most_classes=MOST_CLASSES,
        may_train=Scope.TRAIN in context.caller.scopes,
        next_cursor=next_cursor,
        error=error,
    )
