"""The page that lists the models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from app.dependencies import CursorQuery, RequestContextDep, require_scope
from app.domain.access import Scope
from app.infra.tables import ModelRow
from app.models import service
from app.pages.page_route import PageRoute
from app.pages.rendering import render
from app.pages.texts import text

router = APIRouter(prefix="/models", route_class=PageRoute, include_in_schema=False, dependencies=[require_scope(*Scope)])

PAGE_MODELS = 20
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
    with context.readers() as session:
        found, next_cursor = service.list_models(session, cursor, PAGE_MODELS)
    return render(
        request,
        "models.html.jinja",
        context,
        models=[ModelView(row, aliases) for row, aliases in found],
        most_classes=MOST_CLASSES,
        may_train=Scope.TRAIN in context.caller.scopes,
        next_cursor=next_cursor,
    )
