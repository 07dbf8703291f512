"""Schemas of batches."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from app.domain.batches import BatchState
from app.jobs.schemas import JobFailure
from app.predictions.schemas import ImagePrediction


class ResultFormat(StrEnum):
    """How a result is written."""

    JSON = "json"
    CSV = "csv"


class BatchLinks(BaseModel):
    """Where to go from a batch."""

    self: str
    model: str
    cancel: str
    result: str | None = Field(description="Once it has succeeded")
    csv: str | None = Field(description="Once it has succeeded")


class BatchAnswer(BaseModel):
    """A batch and how far it is."""

    id: str = Field(examples=["bat_0f1e2d3c4b5a69788796a5b4"])
    name: str
    state: BatchState = Field(
        description="`queued`, `running`, then `succeeded`, `failed` or `cancelled`", examples=["running"]
    )
    model_id: str = Field(description="The model that predicts; an alias was resolved when the batch was sent")
    coverage: float = Field(description="As asked for, or the usual")
    false_rejects: float = Field(description="As asked for, or that of the model, or the usual")
    total: int = Field(description="Files that were sent; each is a line of the result")
    done: int = Field(description="Files with a result, those included that were refused")
    refused: int = Field(description="Files that are no usable image; the result says why")
    seconds_left: float | None = Field(
        description="Estimated from what is done so far, the time that jobs took in between included; null before the first "
        "chunk (64 images; 256 on `mini`) and after the end"
    )
    error: JobFailure | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: BatchLinks


class BatchPage(BaseModel):
    """Some batches, newest first."""

    items: list[BatchAnswer]
    next_cursor: str | None = Field(description="Null on the last page")


class BatchResult(BaseModel):
    """What a batch found, an entry for each file in the order they were sent."""

    id: str
    model_id: str
    labels: list[str]
    predictions: list[ImagePrediction]
