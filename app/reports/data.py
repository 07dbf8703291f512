"""What is known of a model's support set, and the digest that names it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NEGATIVE = ""
"""Label of the negative class in a digest; it has none of its own."""
DIGEST_RULE = (
    "the SHA-256 of one line per image, in the order of the lines: the SHA-256 of the file as it was sent, a space, the label"
    " (nothing for the negative class) and a line feed, in UTF-8"
)


def data_digest(images: Iterable[tuple[str, str]]) -> str:
    """Return a digest of a support set that does not depend on the order of its images.

    Args:
        images: of each image the SHA-256 of the file as it was sent, in hexadecimal, and its label; `NEGATIVE` for an image
            of the negative class.
    """
    lines = sorted(f"{sha256} {label}\n" for sha256, label in images)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class DataFacts:
    """A support set, without its images."""

    sha256: str
    """Of `data_digest`."""
    classes: tuple[tuple[str, int], ...]
    """Label and number of images of each class."""
    num_groups: int
    """Groups that the user named."""
    num_negatives: int
    """Images of the negative class."""

    @property
    def num_images(self) -> int:
        """Number of images of all classes, without the negative one."""
        return sum(num_images for _, num_images in self.classes)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataFacts:
        """Read what `vtt adapt` writes.

        Raises:
            KeyError: a field is missing.
            TypeError: a field has another type.
            ValueError: a field has an impossible value.
        """
        classes = tuple((str(one["label"]), int(one["num_images"])) for one in values["classes"])
        return cls(str(values["sha256"]), classes, int(values["num_groups"]), int(values["num_negatives"]))
