"""What the service answers. `tests/vtt_client/test_models.py` holds these fields to the description of the API.

A field that a newer service adds is kept as it came.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JobState = Literal["queued", "running", "verifying", "succeeded", "failed", "cancelled"]
FINAL_STATES: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class Answer(BaseModel):
    """Any answer."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), frozen=True)


class ImageResult(Answer):
    """What became of one image, or of `count` files that were refused for one reason."""

    file: str | None = None
    label: str | None = None
    status: int
    image_id: str | None = None
    code: str | None = None
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None
    count: int = 1
    files: list[str] | None = None


class ClassSummary(Answer):
    """One class of a support set."""

    label: str
    shot: int
    role: Literal["class", "negative"] = "class"


class LabelAdvice(Answer):
    """What could be better about a label."""

    code: str
    label: str
    prompt: str
    message: str
    suggestion: str | None


class SupportSetLinks(Answer):
    """Where to go from a support set."""

    self: str
    images: str


class SupportSet(Answer):
    """A support set without its images."""

    id: str
    name: str
    way: int
    classes: list[ClassSummary]
    negative: str | None
    bands: list[int] | None
    stretch: list[float] | None
    empty_classes: list[str]
    is_frozen: bool
    created_at: datetime
    frozen_at: datetime | None
    links: SupportSetLinks


class SupportSetPage(Answer):
    """Some support sets, newest first."""

    items: list[SupportSet]
    next_cursor: str | None


class ImageLinks(Answer):
    """Where to see an image."""

    self: str
    thumbnail: str


class StoredImage(Answer):
    """One image of a support set."""

    id: str
    file: str
    label: str
    group: str | None
    width: int
    height: int
    image_format: str
    size_bytes: int
    sha256: str
    links: ImageLinks


class SupportSetDetail(SupportSet):
    """A support set with its images."""

    advice: list[LabelAdvice]
    images: list[StoredImage]


class Upload(SupportSet):
    """A support set after an upload, with what became of each image."""

    advice: list[LabelAdvice]
    results: list[ImageResult]
    notices: list[str]

    @property
    def refused(self) -> list[ImageResult]:
        """Images that could not be used, each with the reason."""
        return [result for result in self.results if result.code is not None]


class JobFailure(Answer):
    """Why a job failed."""

    code: str
    title: str
    expected: str
    got: str
    remedy: str


class JobLinks(Answer):
    """Where to go from a job."""

    self: str
    events: str
    cancel: str
    support_set: str
    model: str | None
    interim_model: str | None
    base_model: str | None


class Job(Answer):
    """A job and how far it is."""

    id: str
    name: str
    state: JobState
    support_set_id: str
    backbone: str
    method: str
    recipe: dict[str, Any]
    seed: int
    base_model_id: str | None
    attempt: int
    queue_place: int | None
    phase: Literal["validation", "fine-tuning"] | None
    step: int
    num_steps: int
    classification_loss: float | None
    absorption_loss: float | None
    conflict_cosine: float | None
    is_absorbing: bool | None
    absorption_stopped_at: int | None
    seconds_left: float | None
    is_cancel_requested: bool
    error: JobFailure | None
    model_id: str | None
    interim_model_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: JobLinks

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL_STATES


class JobPage(Answer):
    """Some jobs, newest first."""

    items: list[Job]
    next_cursor: str | None


class AddedClasses(Job):
    """A job that adds classes to a model, with what became of each image."""

    results: list[ImageResult]
    notices: list[str]

    @property
    def refused(self) -> list[ImageResult]:
        """Images that could not be used, each with the reason."""
        return [result for result in self.results if result.code is not None]


class Backbone(Answer):
    """A backbone that a job can take."""

    id: str
    description: str
    num_vision_layers: int
    num_text_layers: int
    joint_size: int
    image_side_pixels: int
    is_bundled: bool
    is_default: bool
    weights: Literal["bundled", "cached", "downloadable", "out_of_reach", "unknown"]


class BackboneList(Answer):
    """All backbones."""

    items: list[Backbone]


class ModelLinks(Answer):
    """Where to go from a model."""

    self: str
    predict: str
    adapter: str
    report: str
    job: str


class Accuracy(Answer):
    """Share of images that are classified correctly, and how sure it is."""

    accuracy: float
    low: float | None = None
    high: float | None = None
    num_images: int | None = None
    widening: float | None = None
    how: str | None = None
    ci95: float | None = None


class ClassRecall(Answer):
    """How often images of one class are recognised."""

    label: str
    num_images: int
    num_held_out: int
    recall: float | None


class HeldOutMistake(Answer):
    """A held-out image that was taken for another class."""

    image: str
    label: str
    said: str
    probability: float


class CalibrationError(Answer):
    """How far probabilities are from how often they are right."""

    before: float
    after: float


class ReliabilityBin(Answer):
    """A point of the reliability curve of held-out images."""

    low: float
    high: float
    num_images: int
    stated: float
    accuracy: float


class ImageGroups(Answer):
    """Images that are not independent."""

    count: int
    near_duplicates: list[list[str]]
    suspected_leaks: int


class Unknown(Answer):
    """How images that show none of the classes are told."""

    threshold: float
    num_images: int


class Choice(Answer):
    """What the job has chosen."""

    method: str
    tower: str
    scales: dict[str, float]


class ModelMetrics(Answer):
    """What was measured of a model before it was published."""

    expected_accuracy: Accuracy | None = None
    training_accuracy: float | None = None
    zero_shot: Accuracy | None = None
    linear_probe: Accuracy | None = None
    frozen_head: Accuracy | None = None
    fine_tuned: Accuracy | None = None
    per_class: list[ClassRecall] | None = None
    confusion: list[list[int]] | None = None
    mistakes: list[HeldOutMistake] | None = None
    calibration_error: CalibrationError | None = None
    reliability: list[ReliabilityBin] | None = None
    largest_coverage: float | None = None
    unknown: Unknown | None = None
    choice: Choice | None = None
    groups: ImageGroups | None = None
    num_support_images: int | None = None
    advice: list[str] | None = None
    support: Accuracy | None = None
    linear_probe_leave_one_out: Accuracy | None = None


class ModelBands(Answer):
    """How images of many bands are shown to a model."""

    bands: list[int]
    black: list[float]
    white: list[float]


class Model(Answer):
    """A published model."""

    id: str
    name: str
    aliases: list[str]
    job_id: str
    interim: bool
    backbone: str
    backbone_sha256: str
    labels: list[str]
    bands: ModelBands | None
    method: str
    recipe: dict[str, Any]
    advice: list[str]
    metrics: ModelMetrics
    false_rejects: float | None
    adapter_bytes: int
    pinned: bool
    resident: bool | None
    created_at: datetime
    links: ModelLinks


class ModelPage(Answer):
    """Some models, newest first."""

    items: list[Model]
    next_cursor: str | None


class AliasLinks(Answer):
    """Where to go from an alias."""

    self: str
    model: str


class Alias(Answer):
    """A name that points to a model."""

    name: str
    model_id: str
    updated_at: datetime
    links: AliasLinks


class AliasPage(Answer):
    """Some aliases, in alphabetical order."""

    items: list[Alias]
    next_cursor: str | None


class ImagePrediction(Answer):
    """The prediction for one image, or why it could not be read."""

    file: str
    status: int
    label: str | None = None
    probabilities: dict[str, float] | None = None
    none_of_these: bool | None = None
    familiarity: float | None = None
    negative_probability: float | None = None
    prediction_set: list[str] | None = None
    coverage: float | None = None
    code: str | None = None
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None


class PredictingModel(Answer):
    """The model that answered."""

    id: str
    name: str
    backbone: str


class Attention(Answer):
    """Where a model looked: shares of an image in a grid that covers it, before and after the model has learnt."""

    model: PredictingModel
    file: str
    rows: int
    columns: int
    before: list[list[float]]
    after: list[list[float]]
    is_tuned: bool
    is_rollout: bool


class PredictAnswer(Answer):
    """The prediction for each image of one request."""

    model: PredictingModel
    predictions: list[ImagePrediction]
