"""What the service says about a support set before anything is learnt; held to the description of the API as `models.py` is."""

from __future__ import annotations

from typing import Literal

from vtt_client.models import Answer


class HeldOutAccuracy(Answer):
    """Accuracy on images that were held out."""

    accuracy: float
    half_width: float
    num_images: int


class InspectedClass(Answer):
    """What is said of one class."""

    label: str
    shot: int
    num_independent: int
    recall: float | None
    confused_with: str | None


class Finding(Answer):
    """One sentence of a report."""

    severity: Literal["problem", "notice"]
    kind: str
    sentence: str
    images: list[str]


class DoubtfulLabel(Answer):
    """An image that looks as if its label were wrong."""

    image: str
    label: str
    looks_like: str
    times_likelier: float


class Copies(Answer):
    """Two images that look like one photograph."""

    images: tuple[str, str]
    labels: tuple[str | None, str | None]


class Shortcut(Answer):
    """A plain fact about the files that tells the class."""

    fact: str
    accuracy: float
    chance: float
    p_value: float
    is_shortcut: bool
    told: list[str]


class CurvePoint(Answer):
    """Accuracy with fewer images of each class."""

    shot: int
    measured: HeldOutAccuracy


class Report(Answer):
    """What is said about a support set before anything is learnt."""

    support_set_id: str
    backbone: str
    num_images: int
    held_out: HeldOutAccuracy | None
    classes: list[InspectedClass]
    findings: list[Finding]
    label_doubts: list[DoubtfulLabel]
    copies: list[Copies]
    shortcuts: list[Shortcut]
    learning_curve: list[CurvePoint]
    gain_of_doubling: float | None
    image_ids: dict[str, str]
