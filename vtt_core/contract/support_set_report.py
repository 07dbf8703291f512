"""What is said about a support set before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["problem", "notice"]


@dataclass(frozen=True)
class ImageToInspect:
    """One image of a support set, not read yet."""

    name: str
    label: str | None
    """None for an image of the negative class."""
    group: str | None
    read: Callable[[], bytes]
    """Returns the file as it was sent; may raise a VttError."""


@dataclass(frozen=True)
class Finding:
    """Something worth knowing, in plain words."""

    kind: str
    """For machines, such as `copies.across_classes`."""
    severity: Severity
    """`problem`: numbers or labels are probably wrong. `notice`: worth a look."""
    sentence: str
    images: tuple[str, ...] = ()
    """Names of the images that it is about."""


@dataclass(frozen=True)
class Measured:
    """An accuracy with its 95 % interval."""

    accuracy: float
    half_width: float
    num_images: int
    """Different images that were classified by what was learnt from others."""


@dataclass(frozen=True)
class ClassReport:
    """One class."""

    label: str
    shot: int
    num_independent: int
    """Images that depend on no other one: copies and images of one group count once."""
    recall: float | None
    """Share of its held-out images that were recognised; None if none could be held out."""
    confused_with: str | None
    """The class that its images were most often taken for; None if always recognised."""


@dataclass(frozen=True)
class Copies:
    """Two images that look like one photo."""

    images: tuple[str, str]
    labels: tuple[str | None, str | None]
    """Their classes; null is the negative class."""


@dataclass(frozen=True)
class LabelDoubt:
    """An image that looks like another class."""

    image: str
    label: str
    looks_like: str
    times_likelier: float
    """Probability of that class over that of the label, by classifiers that have not seen the image."""


@dataclass(frozen=True)
class Shortcut:
    """How well the class is told by one plain fact about an image."""

    fact: str
    accuracy: float
    chance: float
    p_value: float
    """How often labels at random do as well, times the number of facts that were tried; at most 1."""
    told: tuple[str, ...]
    """Classes most of whose images are told."""
    is_shortcut: bool


@dataclass(frozen=True)
class CurvePoint:
    """Held-out accuracy with so many images of each class."""

    shot: int
    measured: Measured


@dataclass(frozen=True)
class SupportSetReport:
    """Everything that is said about a support set."""

    backbone_id: str
    num_images: int
    held_out: Measured | None
    """Of the frozen backbone with a closed-form classifier; None if no image could be held out."""
    classes: tuple[ClassReport, ...]
    copies: tuple[Copies, ...]
    label_doubts: tuple[LabelDoubt, ...]
    shortcuts: tuple[Shortcut, ...]
    learning_curve: tuple[CurvePoint, ...]
    gain_of_doubling: float | None
    """Accuracy that twice as many images as at the last point of the curve would likely add; None if that cannot be said."""
    findings: tuple[Finding, ...]
    """Problems first."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain types."""
        return asdict(self)
