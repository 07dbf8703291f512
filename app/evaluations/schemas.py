"""Schemas of evaluations."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from app.uploads.results import ImageResult

INTERVAL_LOW = "Lower end of its 95 % interval (Wilson)"
INTERVAL_HIGH = "Upper end of that interval"


class EvaluationAccuracy(BaseModel):
    """Share of the images that were classified correctly. `none_of_these` does not count here."""

    accuracy: float = Field(description="Between 0 and 1", examples=[0.84])
    low: float = Field(description=INTERVAL_LOW, examples=[0.76])
    high: float = Field(description=INTERVAL_HIGH, examples=[0.9])
    num_images: int = Field(description="Images of classes that the model knows", examples=[100])


class ShareAnswer(BaseModel):
    """A share of some images."""

    share: float = Field(description="Between 0 and 1", examples=[0.04])
    low: float = Field(description=INTERVAL_LOW, examples=[0.02])
    high: float = Field(description=INTERVAL_HIGH, examples=[0.1])
    num_images: int = Field(description="Images that it is a share of", examples=[100])


class ClassScoresAnswer(BaseModel):
    """How well one class is told."""

    label: str = Field(examples=["annual crop"])
    support: int = Field(description="Images of the class", examples=[25])
    precision: float | None = Field(description="Share of the images taken for it that are of it; null if none was")
    recall: float | None = Field(description="Share of its images that were taken for it; null without any")
    f1: float | None = Field(description="Harmonic mean of precision and recall; null without images of the class")


class ReliabilityBinAnswer(BaseModel):
    """A point of the reliability curve: the images whose stated probability lies between two bounds."""

    low: float = Field(examples=[0.8])
    high: float = Field(examples=[0.9])
    num_images: int = Field(examples=[31])
    stated: float | None = Field(description="Mean probability of the likeliest class; null for an empty bin", examples=[0.86])
    accuracy: float | None = Field(description="Share whose likeliest class is right; null for an empty bin", examples=[0.81])


class SetCoverageAnswer(BaseModel):
    """How often prediction sets held the true class."""

    promised: float = Field(
        description="What the sets promise: the coverage that was asked for, or the largest that the model can promise",
        examples=[0.9],
    )
    covered: ShareAnswer = Field(description="Share of the images whose true class was in the set")
    mean_size: float = Field(description="Classes in a set, on average", examples=[1.4])


class UnknownClassesAnswer(BaseModel):
    """Images of classes that the model does not know. They count here alone."""

    labels: dict[str, int] = Field(description="Number of images by class, as sent", examples=[{"airport": 5}])
    told: ShareAnswer | None = Field(
        description="Share of them that the model rightly called `none_of_these`; null if there are none, or it cannot tell"
    )


class EvaluationMistake(BaseModel):
    """An image that was taken for another class."""

    image: str = Field(description="File name as sent", examples=["forest/17.jpg"])
    label: str = Field(description="Its class", examples=["forest"])
    said: str = Field(description="What it was taken for", examples=["river"])
    probability: float = Field(description="How sure that was", examples=[0.62])
    none_of_these: bool | None = Field(description="Whether the model also said that it shows none of the classes")
    link: str | None = Field(description="Where the image is; null if it was not kept, or was deleted")


class ComparedAnswer(BaseModel):
    """This model beside the first one of the request, image by image."""

    model: str = Field(description="The first model", examples=["mdl_0f1e2d3c4b5a69788796a5b4"])
    difference: float = Field(
        description="Accuracy of this model minus that of the first, on the images whose classes both know", examples=[0.03]
    )
    low: float = Field(
        description="Lower end of its 95 % interval: Bonett and Price's for paired proportions, which holds for few images too",
        examples=[-0.02],
    )
    high: float = Field(description=INTERVAL_HIGH, examples=[0.08])
    p_value: float = Field(
        description="How often two equally good models would differ as much or more: the exact McNemar test, on the images "
        "that one of them alone classifies correctly",
        examples=[0.36],
    )
    num_images: int = Field(description="Images whose classes both know", examples=[100])
    num_only_this: int = Field(description="Images that only this model classifies correctly", examples=[8])
    num_only_other: int = Field(description="Images that only the first model does", examples=[5])


class EvaluationLinks(BaseModel):
    """Where to go from an evaluation."""

    self: str
    model: str


class EvaluationSummary(BaseModel):
    """What was measured of one model, in short."""

    id: str = Field(examples=["evl_0f1e2d3c4b5a69788796a5b4"])
    name: str = Field(description="What you call the images")
    model: str = Field(description="Id of the model", examples=["mdl_0f1e2d3c4b5a69788796a5b4"])
    data_sha256: str = Field(description="Digest of the images with their labels: the same for the same images")
    num_images: int = Field(description="Images that could be used, those of unknown classes included", examples=[105])
    accuracy: EvaluationAccuracy
    has_images: bool = Field(description="Whether the images are kept")
    created_at: datetime
    links: EvaluationLinks


class EvaluationAnswer(EvaluationSummary):
    """What was measured of one model."""

    coverage: float = Field(description="Coverage of prediction sets that was asked for", examples=[0.9])
    false_rejects: float = Field(
        description="Share of images of the classes that might be taken for none of them, as asked for", examples=[0.05]
    )
    macro_f1: float = Field(description="Mean F1 of the classes that have images", examples=[0.83])
    labels: list[str] = Field(description="Classes of the model, in the order of `confusion`")
    per_class: list[ClassScoresAnswer] = Field(description="In the order of `labels`")
    confusion: list[list[int]] = Field(description="How many images of each class (row) were taken for each class (column)")
    calibration_error: float = Field(
        description="How far probabilities are from how often they are right, on average; 0 is best", examples=[0.06]
    )
    reliability: list[ReliabilityBinAnswer] = Field(description="Ten bins of the probability of the likeliest class")
    prediction_sets: SetCoverageAnswer | None = Field(description="Null if the model has no prediction sets")
    none_of_these: ShareAnswer | None = Field(
        description="Share of the images of known classes that were called `none_of_these`, wrongly; null if it cannot tell"
    )
    unknown: UnknownClassesAnswer
    mistakes: list[EvaluationMistake] = Field(description="The surest first: look for wrong labels")
    compared: ComparedAnswer | None = Field(
        description="Beside the first model of the request; null for that one, or if they know no class of the images in common"
    )


class KeptImageAnswer(BaseModel):
    """An image that was kept."""

    id: str = Field(examples=["img_0f1e2d3c4b5a69788796a5b4"])
    file: str = Field(description="Name as sent")
    label: str = Field(description="Its class, as sent")
    link: str


class EvaluationDetail(EvaluationAnswer):
    """An evaluation with its images."""

    images: list[KeptImageAnswer] = Field(description="Those that were kept; empty if none was")


class EvaluationsAnswer(BaseModel):
    """One evaluation per model, in the order of the request, and the images that could not be used."""

    evaluations: list[EvaluationAnswer]
    refused: list[ImageResult] = Field(description="Images that could not be used, each with the reason; all others were")
    notices: list[str] = Field(
        description="What else is worth knowing, for people: for example classes that a model does not know"
    )


class EvaluationPage(BaseModel):
    """Some evaluations, newest first."""

    items: list[EvaluationSummary]
    next_cursor: str | None = Field(description="Null on the last page")
