"""Say in plain sentences what the numbers of a model mean for its user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_NAMED = 3
"""Classes or pairs that a sentence names."""
CONFUSED_SHARE = 0.4
"""Share of a class's held-out images that must be taken for one other class to say so; and at least 2 of them."""


@dataclass(frozen=True)
class Facts:
    """What advice is made of."""

    labels: Sequence[str]
    shots: Sequence[int]
    metrics: Mapping[str, Any]
    is_tuned: bool
    """Whether the fine-tuned tower is served."""
    unseen_labels: Sequence[str] = ()
    """Classes that this tower has not seen in its fine-tuning."""
    one_group_labels: Sequence[str] = ()
    """Classes of several images that are all of one group, so that none can be left out."""


def advise(facts: Facts) -> list[str]:
    """Return the sentences, the most important first."""
    return [
        *_unmeasured(facts),
        *_beaten(facts),
        *_chance(facts),
        *_confused(facts),
        *_single(facts),
        *_twins(facts),
        *_few(facts),
    ]


def _unmeasured(facts: Facts) -> list[str]:
    if facts.metrics["expected_accuracy"] is not None:
        return []
    if facts.unseen_labels:
        return [
            f"The fine-tuning of this model has not seen {_all_named(facts.unseen_labels)}, and the accuracy is not measured. "
            "To measure it, start a new job on the support set."
        ]
    several = [label for label, shot in zip(facts.labels, facts.shots, strict=True) if shot > 1]
    if several and set(several) <= set(facts.one_group_labels):
        what = "are copies or of one group" if facts.metrics["groups"]["near_duplicates"] else "belong to one group"
        return [
            f"The accuracy of this model is not known: all images of {_all_named(several)} {what}, "
            "and a group is left out as a whole. Add images of another group to each class."
        ]
    if several and facts.is_tuned:
        return [
            "The accuracy of this model was not measured. To measure it, set validation_folds to 2 or more in the recipe: "
            "`vtt adapt --method clip-lora+vtt:validation_folds=2`, for instance."
        ]
    return ["The accuracy of this model is not known: no image can be left out. Add a second image of each class."]


def _beaten(facts: Facts) -> list[str]:
    served, metrics = facts.metrics["expected_accuracy"], facts.metrics
    if served is None or not facts.is_tuned:
        return []
    rivals = {
        "the class names alone (zero-shot)": metrics["zero_shot"],
        "a linear probe on the unchanged backbone": metrics["linear_probe"],
        "the same head on the unchanged backbone": metrics["frozen_head"],
    }
    name, best = max(rivals.items(), key=lambda item: -1.0 if item[1] is None else item[1]["accuracy"])
    if best is None or best["accuracy"] < served["accuracy"]:
        return []
    return [
        f"Fine-tuning did not help here: {name} classifies {_percent(best)} of the left-out images, this model "
        f"{_percent(served)}. Method auto would choose the better one."
    ]


def _chance(facts: Facts) -> list[str]:
    served, chance = facts.metrics["expected_accuracy"], 1 / len(facts.labels)
    if served is None or served["low"] > chance:
        return []
    return [
        f"This model may be guessing: its accuracy on left-out images, {_percent(served)}, is not clearly above chance "
        f"({100 * chance:.0f} %). Check that the classes can be told apart in these images, or add more of them."
    ]


def _confused(facts: Facts) -> list[str]:
    confusion = facts.metrics["confusion"]
    if confusion is None:
        return []
    pairs = []
    for truth, row in enumerate(confusion):
        for said, count in enumerate(row):
            if said != truth and count >= 2 and count >= CONFUSED_SHARE * sum(row):
                pairs.append((count / sum(row), count, sum(row), facts.labels[truth], facts.labels[said]))
    pairs.sort(key=lambda pair: -pair[0])
    return [
        f"{count} of {total} left-out images of {truth!r} were taken for {said!r}: more images of both would help most."
        for _, count, total, truth, said in pairs[:MAX_NAMED]
    ]


def _single(facts: Facts) -> list[str]:
    single = [label for label, shot in zip(facts.labels, facts.shots, strict=True) if shot == 1]
    if not single or len(single) == len(facts.labels):
        return []
    return [f"{_named(single)} has one image: whether it is recognised cannot be measured."]


def _twins(facts: Facts) -> list[str]:
    groups = facts.metrics["groups"]
    pairs, leaks = groups["near_duplicates"], groups["suspected_leaks"]
    sentences = []
    if pairs:
        one, other = pairs[0]
        rest = len(pairs) - 1
        more = f" and {rest} more pair{'' if rest == 1 else 's'}" if rest else ""
        sentences.append(
            f"{one!r} and {other!r}{more} look like one photo: they were left out together, and teach little more than one."
        )
    if leaks:
        sentences.append(f"{leaks} of these pairs are in different groups: check the groups, or the accuracy may be too high.")
    return sentences


def _few(facts: Facts) -> list[str]:
    served = facts.metrics["expected_accuracy"]
    if served is None or served["high"] - served["low"] < 0.3:
        return []
    return [
        f"The accuracy is known only roughly, from {100 * served['low']:.0f} to {100 * served['high']:.0f} %, "
        f"because only {served['num_images']} images could be left out."
    ]


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(map(repr, labels[:MAX_NAMED]))
    return shown if len(labels) <= MAX_NAMED else f"Each of {shown} and {len(labels) - MAX_NAMED} more"


def _all_named(labels: Sequence[str]) -> str:
    rest = len(labels) - MAX_NAMED
    return ", ".join(map(repr, labels[:MAX_NAMED])) + (f" and {rest} more" if rest > 0 else "")


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.0f} %"
