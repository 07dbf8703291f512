"""Schemas of support sets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.changes import Change
from app.display_names import DisplayName, FileName
from app.uploads.results import ImageResult


class ClassSummary(BaseModel):
    """One class of a support set."""

    label: str = Field(examples=["annual crop"])
    shot: int = Field(description="Number of images", examples=[5])
    role: Literal["class", "negative"] = Field(
        default="class", description="`negative`: its images show none of the classes, and no model has its label"
    )


class SupportSetLinks(BaseModel):
    """Where to go from a support set."""

    self: str
    images: str


class SupportSetSummary(BaseModel):
    """A support set without its images."""

    id: str = Field(examples=["set_0f1e2d3c4b5a69788796a5b4"])
    name: str
    way: int = Field(description="Number of classes with at least one image, without the negative one")
    classes: list[ClassSummary] = Field(description="In the order that models follow; then the negative class")
    negative: str | None = Field(description="Label of the negative class; null for none", examples=["something else"])
    bands: list[int] | None = Field(
        description="Of images with many bands: those that are shown as red, green and blue, counted from 1; null for ordinary "
        "images",
        examples=[[4, 3, 2]],
    )
    stretch: list[float] | None = Field(
        description="With `bands`: percentiles of all images that become black and white", examples=[[2, 98]]
    )
    empty_classes: list[str] = Field(description="Named but without a usable image; a job is refused until there are none")
    is_frozen: bool = Field(description="Whether a job has used it, so that it can no longer change")
    created_at: datetime
    frozen_at: datetime | None
    links: SupportSetLinks


class ImageLinks(BaseModel):
    """Where to see an image."""

    self: str = Field(description="The image as it is stored")
    thumbnail: str = Field(description="A small WebP; `?side=` is its longest side in pixels")


class StoredImage(BaseModel):
    """One image of a support set."""

    id: str = Field(examples=["img_0f1e2d3c4b5a69788796a5b4"])
    file: str = Field(description="Name as sent")
    label: str
    group: str | None = Field(
        description="What it has in common with others, such as the patient; null if nothing is known", examples=["patient 7"]
    )
    width: int = Field(description="In pixels")
    height: int = Field(description="In pixels")
    image_format: str = Field(examples=["JPEG"])
    size_bytes: int = Field(description="Of what is stored: the image without its metadata")
    sha256: str = Field(description="Of the file as it was sent")
    links: ImageLinks


class LabelAdvice(BaseModel):
    """What could be better about a label; it may be ignored."""

    code: str = Field(description="Kind of advice, for machines", examples=["label.camel_case"])
    label: str = Field(examples=["AnnualCrop"])
    prompt: str = Field(description="What the text encoder reads of the class", examples=["a photo of a AnnualCrop."])
    message: str = Field(description="Why the label makes a poor prompt")
    suggestion: str | None = Field(
        description="A better label; null where only you can name the class. PATCH .../classes renames a class",
        examples=["annual crop"],
    )


class SupportSetDetail(SupportSetSummary):
    """A support set with its images."""

    advice: list[LabelAdvice] = Field(description="Labels that make poor prompts, such as names of folders")
    images: list[StoredImage]


class SupportSetChange(Change):
    """What to change about a support set."""

    name: DisplayName = Field(default_factory=str, description="What you call the set; also of a frozen one")
    negative: str | None = Field(
        default=None,
        max_length=400,
        description="Label of the class that becomes the negative one; null for none",
        examples=["something else"],
    )
    bands: Annotated[str, Field(max_length=100)] | Annotated[list[int], Field(max_length=3)] | None = Field(
        default=None,
        description="As of an upload, such as 4,3,2, or as the set's answer has it, such as [4, 3, 2]; null for ordinary "
        "images. Only of a set without images",
        examples=["4,3,2", [4, 3, 2]],
    )
    stretch: Annotated[str, Field(max_length=100)] | Annotated[list[float], Field(max_length=2)] | None = Field(
        default=None, description="As of an upload or of the set's answer, with `bands`", examples=["2,98", [2, 98]]
    )


class ClassChange(BaseModel):
    """What to change about a class."""

    model_config = ConfigDict(extra="forbid")

    label: str = Field(min_length=1, max_length=400, description="The new label", examples=["annual crop"])


class ImageChange(Change):
    """What to change about an image."""

    label: str = Field(
        default_factory=str,
        min_length=1,
        max_length=400,
        description="Class that the image is moved to; one that the set does not have yet is added",
        examples=["forest"],
    )
    file: FileName = Field(default_factory=str, description="Name of its file", examples=["leaf 7.jpg"])
    group: str | None = Field(
        default=None, max_length=400, description="What it has in common with others; null for nothing", examples=["patient 7"]
    )


class GroupsRequest(BaseModel):
    """Groups of images."""

    model_config = ConfigDict(extra="forbid")

    groups: dict[str, str | None] = Field(
        description="Group by image id or file name, at most 200 characters; null takes an image out of its group",
        examples=[{"img_0f1e2d3c4b5a69788796a5b4": "patient 7", "cat/1.png": None}],
    )


class GroupsAnswer(SupportSetDetail):
    """A support set after a change of groups."""

    notices: list[str] = Field(description="What else is worth knowing, for people: for example names that no image has")


class UploadAnswer(SupportSetSummary):
    """A support set after an upload, with what became of each image of it."""

    advice: list[LabelAdvice] = Field(description="Labels that make poor prompts, such as names of folders")
    results: list[ImageResult]
    notices: list[str] = Field(
        description="What else is worth knowing, for people: for example that only the folder `train` of an archive was used"
    )


class SupportSetPage(BaseModel):
    """Some support sets, newest first."""

    items: list[SupportSetSummary]
    next_cursor: str | None = Field(description="Null on the last page")
