"""Turn what was measured of a model into what its page draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.infra.tables import ModelRow, SupportImageRow
from app.models.metrics import Accuracy, ClassRecall, Mistake, ModelMetrics, ReliabilityBin
from app.pages.texts import text
from app.reports.chart import Chart, Row, make_chart
from app.reports.metrics import Accuracy as Bounded
from app.support_sets import answers

HEAT_LEVELS = 5
MAX_MATRIX = 30
"""Classes up to which the matrix is drawn; of more, only the pairs that were confused."""
MAX_PAIRS = 30
FEW_IN_GROUP = 5
FEW_IN_ALL = 30
"""Images below which nothing is said for sure of percentages."""
SMALL_ERROR = 0.05
"""Mean error up to which percentages can be taken as they are."""
FIRST_MISTAKES = 18
"""Mistakes that are shown at once; the others are folded away."""


@dataclass(frozen=True)
class Cell:
    """How many images of one class were taken for another."""

    count: int
    kind: str
    """`right` on the diagonal, else `wrong`."""
    heat: int
    """Level of colour, 0 for none."""


@dataclass(frozen=True)
class ShownMistake:
    """A held-out image that was taken for another class, and where to see it."""

    mistake: Mistake
    address: str | None
    """Of the image in the JSON API; None where it is gone."""


@dataclass(frozen=True)
class CurvePoint:
    """A point of the reliability curve, in units of a square with sides of 100."""

    x: float
    y: float
    radius: float
    bin: ReliabilityBin


@dataclass(frozen=True)
class Result:
    """What a page shows of a model's measurements; empty or None for what is not known."""

    metrics: ModelMetrics
    chart: Chart | None
    expected: Bounded | None
    zero_shot: Bounded | None
    per_class: tuple[ClassRecall, ...]
    """Only if some were held out."""
    matrix: tuple[tuple[Cell, ...], ...]
    pairs: tuple[tuple[str, str, int], ...]
    """Class, what it was taken for, and how often: where there are too many classes for a matrix."""
    mistakes: tuple[ShownMistake, ...]
    curve: tuple[CurvePoint, ...]
    few: int
    """Images below which a group says too little for the line of the reliability curve."""
    trust: str
    """Whether percentages can be taken as they are, as the key of a text."""
    uses_names: bool | None
    """Whether the names of the classes count for its answers; None where it is not known."""
    is_fine_tuned: bool


def make_result(row: ModelRow, images: Sequence[SupportImageRow]) -> Result:
    """Return what to show of a model.

    Args:
        row: of the model.
        images: of its support set, as far as they still exist and the caller may see them.
    """
    metrics = ModelMetrics.model_validate(row.metrics)
    is_fine_tuned = metrics.choice is not None and metrics.choice.tower == "fine-tuned"
    expected, num_images = metrics.expected_accuracy, metrics.num_support_images or 0
    is_measured = expected is not None
    confusion = metrics.confusion or []
    is_small = len(confusion) <= MAX_MATRIX
    return Result(
        metrics=metrics,
        chart=_chart(metrics, is_fine_tuned, len(row.labels), num_images),
        expected=_bounded(expected, num_images),
        zero_shot=_bounded(metrics.zero_shot, num_images),
        per_class=tuple(one for one in metrics.per_class or () if is_measured and one.recall is not None),
        matrix=_matrix(confusion) if is_small else (),
        pairs=() if is_small else _pairs(row.labels, confusion),
        mistakes=_mistakes(metrics.mistakes or (), images),
        curve=tuple(_point(one, metrics.reliability or ()) for one in metrics.reliability or ()),
        few=FEW_IN_GROUP,
        trust=_trust(metrics),
        uses_names=_uses_names(metrics),
        is_fine_tuned=is_fine_tuned,
    )


def _trust(metrics: ModelMetrics) -> str:
    num_images = sum(one.num_images for one in metrics.reliability or ())
    error = metrics.calibration_error
    if num_images < FEW_IN_ALL:
        return "few"
    return "good" if error is not None and error.after <= SMALL_ERROR else "hint"


def _uses_names(metrics: ModelMetrics) -> bool | None:
    """Return whether a part of the classifier that reads the names of the classes has weight.

    A tower that was fine-tuned has learnt with the names, so that without such a part nothing is known.
    """
    choice = metrics.choice
    if choice is None or not choice.scales:
        return None
    reads_names = any("text" in name and scale > 0 for name, scale in choice.scales.items())
    return True if reads_names else None if choice.tower == "fine-tuned" else False


def _chart(metrics: ModelMetrics, is_fine_tuned: bool, way: int, num_images: int) -> Chart | None:
    named = (
        ("this", metrics.expected_accuracy),
        ("fine_tuned", None if is_fine_tuned else metrics.fine_tuned),
        ("frozen_head", metrics.frozen_head if is_fine_tuned else None),
        ("probe", metrics.linear_probe or metrics.linear_probe_leave_one_out),
        ("zero_shot", metrics.zero_shot),
    )
    bounded = [(key, _bounded(accuracy, num_images)) for key, accuracy in named]
    rows = [Row(text(f"result.ways.{key}"), one, is_served=key == "this") for key, one in bounded if one is not None]
    return make_chart(rows, 1 / way) if rows and way else None


def _bounded(accuracy: Accuracy | None, num_images: int) -> Bounded | None:
    """Return an accuracy with its interval, which models of earlier releases have in another form; None without one."""
    if accuracy is None:
        return None
    value, half, num_measured = accuracy.accuracy, accuracy.ci95, accuracy.num_images or num_images
    if accuracy.low is not None and accuracy.high is not None:
        return Bounded(value, accuracy.low, accuracy.high, num_measured)
    return None if half is None else Bounded(value, max(0.0, value - half), min(1.0, value + half), num_measured)


def _matrix(confusion: Sequence[Sequence[int]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        tuple(
            Cell(count, "right" if said == truth else "wrong", _heat(count, sum(counts))) for said, count in enumerate(counts)
        )
        for truth, counts in enumerate(confusion)
    )


def _heat(count: int, total: int) -> int:
    return max(1, round(HEAT_LEVELS * count / total)) if count else 0


def _pairs(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[tuple[str, str, int], ...]:
    pairs = [
        (labels[truth], labels[said], count)
        for truth, counts in enumerate(confusion)
        for said, count in enumerate(counts)
        if said != truth and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair[2])[:MAX_PAIRS])


def _mistakes(mistakes: Sequence[Mistake], images: Sequence[SupportImageRow]) -> tuple[ShownMistake, ...]:
    known = {(image.label, image.file_name): image for image in images}
    found = ((mistake, known.get((mistake.label, mistake.image))) for mistake in mistakes)
    return tuple(ShownMistake(mistake, None if image is None else answers.stored(image).links.self) for mistake, image in found)


def _point(one: ReliabilityBin, bins: Sequence[ReliabilityBin]) -> CurvePoint:
    largest = max(other.num_images for other in bins)
    radius = 1.5 + 3 * (one.num_images / largest) ** 0.5
    return CurvePoint(round(100 * one.stated, 1), round(100 - 100 * one.accuracy, 1), round(radius, 1), one)
