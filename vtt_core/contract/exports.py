"""What an export is and what is reported of it, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

LARGEST_LOGIT_DIFFERENCE = 1e-3
"""How far a logit of an export in float32 may be from our own."""


class ExportKind(StrEnum):
    """The format of an export."""

    PEFT = "peft"
    """A LoRA that stock peft loads onto `transformers.CLIPModel`."""
    OPEN_CLIP = "open_clip"
    """Merged weights that stock open_clip loads."""
    ONNX = "onnx"
    """One graph from pixels to probabilities."""
    WEB = "web"
    """A page that runs the ONNX graph in a browser."""
    ADAPTER = "adapter"
    """Our own two files, as `vtt adapt` writes them."""


@dataclass(frozen=True)
class Agreement:
    """How well an export agrees with the adapter that it was made from."""

    num_images: int
    """Images that were compared."""
    largest_logit_difference: float
    """Of any class of any image."""
    same_top1: float
    """Share of the images with the same likeliest class."""


@dataclass(frozen=True)
class Variant:
    """One precision of an ONNX export."""

    file_name: str
    size_bytes: int
    agreement: Agreement
    note: str
    """How it was made, in a sentence."""


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with the adapter."""

    kind: ExportKind
    files: Mapping[str, int]
    """Size in bytes of each file, by its path in the folder."""
    load_seconds: float
    """Time that the other library took to load the export, its own import left out."""
    agreement: Agreement
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """By precision; only of an ONNX export."""

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(self.files.values())

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self) | {"kind": self.kind.value, "files": dict(self.files), "size_bytes": self.size_bytes}
