"""Describe what was measured of a model before it was published; `vtt_core/adapter/measure.py` makes these numbers.

Models of earlier releases have fewer of them, and some that are no longer made. Every field may be missing, and what is not
described here is shown as it was stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

HELD_OUT = "on support images that were held out: each was classified by a model that had not seen it"
NULL_UNMEASURED = "null where no image could be held out, as with one image a class"


class Measurement(BaseModel):
    """A number of a model; what is not known of it is not there."""

    model_config = ConfigDict(extra="allow")


class Accuracy(Measurement):
    """Share of images that are classified correctly, and how sure it is."""

    accuracy: float = Field(description="Between 0 and 1", examples=[0.84])
    low: float | None = Field(default=None, description="Lower end of the interval that should hold it in 95 of 100 cases")
    high: float | None = Field(default=None, description="Upper end of that interval")
    num_images: int | None = Field(default=None, description="Images that it was measured on")
    widening: float | None = Field(
        default=None, description="Factor on the variance, since held-out images share most of what they were predicted from"
    )
    how: str | None = Field(default=None, description="How images were held out", examples=["5-fold cross-validation"])
    ci95: float | None = Field(
        default=None, description="Half the width of a 95 % interval, in models of earlier releases, without `low` and `high`"
    )


class ClassRecall(Measurement):
    """How often images of one class are recognised."""

    label: str
    num_images: int = Field(description="Support images of the class")
    num_held_out: int = Field(description="Those that were held out at least once")
    recall: float | None = Field(description="Share of these that were taken for their class; null without any")


class Mistake(Measurement):
    """A held-out image that was taken for another class."""

    image: str = Field(description="File name as sent")
    label: str = Field(description="Its class in the support set")
    said: str = Field(description="What it was taken for")
    probability: float = Field(description="How sure that was")


class CalibrationError(Measurement):
    """How far probabilities are from how often they are right, on held-out images; 0 is best."""

    before: float = Field(description="With the usual scale of the scores")
    after: float = Field(description="With the scale that was chosen on the held-out images: what predictions use")


class ReliabilityBin(Measurement):
    """A point of the reliability curve: the held-out images whose stated probability lies between two bounds."""

    low: float
    high: float
    num_images: int = Field(description="At least one")
    stated: float = Field(description="Mean probability of the likeliest class")
    accuracy: float = Field(description="Share of the images whose likeliest class is right")


class Groups(Measurement):
    """Images that are not independent: those of one group are held out together."""

    count: int = Field(description="Number of groups; an image without one is a group of its own")
    near_duplicates: list[list[str]] = Field(description="Pairs of files that are probably one photo")
    suspected_leaks: int = Field(description="Pairs of them that were named in different groups")


class Unknown(Measurement):
    """How images that show none of the classes are told."""

    threshold: float = Field(
        description="Familiarity below which an image is none of these, at the usual share of false rejects"
    )
    num_images: int = Field(description="Held-out images that it was learnt from")


class Choice(Measurement):
    """What the job has chosen."""

    method: str = Field(description="As asked for", examples=["auto"])
    tower: str = Field(description="Image tower that is served: `frozen` or `fine-tuned`", examples=["frozen"])
    scales: dict[str, float] = Field(
        description="Weight of each part of the classifier, such as `ridge` and `text`; 0 for one that did not help"
    )


class ModelMetrics(Measurement):
    """What was measured of a model before it was published. Images are those of the support set, without the negative class."""

    expected_accuracy: Accuracy | None = Field(
        default=None,
        description=f"How well the model should classify new images like these. Measured {HELD_OUT}; {NULL_UNMEASURED}",
    )
    training_accuracy: float | None = Field(
        default=None, description="Accuracy on the images that the model has learnt from: says nothing about new ones"
    )
    zero_shot: Accuracy | None = Field(
        default=None,
        description="Accuracy of the backbone with the class names alone, which has learnt from no image. On the held-out "
        "images, or on all if none was",
    )
    linear_probe: Accuracy | None = Field(
        default=None, description=f"Accuracy of a linear classifier on the unchanged backbone, {HELD_OUT}; {NULL_UNMEASURED}"
    )
    frozen_head: Accuracy | None = Field(
        default=None,
        description=f"Accuracy of this service's classifier on the unchanged backbone, {HELD_OUT}; {NULL_UNMEASURED}",
    )
    fine_tuned: Accuracy | None = Field(
        default=None,
        description="Accuracy of short fine-tunings on parts of the support set, each measured on the rest; null "
        "without validation",
    )
    per_class: list[ClassRecall] | None = Field(default=None, description="Recall of each class, in the order of `labels`")
    confusion: list[list[int]] | None = Field(
        default=None,
        description="How many held-out images of each class (row) were taken for each class (column), in the order of "
        f"`labels`; {NULL_UNMEASURED}",
    )
    mistakes: list[Mistake] | None = Field(
        default=None, description="Held-out images that were taken for another class, the surest first: look for wrong labels"
    )
    calibration_error: CalibrationError | None = Field(
        default=None, description=f"How far probabilities can be trusted; {NULL_UNMEASURED}"
    )
    reliability: list[ReliabilityBin] | None = Field(
        default=None, description=f"How often answers are right, by the probability that they state; {NULL_UNMEASURED}"
    )
    largest_coverage: float | None = Field(
        default=None, description=f"Largest coverage that a prediction set of this model can promise; {NULL_UNMEASURED}"
    )
    unknown: Unknown | None = Field(
        default=None, description="How images of none of the classes are told; null where fewer than three could be held out"
    )
    choice: Choice | None = Field(default=None, description="What the job has chosen")
    groups: Groups | None = None
    num_support_images: int | None = Field(default=None, description="Images that the model has learnt from")
    advice: list[str] | None = Field(default=None, description="The same as the model's `advice`")
    support: Accuracy | None = Field(
        default=None,
        description="Of models of earlier releases: accuracy on the images that they had learnt from, which says nothing about "
        "new ones; now `training_accuracy`",
    )
    linear_probe_leave_one_out: Accuracy | None = Field(
        default=None,
        description="Of models of earlier releases: accuracy of a linear classifier on the unchanged backbone, leaving out "
        "each image in turn",
    )


LISTED = frozenset(
    {
        *("expected_accuracy", "training_accuracy", "zero_shot", "linear_probe", "frozen_head", "fine_tuned"),
        *("calibration_error", "largest_coverage", "unknown", "choice", "num_support_images"),
        *("support", "linear_probe_leave_one_out"),
    }
)
"""What a list of models shows: single numbers, and nothing that grows with the classes or the images."""


def listed_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a model's metrics that a list of models shows."""
    return {name: value for name, value in metrics.items() if name in LISTED}
