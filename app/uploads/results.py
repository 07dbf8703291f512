"""Say what became of each image of a request."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from vtt_core.contract.errors import VttError

CREATED = 201
REFUSED = 422
MULTI_STATUS = 207


class ImageResult(BaseModel):
    """What became of one image (or of one class or archive that was refused as a whole)."""

    file: str | None = Field(
        default=None, description="Name as sent; null for a class that came without any", examples=["cat/1.jpg"]
    )
    label: str | None = Field(default=None, description="Class, as it will be used; null for a query image", examples=["cat"])
    status: int = Field(description="201 kept, 422 refused", examples=[201])
    image_id: str | None = Field(default=None, description="Id of a kept image", examples=["img_0f1e2d3c4b5a69788796a5b4"])
    code: str | None = Field(default=None, description="Why it was refused, for machines", examples=["image.truncated"])
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None

    @classmethod
    def kept(cls, file: str, label: str, image_id: str) -> Self:
        """Return the result of an image that is in the set now."""
        return cls(file=file, label=label, status=CREATED, image_id=image_id)

    @classmethod
    def refused(cls, file: str | None, label: str | None, error: VttError) -> Self:
        """Return the result of an image that was left out."""
        return cls(
            file=file,
            label=label,
            status=REFUSED,
            code=error.code,
            expected=error.expected,
            got=error.got,
            remedy=error.remedy,
        )


def overall_status(results: list[ImageResult]) -> int:
    """Return 201 where every image was kept, else 207."""
    return CREATED if all(result.status == CREATED for result in results) else MULTI_STATUS
