"""What serves predictions, as the rest of the program sees it: it imports no torch, so that every role can speak of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set_report import ImageToInspect, SupportSetReport

LoadFiles = Callable[[], Mapping[str, bytes]]
"""Reads the files of an adapter, by name."""
ReadBytes = Callable[[], bytes]
"""Reads an encoded image; may raise a VttError."""


DEFAULT_COVERAGE = 0.9
DEFAULT_FALSE_REJECTS = 0.05


@dataclass(frozen=True)
class AnswerOptions:
    """What a caller wants to know besides probabilities."""

    coverage: float = DEFAULT_COVERAGE
    """Share of images whose true class should be in the prediction set."""
    false_rejects: float = DEFAULT_FALSE_REJECTS
    """Share of images of the classes that may be taken for none of them."""


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for."""

    probabilities: dict[str, float]
    """Probability of every label, the likeliest first; they sum to 1."""
    none_of_these: bool | None = None
    """Whether the image is probably of none of the classes; None where the model cannot tell."""
    familiarity: float | None = None
    """How like the support images it is, less the threshold: below 0 is none of these."""
    negative_probability: float | None = None
    """Probability of the negative class, where the model has one."""
    prediction_set: tuple[str, ...] | None = None
    """All classes that it may well be of, the likeliest first; None where nothing can be promised."""
    coverage: float | None = None
    """What the set promises: the wanted coverage, or the largest that the support images allow."""


Grid = tuple[tuple[float, ...], ...]
"""A number for each part of an image, by rows."""


@dataclass(frozen=True)
class AttentionGrids:
    """How much of the image feature comes from each part of an image. A grid covers the whole image and sums to 1."""

    before: Grid
    """Of the unchanged backbone."""
    after: Grid
    """Of the model."""
    is_tuned: bool
    """Whether the model has another vision tower than the backbone; if not, both grids are the same."""
    is_rollout: bool
    """Whether attention was followed through all blocks (CLIP). If not, it is that of the pooling (SigLIP, PE-Core)."""


@dataclass(frozen=True)
class ResidentAdapter:
    """An adapter in memory."""

    model_id: str
    size_bytes: int
    """Memory of its tensors."""
    is_pinned: bool
    """Whether it stays, however full the memory is."""


@dataclass(frozen=True)
class AdapterCounts:
    """What has happened to adapters since the start."""

    hits: int = 0
    """Found in memory."""
    loads: int = 0
    """Read from their files."""
    evictions: int = 0
    """Removed for want of room."""
    load_seconds: float = 0.0
    """Sum over all loads."""


@dataclass(frozen=True)
class BatchCounts:
    """What has happened in batches since the start."""

    batches: int = 0
    images: int = 0
    """In all batches."""
    seconds: float = 0.0
    """Sum over all batches."""
    sizes: Mapping[int, int] = field(default_factory=dict)
    """Number of batches by their number of images."""


class PredictionEngine(Protocol):
    """Answers for many adapters; `vtt_core.serving.engine.Engine` is the one that is used."""

    def warm(self, backbone_id: str) -> float:
        """Load a backbone and return the seconds that one image takes in it."""

    def read_images(
        self, backbone_id: str, encoded: Sequence[ReadBytes], limits: Limits, bands: BandChoice | None = None
    ) -> Sequence[Any | VttError]:
        """Return each image as its backbone reads it, in the bands of a model, or why it cannot be used."""

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: LoadFiles,
        images: Sequence[Any],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
    ) -> Sequence[Prediction]:
        """Classify images."""

    def attention(self, model_id: str, backbone_id: str, load_files: LoadFiles, image: Any) -> AttentionGrids:
        """Say where the model looked in an image that `read_images` gave."""

    def inspect(
        self, backbone_id: str, labels: Sequence[str], images: Sequence[ImageToInspect], limits: Limits
    ) -> SupportSetReport:
        """Report on a support set before any training."""

    def adapter(self, model_id: str, backbone_id: str, load_files: LoadFiles) -> object:
        """Bring an adapter into memory."""

    def set_pinned(self, model_id: str, is_pinned: bool) -> None:
        """Keep an adapter in memory once it is there, or let it be evicted again."""

    def evict(self, model_id: str) -> None:
        """Remove an adapter from memory."""

    def resident(self) -> Sequence[ResidentAdapter]:
        """Return the adapters in memory."""

    @property
    def adapter_counts(self) -> AdapterCounts:
        """How often adapters were found in memory, read and evicted."""

    @property
    def batch_counts(self) -> BatchCounts:
        """How many batches there were, and how large."""

    def close(self) -> None:
        """Finish what is queued."""
