"""Results of the images of a request.

Each image has a result of its own, with one exception: if more than a few files of an archive are refused for the same
reason, they share one result. Its `count` says how many, so the counts of all results add up to the number of files.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Self

from pydantic import BaseModel, Field

from vtt_core.contract.errors import VttError
from vtt_core.ingest.causes import by_cause

CREATED = 201
REFUSED = 422
MULTI_STATUS = 207
MAX_NAMED_FILES = 100
"""Most files that one result names."""


class ImageResult(BaseModel):
    """The result of one image, of a class or archive that was refused as a whole, or of many files refused for one reason."""

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
    count: int = Field(
        default=1,
        description="Number of files with this result: 1, or more if many files of an archive are refused for the same reason;"
        " then `file` is the first of them",
        examples=[1],
    )
    files: list[str] | None = Field(
        default=None, description=f"If `count` is above 1: the names of the first {MAX_NAMED_FILES} files"
    )

    @classmethod
    def kept(cls, file: str, label: str, image_id: str) -> Self:
        """Return the result of an image that was kept."""
        return cls(file=file, label=label, status=CREATED, image_id=image_id)

    @classmethod
    def refused(cls, file: str | None, label: str | None, error: VttError) -> Self:
        """Return the result of an image that was refused."""
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


def group_by_cause(results: Sequence[ImageResult], archive_slots: Set[int]) -> list[ImageResult]:
    """Return the results, where many files of an archive that were refused for the same reason share one.

    Args:
        results: one for each image.
        archive_slots: positions of the results that may be grouped, those of files in archives.
    """
    causes = [
        (result.code, result.expected, result.remedy)
        if slot in archive_slots and result.status == REFUSED and result.file is not None
        else slot
        for slot, result in enumerate(results)
    ]
    return [_together([results[slot] for slot in group]) for group in by_cause(causes)]


def _together(group: list[ImageResult]) -> ImageResult:
    first = group[0]
    if len(group) == 1:
        return first
    changes = {
        "label": first.label if all(result.label == first.label for result in group) else None,
        "got": f"{len(group)} files; the first one: {first.got}",
        "count": len(group),
        "files": [result.file for result in group[:MAX_NAMED_FILES]],
    }
    return first.model_copy(update=changes)
