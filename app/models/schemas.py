"""Schemas of models and aliases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.changes import Change
from app.display_names import DisplayName
from app.domain.answer_ranges import FALSE_REJECTS_RANGE
from app.jobs.schemas import JobAnswer
from app.models.metrics import ModelMetrics
from app.uploads.results import ImageResult
from vtt_core.contract.serving import DEFAULT_FALSE_REJECTS


class ModelLinks(BaseModel):
    """Where to go from a model."""

    self: str
    predict: str
    adapter: str = Field(description="The model as a file")
    report: str = Field(description="What is known of it, as one HTML file")
    job: str


class ModelBands(BaseModel):
    """How images of many bands are shown to a model."""

    bands: list[int] = Field(description="Shown as red, green and blue; counted from 1", examples=[[4, 3, 2]])
    black: list[float] = Field(description="Value of each of them that is black", examples=[[212.0, 318.0, 402.0]])
    white: list[float] = Field(description="Value of each of them that is white", examples=[[2890.0, 2401.0, 2114.0]])


class ModelAnswer(BaseModel):
    """A published model: a backbone's id, and the small adapter that was learnt for it."""

    id: str = Field(examples=["mdl_0f1e2d3c4b5a69788796a5b4"])
    name: str
    aliases: list[str]
    job_id: str
    interim: bool = Field(
        description="Whether it serves only until the fine-tuning of its job is done: a classifier on the unchanged backbone. "
        "The job's own model replaces it; if the job fails or is cancelled, it stays"
    )
    backbone: str
    backbone_sha256: str = Field(description="Hash of the backbone's weights; the adapter fits no others")
    labels: list[str] = Field(description="Classes, in the order of the support set")
    bands: ModelBands | None = Field(
        description="How TIFFs with many bands are read, in a prediction as in training; null for a model of ordinary images"
    )
    method: str
    recipe: dict[str, Any] = Field(description="What was run; of a job with method `auto`, what it has chosen")
    advice: list[str] = Field(
        description="What you should know about this model, in plain sentences, the most important first; also in `metrics`",
        examples=[["2 of 5 left-out images of 'forest' were taken for 'river': more images of both would help most."]],
    )
    metrics: ModelMetrics = Field(description="What was measured; in a list of models only the single numbers")
    false_rejects: float | None = Field(
        description="Share of images of the classes that may be taken for none of them, where a request does not say; null for "
        f"the usual one, {DEFAULT_FALSE_REJECTS}"
    )
    adapter_bytes: int
    pinned: bool = Field(description="Whether its adapter stays in memory")
    resident: bool | None = Field(description="Whether its adapter is in this process's memory; null where none predicts")
    created_at: datetime
    links: ModelLinks


class ModelPage(BaseModel):
    """Some models, newest first."""

    items: list[ModelAnswer]
    next_cursor: str | None = Field(description="Null on the last page")


class ModelChange(Change):
    """What to change about a model."""

    name: DisplayName = Field(default_factory=str, description="What you call the model")
    false_rejects: float | None = Field(
        default=None,
        ge=FALSE_REJECTS_RANGE[0],
        le=FALSE_REJECTS_RANGE[1],
        description="Share of images of the classes that may be taken for none of them. The lower, the fewer images are "
        f"`none_of_these`; null for the usual share, {DEFAULT_FALSE_REJECTS}",
        examples=[0.02],
    )


class AddedClassesAnswer(JobAnswer):
    """The job that adds classes to a model, with what became of each image."""

    results: list[ImageResult]
    notices: list[str] = Field(description="What else is worth knowing, for people, as of an upload")


class AliasRequest(BaseModel):
    """The model that an alias points to."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_id: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["mdl_0f1e2d3c4b5a69788796a5b4"]
    )


class AliasLinks(BaseModel):
    """Where to go from an alias."""

    self: str
    model: str


class AliasAnswer(BaseModel):
    """A name that points to a model and can be moved to another."""

    model_config = ConfigDict(protected_namespaces=())

    name: str = Field(examples=["satellite"])
    model_id: str
    updated_at: datetime
    links: AliasLinks


class AliasPage(BaseModel):
    """Some aliases, in alphabetical order."""

    items: list[AliasAnswer]
    next_cursor: str | None = Field(description="Null on the last page")
