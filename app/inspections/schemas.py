"""Schemas of reports on support sets."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _OfReport(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class HeldOutAccuracy(_OfReport):
    """A share of images that were recognised, with its 95 % interval."""

    accuracy: float = Field(examples=[0.68])
    half_width: float = Field(description="Half the width of its 95 % interval", examples=[0.13])
    num_images: int = Field(description="Different images that were classified by what was learnt from others")


class InspectedClass(_OfReport):
    """One class."""

    label: str = Field(examples=["annual crop"])
    shot: int = Field(description="Number of images")
    num_independent: int = Field(description="Images that depend on no other: copies and images of one group count once")
    recall: float | None = Field(
        description="Share of its held-out images that were recognised; null if none could be held out"
    )
    confused_with: str | None = Field(description="The class that its images were most often taken for")


class CopiesAnswer(_OfReport):
    """Two images that look like one photo."""

    images: tuple[str, str] = Field(description="Their names")
    labels: tuple[str | None, str | None] = Field(description="Their classes; null is the negative class")


class DoubtfulLabel(_OfReport):
    """An image that looks like another class."""

    image: str
    label: str
    looks_like: str
    times_likelier: float = Field(description="Probability of that class over that of the label")


class ShortcutAnswer(_OfReport):
    """How well the class is told by one plain fact about an image."""

    fact: str = Field(examples=["image size"])
    accuracy: float
    chance: float
    p_value: float = Field(description="How often labels at random do as well, times the number of facts; at most 1")
    told: list[str] = Field(description="Classes most of whose images are told")
    is_shortcut: bool


class CurvePointAnswer(_OfReport):
    """Held-out accuracy with so many images of each class."""

    shot: int
    measured: HeldOutAccuracy


class FindingAnswer(_OfReport):
    """Something worth knowing, in plain words."""

    kind: str = Field(description="For machines", examples=["copies.across_classes"])
    severity: Literal["problem", "notice"] = Field(
        description="`problem`: numbers or labels are probably wrong. `notice`: worth a look"
    )
    sentence: str
    images: list[str] = Field(description="Names of the images that it is about")


class ReportAnswer(_OfReport):
    """What is known about a support set before any training."""

    support_set_id: str = Field(examples=["set_0f1e2d3c4b5a69788796a5b4"])
    backbone: str = Field(description="The frozen backbone that looked at the images: the service's default")
    num_images: int
    held_out: HeldOutAccuracy | None = Field(
        description="Of a closed-form classifier on the frozen backbone; null if no image could be held out"
    )
    classes: list[InspectedClass] = Field(description="In the order that models follow")
    copies: list[CopiesAnswer] = Field(description="Pairs of images that look like one photo")
    label_doubts: list[DoubtfulLabel] = Field(description="Images that look like another class, the surest first")
    shortcuts: list[ShortcutAnswer] = Field(description="Every fact that was tried; none where there are too few images")
    learning_curve: list[CurvePointAnswer]
    gain_of_doubling: float | None = Field(
        description="HeldOutAccuracy that twice as many images as at the last point of `learning_curve` would likely add to it"
    )
    findings: list[FindingAnswer] = Field(description="Problems first; empty if nothing is wrong or worth a look")
    image_ids: dict[str, str] = Field(description="Id of every image by the name that the report calls it")
