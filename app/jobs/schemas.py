"""Schemas of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.display_names import DisplayName
from app.domain.jobs import JobState
from vtt_core.contract.progress import Phase
from vtt_core.contract.recipe import DEFAULT_PRESET, AnyMethod, Preset


class JobRequest(BaseModel):
    """What to learn, and how."""

    model_config = ConfigDict(extra="forbid")

    support_set_id: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["set_0f1e2d3c4b5a69788796a5b4"]
    )
    backbone: str | None = Field(
        default=None, max_length=400, description="Id as GET /v1/backbones lists it; default: the service's"
    )
    method: AnyMethod = Field(
        default="auto",
        description="`auto` publishes what classifies left-out images best: a classifier on the unchanged backbone, which "
        "takes seconds, or a fine-tuning with VtT, if a trial on parts of the support set says that it pays. `frozen` is "
        "always the first. The others fine-tune as told, alone or taught by VtT: a LoRA on the vision tower (`clip-lora`), on "
        "the text tower or on both, CoOp, MaPLe",
    )
    preset: Preset = Field(
        default=DEFAULT_PRESET,
        description="Recipe to start from: `tuned` is the released code's with what was measured to be better on the backbone,"
        " `released` the released code's as it is, `paper` the paper's, and `original` what the host was published with by"
        " itself. `own` is the old name of `original`",
    )
    recipe: dict[str, Any] = Field(
        default_factory=dict,
        description="Hyper-parameters that differ from the preset. Besides those of the fine-tuning: `head` (what classifies "
        "the image features: `text`, `ridge`, `sum`, ...), `validation_folds` (0, or 2 to 5 short fine-tunings that measure "
        "the accuracy on left-out images) and `validation_iterations` (steps of each)",
        examples=[{"iterations": 100, "head": "sum", "validation_folds": 2}],
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="The same seed, support set and machine give the same model")
    name: DisplayName = Field(default="", description="What you call the job and its model")


class JobFailure(BaseModel):
    """Why a job failed."""

    code: str
    title: str
    expected: str
    got: str
    remedy: str


class JobLinks(BaseModel):
    """Where to go from a job."""

    self: str
    events: str
    cancel: str
    support_set: str
    model: str | None = Field(description="Once it has succeeded")
    interim_model: str | None = Field(description="While there is one")
    base_model: str | None = Field(description="That of `base_model_id`")


class JobAnswer(BaseModel):
    """A job and how far it is."""

    id: str = Field(examples=["job_0f1e2d3c4b5a69788796a5b4"])
    name: str
    state: JobState
    support_set_id: str
    backbone: str
    method: str = Field(description="As asked for. What `auto` has chosen is in the model's `metrics`, under `choice`")
    recipe: dict[str, Any]
    seed: int
    base_model_id: str | None = Field(
        description="Of a job that adds classes to a model: that model, whose fine-tuning is taken as it is"
    )
    attempt: int = Field(description="1 at first; a job whose worker is lost is tried again, twice at most")
    queue_place: int | None = Field(
        description="Place among all jobs that wait for a worker, 1 for the next one; null unless the job is `queued`"
    )
    phase: Phase | None = Field(
        description="What the latest step was part of: `validation`, a fine-tuning on a part of the support set that is "
        "measured on the rest, or `fine-tuning` on all of it; null before the first step"
    )
    step: int = Field(description="Finished optimiser steps, those of the validation included")
    num_steps: int = Field(
        description="Steps in all. 0 where nothing is fine-tuned, and while `auto` has not decided. `auto` may end earlier, if "
        "the validation says that the fine-tuning does not pay"
    )
    classification_loss: float | None = Field(description="Of the latest step")
    absorption_loss: float | None = Field(description="Of the latest step; null where nothing is absorbed")
    conflict_cosine: float | None = Field(
        description="Cosine between the combined gradient and that of the classification loss; negative if they disagree"
    )
    is_absorbing: bool | None = Field(
        description="Whether the text encoder still absorbs image features; null before the first step"
    )
    absorption_stopped_at: int | None = Field(
        description="Step at which absorption was switched off: by too much conflict, or by `absorption_share` of the recipe"
    )
    seconds_left: float | None = Field(description="Estimated, while it runs")
    is_cancel_requested: bool
    error: JobFailure | None
    model_id: str | None
    interim_model_id: str | None = Field(
        description="A model that already predicts while the fine-tuning runs: a classifier on the unchanged backbone. "
        "The job's own model replaces it; if the job fails or is cancelled, it stays. Null where there is none"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: JobLinks


class JobPage(BaseModel):
    """Some jobs, newest first."""

    items: list[JobAnswer]
    next_cursor: str | None = Field(description="Null on the last page")
