"""Measure a model on labelled query images that it has not learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vtt_core.contract.interval import wilson_interval
from vtt_core.contract.serving import Prediction
from vtt_core.evaluation.counts import ClassScores, accuracy_facts, class_scores, confusion_counts
from vtt_core.evaluation.reliability import ReliabilityBin, calibration_error, reliability


@dataclass(frozen=True)
class Judged:
    """One labelled image, and what a model said of it."""

    name: str
    sent_label: str
    """As the user calls its class."""
    label: str | None
    """The model's label for that class; None where the model does not know it."""
    said: str
    """The likeliest class."""
    probability: float
    """Of that class."""
    none_of_these: bool | None
    prediction_set: tuple[str, ...] | None
    coverage: float | None
    """What the prediction set promises."""
    image_id: str | None = None
    """Of the image where it is kept."""

    @classmethod
    def of(cls, name: str, sent_label: str, label: str | None, prediction: Prediction, image_id: str | None = None) -> Judged:
        """Keep what is needed of a prediction."""
        said, probability = next(iter(prediction.probabilities.items()))
        return cls(
            name,
            sent_label,
            label,
            said,
            probability,
            prediction.none_of_these,
            prediction.prediction_set,
            prediction.coverage,
            image_id,
        )

    @property
    def is_right(self) -> bool:
        """Whether the likeliest class is the true one."""
        return self.said == self.label


@dataclass(frozen=True)
class Share:
    """A share of some images, with its 95 % Wilson interval."""

    share: float
    low: float
    high: float
    num_images: int

    @classmethod
    def of(cls, number: int, num_images: int) -> Share | None:
        """Return `number` of `num_images`; None without any image."""
        if not num_images:
            return None
        low, high = wilson_interval(number, num_images)
        return cls(number / num_images, low, high, num_images)


@dataclass(frozen=True)
class SetCoverage:
    """How often prediction sets held the true class, and how large they were."""

    promised: float
    covered: Share
    mean_size: float
    """Classes in a set."""


@dataclass(frozen=True)
class UnknownClasses:
    """Images of classes that the model does not know."""

    labels: dict[str, int]
    """Number of images of each such class, as the user calls it."""
    told: Share | None
    """Share of these images that were told to be none of the classes; None where the model cannot tell, or there are none."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured. Shares are of the images of classes that the model knows, at least one."""

    labels: tuple[str, ...]
    accuracy: dict[str, Any]
    """`accuracy`, `low`, `high` and `num_images`."""
    macro_f1: float
    """Mean F1 of the classes that have images."""
    per_class: tuple[ClassScores, ...]
    confusion: list[list[int]]
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    prediction_sets: SetCoverage | None
    """None where the model promises nothing."""
    none_of_these: Share | None
    """Share of the images that were taken for none of the classes, wrongly; None where the model cannot tell."""
    unknown: UnknownClasses
    mistakes: tuple[Judged, ...]
    """The surest first."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; mistakes have the names of their images."""
        return asdict(self) | {"mistakes": [_mistake(one) for one in self.mistakes]}


def evaluate(labels: Sequence[str], judged: Sequence[Judged]) -> Evaluation:
    """Return what was measured.

    Args:
        labels: of the model.
        judged: the images, at least one of a class that the model knows.
    """
    known = [one for one in judged if one.label is not None]
    assert known
    places = {label: place for place, label in enumerate(labels)}
    true, said = [places[one.label] for one in known if one.label is not None], [places[one.said] for one in known]
    confusion = confusion_counts(true, said, len(labels))
    scores = class_scores(labels, confusion)
    bins = reliability([one.probability for one in known], [one.is_right for one in known])
    f1s = [one.f1 for one in scores if one.f1 is not None]
    wrong = [one for one in known if not one.is_right]
    return Evaluation(
        labels=tuple(labels),
        accuracy=accuracy_facts(len(known) - len(wrong), len(known)),
        macro_f1=sum(f1s) / len(f1s),
        per_class=scores,
        confusion=confusion,
        calibration_error=calibration_error(bins),
        reliability=bins,
        prediction_sets=_set_coverage(known),
        none_of_these=_none_of_these(known),
        unknown=_unknown([one for one in judged if one.label is None]),
        mistakes=tuple(sorted(wrong, key=lambda one: -one.probability)),
    )


def _mistake(one: Judged) -> dict[str, Any]:
    return {
        "image": one.name,
        "label": one.label,
        "said": one.said,
        "probability": one.probability,
        "none_of_these": one.none_of_these,
        "image_id": one.image_id,
    }


def _set_coverage(known: Sequence[Judged]) -> SetCoverage | None:
    sets = [(one.prediction_set, one.label in one.prediction_set) for one in known if one.prediction_set is not None]
    promised = [one.coverage for one in known if one.coverage is not None]
    covered = Share.of(sum(holds for _, holds in sets), len(sets))
    if covered is None or not promised:
        return None
    return SetCoverage(min(promised), covered, sum(len(classes) for classes, _ in sets) / len(sets))


def _none_of_these(judged: Sequence[Judged]) -> Share | None:
    verdicts = [one.none_of_these for one in judged if one.none_of_these is not None]
    return Share.of(sum(verdicts), len(verdicts))


def _unknown(strangers: Sequence[Judged]) -> UnknownClasses:
    return UnknownClasses(dict(Counter(one.sent_label for one in strangers)), _none_of_these(strangers))
