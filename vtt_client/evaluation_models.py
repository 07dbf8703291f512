"""What the service answers about a measured model; held to the description of the API as `models.py` is."""

from __future__ import annotations

from datetime import datetime

from vtt_client.models import Answer, ImageResult


class EvaluationAccuracy(Answer):
    """Share of the images that were classified correctly."""

    accuracy: float
    low: float
    high: float
    num_images: int


class Share(Answer):
    """A share of some images."""

    share: float
    low: float
    high: float
    num_images: int


class ClassScores(Answer):
    """How well one class is told."""

    label: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


class ReliabilityPoint(Answer):
    """A point of the reliability curve."""

    low: float
    high: float
    num_images: int
    stated: float | None
    accuracy: float | None


class SetCoverage(Answer):
    """How often prediction sets held the true class."""

    promised: float
    covered: Share
    mean_size: float


class UnknownClasses(Answer):
    """Images of classes that the model does not know."""

    labels: dict[str, int]
    told: Share | None


class Mistake(Answer):
    """An image that was taken for another class."""

    image: str
    label: str
    said: str
    probability: float
    none_of_these: bool | None
    link: str | None


class Compared(Answer):
    """A model beside the first one of the request, image by image."""

    model: str
    difference: float
    low: float
    high: float
    p_value: float
    num_images: int
    num_only_this: int
    num_only_other: int


class EvaluationLinks(Answer):
    """Where to go from an evaluation."""

    self: str
    model: str


class KeptImage(Answer):
    """An image that was kept."""

    id: str
    file: str
    label: str
    link: str


class EvaluationSummary(Answer):
    """Which model was measured, on which images, and its accuracy."""

    id: str
    name: str
    model: str
    data_sha256: str
    num_images: int
    accuracy: EvaluationAccuracy
    has_images: bool
    created_at: datetime
    links: EvaluationLinks


class Evaluation(EvaluationSummary):
    """All that was measured of one model."""

    coverage: float
    false_rejects: float
    macro_f1: float
    labels: list[str]
    per_class: list[ClassScores]
    confusion: list[list[int]]
    calibration_error: float
    reliability: list[ReliabilityPoint]
    prediction_sets: SetCoverage | None
    none_of_these: Share | None
    unknown: UnknownClasses
    mistakes: list[Mistake]
    compared: Compared | None
    images: list[KeptImage]


class Evaluations(Answer):
    """One evaluation per model, and the images that could not be used."""

    evaluations: list[Evaluation]
    refused: list[ImageResult]
    notices: list[str]


class EvaluationPage(Answer):
    """Some evaluations, newest first."""

    items: list[EvaluationSummary]
    next_cursor: str | None
