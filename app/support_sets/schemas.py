"""Schemas of support sets."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from app.uploads.results import ImageResult


class ClassSummary(BaseModel):
    """One class of a support set."""

    label: str = Field(examples=["annual crop"])
    shot: int = Field(description="Number of images", examples=[5])


class SupportSetLinks(BaseModel):
    """Where to go from a support set."""

    self: str
    images: str


class SupportSetSummary(BaseModel):
    """A support set without its images."""

    id: str = Field(examples=["set_0f1e2d3c4b5a69788796a5b4"])
    name: str
    way: int = Field(description="Number of classes with at least one image")
    classes: list[ClassSummary] = Field(description="In the order that models follow")
    empty_classes: list[str] = Field(description="Named but without a usable image; a job is refused until there are none")
    is_frozen: bool = Field(description="Whether a job has used it, so that it can no longer change")
    created_at: datetime
    frozen_at: datetime | None
    links: SupportSetLinks


class StoredImage(BaseModel):
    """One image of a support set."""

    id: str = Field(examples=["img_0f1e2d3c4b5a69788796a5b4"])
    file: str = Field(description="Name as sent")
    label: str
    width: int = Field(description="In pixels")
    height: int = Field(description="In pixels")
    image_format: str = Field(examples=["JPEG"])
    size_bytes: int = Field(description="Of what is stored: the image without its metadata")
    sha256: str = Field(description="Of the file as it was sent")


class LabelAdvice(BaseModel):
    """What could be better about a label; it may be ignored."""

    code: str = Field(description="Kind of advice, for machines", examples=["label.camel_case"])
    label: str = Field(examples=["AnnualCrop"])
    prompt: str = Field(description="What the text encoder reads of the class", examples=["a photo of a AnnualCrop."])
    message: str = Field(description="Why the label makes a poor prompt")
    suggestion: str | None = Field(
        description="A better label; null where only you can name the class. To change a label, send the images again under it",
        examples=["annual crop"],
    )


class SupportSetDetail(SupportSetSummary):
    """A support set with its images."""

    advice: list[LabelAdvice] = Field(description="Labels that make poor prompts, such as names of folders")
    images: list[StoredImage]


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
