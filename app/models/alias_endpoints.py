"""Answer /v1/aliases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.dependencies import CursorQuery, LimitQuery, ReadSessionDep, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import (
    BadCursorError,
    GoneError,
    InterimModelError,
    MalformedRequestError,
    NotFoundError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)
from app.infra.clock import utc_now
from app.infra.model_repository import ModelRepository
from app.infra.tables import AliasRow
from app.models import service
from app.models.endpoints import CHANGES
from app.models.endpoints import PREFIX as MODELS
from app.models.schemas import AliasAnswer, AliasLinks, AliasPage, AliasRequest
from app.problem_details import problem_responses

PREFIX = "/v1/aliases"
router = APIRouter(prefix=PREFIX, tags=["models"], dependencies=[require_scope(*Scope)])

AliasName = Annotated[
    str,
    Path(
        max_length=100,
        # No underscore: an alias never looks like an id, so that a reference means one thing.
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="Lower-case letters, digits, `.` and `-`",
    ),
]


@router.get("", responses=problem_responses(BadCursorError))
def list_aliases(session: ReadSessionDep, cursor: CursorQuery = None, limit: LimitQuery = 20) -> AliasPage:
    """List the aliases in alphabetical order, a page at a time."""
    rows, next_cursor = ModelRepository(session).list_aliases(cursor, limit)
    return AliasPage(items=[_answer(row) for row in rows], next_cursor=next_cursor)


@router.get("/{name}", responses=problem_responses(NotFoundError))
def get_alias(name: AliasName, session: ReadSessionDep) -> AliasAnswer:
    """Show which model an alias points to. That model may have been deleted; predictions by the alias then answer 410."""
    return _answer(ModelRepository(session).get_alias(name))


@router.put(
    "/{name}",
    dependencies=CHANGES,
    responses=problem_responses(
        NotFoundError, GoneError, InterimModelError, MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
    ),
)
def point_alias(name: AliasName, request: AliasRequest, context: RequestContextDep) -> AliasAnswer:
    """Create an alias for a model, or move it to another model. Predictions by that name use the new model from then on.

    An interim model is refused (409) until its job has ended.
    """
    return _answer(service.point_alias(context, name, request.model_id, utc_now()))


@router.delete("/{name}", status_code=204, dependencies=CHANGES, responses=problem_responses(NotFoundError))
def delete_alias(name: AliasName, context: RequestContextDep) -> None:
    """Delete an alias. Its model stays; predictions by the alias answer 404 from then on."""
    service.delete_alias(context, name)


def _answer(row: AliasRow) -> AliasAnswer:
    links = AliasLinks(self=f"{PREFIX}/{row.name}", model=f"{MODELS}/{row.model_id}")
    return AliasAnswer(name=row.name, model_id=row.model_id, updated_at=row.updated_at, links=links)
