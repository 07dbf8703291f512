"""Schemas of predictions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, Field

from vtt_core.contract.errors import VttError
from vtt_core.contract.serving import AttentionGrids, Prediction

ANSWERED = 200
REFUSED = 422


class ImagePrediction(BaseModel):
    """The prediction for one image, or why it could not be read. Fields of the other kind are not there."""

    file: str = Field(description="Name as sent", examples=["field.jpg"])
    status: int = Field(description="200 classified, 422 refused", examples=[200])
    label: str | None = Field(
        default=None,
        description="The likeliest class, also for an image that shows none of them: look at `none_of_these` first",
        examples=["annual crop"],
    )
    probabilities: dict[str, float] | None = Field(
        default=None,
        description="Probability of every class, the likeliest first; they sum to 1, as if the image showed one of them",
        examples=[{"annual crop": 0.93, "forest": 0.07}],
    )
    none_of_these: bool | None = Field(
        default=None,
        description="Whether the image probably shows none of the classes: `familiarity` is below 0, or `negative_probability` "
        "is 0.5 or more. Null if the model cannot tell: too few of its support images could be left out to learn what is "
        "usual, or it was made by an earlier release",
        examples=[False],
    )
    familiarity: float | None = Field(
        default=None,
        description="How much more the image is like the support images than the threshold asks for; below 0 is none of these. "
        "The threshold is that below which the share `false_rejects` of images of the classes is expected. It tells other "
        "kinds of images, such as noise or photos of other things, but not unknown classes of the same kind: give examples of "
        "these as the negative class. Null if the model cannot tell",
        examples=[0.08],
    )
    negative_probability: float | None = Field(
        default=None,
        description="Probability of the negative class; null if the support set had none",
        examples=[0.02],
    )
    prediction_set: list[str] | None = Field(
        default=None,
        description="All classes that the image may well be of, the likeliest first: for images like the support images, the "
        "true class is among them in the share `coverage` of cases. Null if the model can promise nothing: no support image "
        "could be left out, or it was made by an earlier release",
        examples=[["annual crop"]],
    )
    coverage: float | None = Field(
        default=None,
        description="What `prediction_set` promises: the coverage that was asked for, or the largest that the number of "
        "support images allows (N/(N+1) of N left-out images). Null without a prediction set",
        examples=[0.9],
    )
    code: str | None = Field(default=None, description="Why it was refused, for machines")
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None

    @classmethod
    def answered(cls, file: str, prediction: Prediction) -> Self:
        """Return the result of an image that was classified."""
        asked_for = asdict(prediction)
        return cls(file=file, status=ANSWERED, label=next(iter(prediction.probabilities)), **asked_for)

    @classmethod
    def refused(cls, file: str, error: VttError) -> Self:
        """Return the result of an image that could not be read."""
        return cls(file=file, status=REFUSED, code=error.code, expected=error.expected, got=error.got, remedy=error.remedy)


class PredictingModel(BaseModel):
    """The model that answered."""

    id: str = Field(description="Its version: what a model has learnt never changes", examples=["mdl_0f1e2d3c4b5a69788796a5b4"])
    name: str
    backbone: str


class PredictAnswer(BaseModel):
    """The prediction for each image, in the order they were sent."""

    model: PredictingModel
    predictions: list[ImagePrediction]


class AttentionAnswer(BaseModel):
    """How much each part of an image has to do with what is read of it, before and after the training."""

    model: PredictingModel
    file: str = Field(description="Name as sent", examples=["field.jpg"])
    rows: int = Field(description="Rows of a grid", examples=[14])
    columns: int = Field(description="Columns of a grid", examples=[14])
    before: list[list[float]] = Field(
        description="Of the unchanged backbone: share of each part, from the top left, row by row; they sum to 1. The grid "
        "covers the whole image, upright; the backbone reads it squashed to a square",
        examples=[[[0.1, 0.2], [0.3, 0.4]]],
    )
    after: list[list[float]] = Field(description="The same of the model", examples=[[[0.2, 0.2], [0.2, 0.4]]])
    is_tuned: bool = Field(
        description="Whether the model has fine-tuned how images are read. If not, `after` is the same as `before`"
    )
    is_rollout: bool = Field(
        description="Whether attention was followed through all blocks of the vision tower (CLIP); if not, it is that of the "
        "pooling at its end (SigLIP2, PE-Core)"
    )

    @classmethod
    def of(cls, model: PredictingModel, file: str, grids: AttentionGrids) -> Self:
        """Return the answer for one image."""
        before, after = ([list(row) for row in grid] for grid in (grids.before, grids.after))
        return cls(
            model=model,
            file=file,
            rows=len(before),
            columns=len(before[0]),
            before=before,
            after=after,
            is_tuned=grids.is_tuned,
            is_rollout=grids.is_rollout,
        )
