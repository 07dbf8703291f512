"""Schemas of predictions."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from vtt_core.contract.errors import VttError

ANSWERED = 200
REFUSED = 422


class ImagePrediction(BaseModel):
    """The prediction for one image, or why it could not be read."""

    file: str = Field(description="Name as sent", examples=["field.jpg"])
    status: int = Field(description="200 classified, 422 refused", examples=[200])
    label: str | None = Field(default=None, description="The likeliest class", examples=["annual crop"])
    probabilities: dict[str, float] | None = Field(
        default=None,
        description="Probability of every class, the likeliest first; they sum to 1",
        examples=[{"annual crop": 0.93, "forest": 0.07}],
    )
    code: str | None = Field(default=None, description="Why it was refused, for machines")
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None

    @classmethod
    def refused(cls, file: str, error: VttError) -> Self:
        """Return the result of an image that could not be read."""
        return cls(file=file, status=REFUSED, code=error.code, expected=error.expected, got=error.got, remedy=error.remedy)


class PredictingModel(BaseModel):
    """The model that answered."""

    id: str = Field(description="Its version: a model never changes", examples=["mdl_0f1e2d3c4b5a69788796a5b4"])
    name: str
    backbone: str


class PredictAnswer(BaseModel):
    """The prediction for each image, in the order they were sent."""

    model: PredictingModel
    predictions: list[ImagePrediction]
