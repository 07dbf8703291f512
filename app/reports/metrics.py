"""Read a model's metrics, of this release or an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Accuracy:
    """A share of images classified correctly, with its 95 % interval."""

    accuracy: float
    low: float
    high: float
    num_images: int

    @classmethod
    def read(cls, values: Mapping[str, Any] | None, num_images: int) -> Accuracy | None:
        """Read an accuracy; an earlier release wrote half the width of the interval, and counted all support images."""
        if values is None:
            return None
        accuracy = float(values["accuracy"])
        if "ci95" in values:
            half = float(values["ci95"])
            return cls(accuracy, max(0.0, accuracy - half), min(1.0, accuracy + half), num_images)
        return cls(accuracy, float(values["low"]), float(values["high"]), int(values["num_images"]))


@dataclass(frozen=True)
class ClassRow:
    """What was measured of one class."""

    label: str
    num_images: int
    num_held_out: int
    recall: float | None

    @property
    def num_right(self) -> int:
        """Held-out images of the class that were taken for it."""
        return round((self.recall or 0.0) * self.num_held_out)


@dataclass(frozen=True)
class Mistake:
    """A held-out image that was taken for another class."""

    image: str
    label: str
    said: str
    probability: float


@dataclass(frozen=True)
class Metrics:
    """What was measured before a model was published; None for what was not."""

    num_images: int = 0
    expected: Accuracy | None = None
    how: str = ""
    """How images were held out."""
    widening: float | None = None
    """Factor on the variance of the intervals."""
    training_accuracy: float | None = None
    """On the images that the model has learnt from."""
    zero_shot: Accuracy | None = None
    linear_probe: Accuracy | None = None
    frozen_head: Accuracy | None = None
    fine_tuned: Accuracy | None = None
    per_class: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Images of each class (row) by the class that they were taken for (column)."""
    mistakes: tuple[Mistake, ...] = ()
    calibration: tuple[float, float] | None = None
    """Calibration error at the usual scale, and at the fitted one."""
    largest_coverage: float | None = None
    num_familiar: int | None = None
    """Images that the threshold of familiarity was learnt from; None where unknown images are not recognised."""
    asked_method: str | None = None
    is_fine_tuned: bool | None = None
    """Whether the fine-tuned tower is served; None where the recipe alone says so."""
    scales: tuple[tuple[str, float], ...] = ()
    """Factor on each base of the head."""
    advice: tuple[str, ...] = ()
    is_old: bool = False
    """Whether an earlier release measured: without held-out images."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Metrics:
        """Read the metrics of a model; unknown keys are left alone.

        Raises:
            KeyError: a field is missing.
            TypeError: a field has another type.
            ValueError: a field has an impossible value.
        """
        if "expected_accuracy" not in values:
            return _read_old(values)
        num_images, expected = int(values["num_support_images"]), values["expected_accuracy"]
        calibration, unknown, choice = values["calibration_error"], values["unknown"], values["choice"]
        per_class = tuple(_class_row(row) for row in values["per_class"])
        confusion = tuple(tuple(map(int, row)) for row in values["confusion"] or ())
        if any(len(row) != len(per_class) for row in confusion) or len(confusion) not in (0, len(per_class)):
            raise ValueError("a confusion matrix of another number of classes")
        return cls(
            num_images=num_images,
            expected=Accuracy.read(expected, num_images),
            how="" if expected is None else str(expected["how"]),
            widening=None if expected is None or "widening" not in expected else float(expected["widening"]),
            training_accuracy=float(values["training_accuracy"]),
            zero_shot=Accuracy.read(values["zero_shot"], num_images),
            linear_probe=Accuracy.read(values["linear_probe"], num_images),
            frozen_head=Accuracy.read(values["frozen_head"], num_images),
            fine_tuned=Accuracy.read(values["fine_tuned"], num_images),
            per_class=per_class,
            confusion=confusion,
            mistakes=tuple(_mistake(row) for row in values["mistakes"]),
            calibration=None if calibration is None else (float(calibration["before"]), float(calibration["after"])),
            largest_coverage=None if values["largest_coverage"] is None else float(values["largest_coverage"]),
            num_familiar=None if unknown is None else int(unknown["num_images"]),
            asked_method=str(choice["method"]),
            is_fine_tuned=choice["tower"] == "fine-tuned",
            scales=tuple((str(base), float(scale)) for base, scale in choice["scales"].items()),
            advice=tuple(map(str, values["advice"])),
        )


def _read_old(values: Mapping[str, Any]) -> Metrics:
    if "support" not in values:
        return Metrics()
    num_images = int(values["num_support_images"])
    return Metrics(
        num_images=num_images,
        training_accuracy=float(values["support"]["accuracy"]),
        zero_shot=Accuracy.read(values.get("zero_shot"), num_images),
        linear_probe=Accuracy.read(values.get("linear_probe_leave_one_out"), num_images),
        is_old=True,
    )


def _class_row(row: Mapping[str, Any]) -> ClassRow:
    recall = row["recall"]
    return ClassRow(
        str(row["label"]), int(row["num_images"]), int(row["num_held_out"]), None if recall is None else float(recall)
    )


def _mistake(row: Mapping[str, Any]) -> Mistake:
    return Mistake(str(row["image"]), str(row["label"]), str(row["said"]), float(row["probability"]))
