"""Schemas of exports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.domain.exports import ExportState
from app.jobs.schemas import JobFailure
from vtt_core.contract.exports import ExportKind


class ExportLinks(BaseModel):
    """Where to go from an export."""

    model: str
    download: str | None = Field(description="The zip, once it has succeeded")


class ExportAnswer(BaseModel):
    """A model in a form that other programs read."""

    id: str = Field(examples=["exp_0f1e2d3c4b5a69788796a5b4"])
    kind: ExportKind = Field(description="The form")
    state: ExportState
    size_bytes: int = Field(description="Of its files together; 0 until it has succeeded")
    report: dict[str, Any] | None = Field(
        description="Once it has succeeded: its files with their sizes, and how it agrees with the model (`agreement`), "
        "measured by loading it with the library that it is for"
    )
    error: JobFailure | None = Field(description="Why it failed")
    created_at: datetime
    finished_at: datetime | None
    links: ExportLinks


class ExportForm(BaseModel):
    """A form, and whether a model can have it."""

    kind: ExportKind = Field(description="The form")
    offered: bool = Field(description="Whether it can be asked for, as far as the model's method and backbone tell")
    reason: str | None = Field(description="Why it is not offered")
    remedy: str | None = Field(description="What to do instead")


class ExportList(BaseModel):
    """The exports of a model."""

    items: list[ExportAnswer] = Field(description="Those that were asked for")
    forms: list[ExportForm] = Field(description="All that there are")
