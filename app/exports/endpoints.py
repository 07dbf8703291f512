"""Answer /v1/models/{model}/exports."""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from starlette.convertors import StringConvertor, register_url_convertor

from app.dependencies import ReadSessionDep, RequestContextDep, require_scope
from app.domain.access import Scope
from app.domain.errors import (
    BlobMissingError,
    DiskFullError,
    ExportNotReadyError,
    GoneError,
    InterimModelError,
    ModelNotReadyError,
    NotFoundError,
    QuotaExceededError,
    StoreUnavailableError,
)
from app.domain.exports import ExportState
from app.exports import service
from app.exports.possible import MADE_KINDS, refusal_of
from app.exports.schemas import ExportAnswer, ExportForm, ExportLinks, ExportList
from app.infra.clock import utc_now
from app.infra.export_repository import ExportRepository
from app.infra.tables import ExportRow, ModelRow
from app.jobs.schemas import JobFailure
from app.models.endpoints import CHANGES, PREFIX, ModelReference
from app.models.service import find_model
from app.problem_details import problem_responses
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.exports import ExportKind

router = APIRouter(tags=["models"], dependencies=[require_scope(*Scope)])

MadeKind = Annotated[
    Literal[ExportKind.PEFT, ExportKind.OPEN_CLIP, ExportKind.ONNX, ExportKind.WEB],
    Path(
        description="`peft`: a LoRA for Hugging Face peft. `open_clip`: merged weights for open_clip. `onnx`: one graph from "
        "pixels to probabilities, in fp32, fp16 and int8. `web`: a page that runs it in a browser, without a network"
    ),
]
"""Forms that are made in the background; a model is stored in its own form anyway."""


class _MadeConvertor(StringConvertor):
    """Leaves out the paths of what is sent at once, which have endpoints of their own and take no POST."""

    regex = "(?!adapter$|report$)[^/]+"


register_url_convertor("made_export", _MadeConvertor())
MADE = PREFIX + "/{model}/exports/{kind:made_export}"


@router.get(PREFIX + "/{model}/exports", responses=problem_responses(NotFoundError, GoneError, ModelNotReadyError))
def list_exports(model: ModelReference, session: ReadSessionDep) -> ExportList:
    """List the exports of a model that were asked for, with their states, and the forms that the model can have.

    The model in its own form needs none: GET /v1/models/{model}/exports/adapter sends it at once.
    """
    row, _ = find_model(session, model)
    passing = service.why_it_passes(session, row)
    items = [answer(export) for export in ExportRepository(session).of_model(row.id)]
    return ExportList(items=items, forms=[_form(row, kind, passing) for kind in MADE_KINDS])


@router.post(
    MADE,
    status_code=202,
    dependencies=CHANGES,
    responses=problem_responses(
        NotFoundError,
        GoneError,
        ModelNotReadyError,
        InterimModelError,
        UnsupportedExportError,
        QuotaExceededError,
        DiskFullError,
    ),
)
def create_export(model: ModelReference, kind: MadeKind, context: RequestContextDep, response: Response) -> ExportAnswer:
    """Export a model in a form that other programs read. A worker makes it once; asking again shows how far it is.

    Before an export is offered, it is loaded with the library that it is for, and compared with the model: the largest
    difference of the logits must be at most 0.001, and the classes of all images the same. `report` says what was measured.
    One that failed is tried again.
    """
    row = service.ask_for_export(context, model, kind, utc_now())
    response.headers["Location"] = f"{PREFIX}/{row.model_id}/exports"
    return answer(row)


@router.get(
    MADE,
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}, "description": "The zip"},
        **problem_responses(
            NotFoundError, GoneError, ModelNotReadyError, ExportNotReadyError, BlobMissingError, StoreUnavailableError
        ),
    },
)
def get_export(model: ModelReference, kind: MadeKind, context: RequestContextDep) -> StreamingResponse:
    """Download an export that has succeeded as a zip; its README.md says how it is loaded."""
    row = service.find_export(context, model, kind)
    chunks = service.zip_chunks(context, row)
    begun = chain([next(chunks)], chunks)  # so that a lost file is an error and not half an answer
    headers = {"Content-Disposition": f'attachment; filename="{row.model_id}-{row.kind}.zip"'}
    return StreamingResponse(begun, media_type="application/zip", headers=headers)


def _form(model: ModelRow, kind: ExportKind, passing: InterimModelError | None) -> ExportForm:
    refused = refusal_of(model, kind)
    if refused is None and passing is not None:
        return ExportForm(kind=kind, offered=False, reason=f"The model is {passing.got}", remedy=passing.remedy)
    if refused is None:
        return ExportForm(kind=kind, offered=True, reason=None, remedy=None)
    return ExportForm(kind=kind, offered=False, reason=f"The model is {refused.got}", remedy=refused.remedy)


def answer(row: ExportRow) -> ExportAnswer:
    """Return what the API says of an export."""
    here, is_made = f"{PREFIX}/{row.model_id}", row.state == ExportState.SUCCEEDED
    return ExportAnswer(
        id=row.id,
        kind=ExportKind(row.kind),
        state=ExportState(row.state),
        size_bytes=row.size_bytes if is_made else 0,
        report=row.report if is_made else None,
        error=None if row.error is None else JobFailure(**row.error),
        created_at=row.created_at,
        finished_at=row.finished_at,
        links=ExportLinks(model=here, download=f"{here}/exports/{row.kind}" if is_made else None),
    )
