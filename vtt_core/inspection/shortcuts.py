"""Tell whether plain facts about the files give the classes away.

Each image is classified by the images whose fact is nearest, itself left out; every class has the same weight. Labels at random
say how much of that is chance.

Shapes: S images, C classes, U different values of a fact, E entries of a value.
Source: a permutation test (Phipson & Smyth 2010), with Bonferroni's correction for the number of facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vtt_core.contract.support_set_report import Finding, Measured, Shortcut
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.facts import PlainFacts
from vtt_core.inspection.words import NUM_NAMED, listed, percent

SIGNIFICANCE = 0.01
"""How often one of the facts may seem to tell the class of images at random."""
LEAST_EFFECT = 0.05
"""Least accuracy over chance, as a share of what is possible."""
STRONG_EFFECT = 0.5
"""The same within a class from which on most of its images are told, which makes a shortcut a problem."""
LIKE_THE_HEAD = 0.9
"""Colour is a shortcut if it does at least as well as this share of the head's accuracy."""
NUM_PERMUTATIONS = 999
_ENOUGH = 20
"""Permutations that do as well, after which there is no need to go on."""
_MOST_IMAGES = 800

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class _Fact:
    name: str
    value: Callable[[PlainFacts], tuple[float, ...]]
    """Values that are near each other are alike."""
    advice: str


_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
SIZE, RATIO, COLOUR = "image size", "aspect ratio", "mean colour"
FACTS = (
    _Fact(
        SIZE,
        lambda facts: (math.log(facts.width * facts.height),),
        "Scale the images of all classes alike, or take them with one camera.",
    ),
    _Fact(
        RATIO,
        lambda facts: (math.log(facts.width / facts.height),),
        "Crop the images of all classes alike.",
    ),
    _Fact(
        "file format",
        lambda facts: (100.0 * (_FORMATS.index(facts.image_format) if facts.image_format in _FORMATS else -1),),
        "Save the images of all classes in one format.",
    ),
    _Fact(
        "border",
        lambda facts: tuple(round(share, 2) for share in facts.border) + (round(facts.border_brightness, 1),),
        "Cut the borders off.",
    ),
    _Fact(COLOUR, lambda facts: facts.mean_colour, "This may be a real difference, or the light."),
)


def shortcuts(examined: Examined, groups: Sequence[int], head: Measured | None) -> list[Shortcut]:
    """Return how well each fact tells the class; nothing where too few images are there for any to be significant.

    Args:
        examined: the support set.
        groups: number of each image's group; one image of each counts.
        head: accuracy of the frozen backbone with a classifier, which colour is compared with.
    """
    indices = _one_of_each(examined, groups)
    labels = np.array(examined.labels_of(indices), dtype=np.int64)
    if len(labels) == 0 or np.bincount(labels).max() < 2:
        return []
    found = []
    for fact in FACTS:
        values_SE = np.array([fact.value(examined.images[index].facts) for index in indices])
        shares_S, p_value = _tell(values_SE, labels, examined.way)
        accuracy, p_value = float(shares_S.mean()), min(1.0, p_value * len(FACTS))
        chance = 1 / examined.way
        is_shortcut = p_value < SIGNIFICANCE and accuracy - chance >= LEAST_EFFECT * (1 - chance)
        if fact.name == COLOUR:
            is_shortcut = is_shortcut and head is not None and accuracy >= LIKE_THE_HEAD * head.accuracy
        told = [
            name
            for label, name in enumerate(examined.labels)
            if (labels == label).any() and shares_S[labels == label].mean() - chance >= STRONG_EFFECT * (1 - chance)
        ]
        found.append(Shortcut(fact.name, accuracy, chance, p_value, tuple(told), is_shortcut))
    return found


def shortcut_findings(found: Sequence[Shortcut], head: Measured | None) -> list[Finding]:
    """Return a finding for each fact that gives the class away."""
    advice = {fact.name: fact.advice for fact in FACTS}
    findings = []
    for one in _without_twins(found):
        tells = (
            f"The {one.fact} alone tells the class of {percent(one.accuracy)} of the images; chance is {percent(one.chance)}"
        )
        if one.fact == COLOUR:
            assert head is not None
            sentence = f"{tells}, and the frozen backbone tells {percent(head.accuracy)}. {advice[one.fact]}"
            findings.append(Finding("shortcut.colour", "notice", sentence))
            continue
        kind = f"shortcut.{one.fact.replace(' ', '_')}"
        most = f", most of all {listed(one.told)}" if 0 < len(one.told) <= NUM_NAMED else ""
        sentence = f"{tells}{most}. A model may learn it instead of what is shown. {advice[one.fact]}"
        findings.append(Finding(kind, "problem" if one.told else "notice", sentence))
    return findings


def _without_twins(found: Sequence[Shortcut]) -> list[Shortcut]:
    """Return the shortcuts; of image size and aspect ratio, which have one cause, the one that tells more."""
    twins = [one for one in found if one.fact in (SIZE, RATIO) and one.is_shortcut]
    best = max(twins, key=lambda one: one.accuracy, default=None)
    return [one for one in found if one.is_shortcut and (one.fact not in (SIZE, RATIO) or one is best)]


def _one_of_each(examined: Examined, groups: Sequence[int]) -> list[int]:
    """Return one image with a class of each group, spread over all of them if there are very many."""
    first: dict[int, int] = {}
    for index in examined.taught:
        first.setdefault(groups[index], index)
    indices = list(first.values())
    return indices[:: math.ceil(len(indices) / _MOST_IMAGES)] if indices else []


def _tell(values_SE: NDArray[np.float64], labels: Labels, num_classes: int) -> tuple[NDArray[np.float64], float]:
    """Return the share of votes that the true class of each image gets, and how often labels at random do as well."""
    unique_UE, cell_S = np.unique(values_SE, axis=0, return_inverse=True)
    if len(unique_UE) == 1:
        return np.full(len(labels), 1 / num_classes), 1.0
    nearest_U = _nearest_cells(unique_UE, np.bincount(cell_S.ravel()))
    shares_S = _shares(cell_S.ravel(), nearest_U, labels, num_classes)
    random, num_as_well, num_tried = np.random.default_rng(0), 0, 0
    while num_tried < NUM_PERMUTATIONS and num_as_well < _ENOUGH:
        shuffled = random.permutation(labels)
        num_as_well += bool(_shares(cell_S.ravel(), nearest_U, shuffled, num_classes).mean() >= shares_S.mean() - 1e-9)
        num_tried += 1
    return shares_S, (num_as_well + 1) / (num_tried + 1)


def _nearest_cells(unique_UE: NDArray[np.float64], counts_U: Labels) -> Labels:
    """Return for each value where its nearest neighbours are: at the same value, or at the nearest other one."""
    distance_UU = np.square(unique_UE[:, None] - unique_UE[None]).sum(axis=-1)
    np.fill_diagonal(distance_UU, np.where(counts_U > 1, -1.0, np.inf))
    nearest_U: Labels = distance_UU.argmin(axis=1)
    return nearest_U


def _shares(cell_S: Labels, nearest_U: Labels, labels: Labels, num_classes: int) -> NDArray[np.float64]:
    """Return the share of votes that the true class of each image gets.

    Images with the same value vote together. A vote counts less, the more images its class has beside the one in question.
    """
    rows = np.arange(len(labels))
    counts_UC = np.zeros((len(nearest_U), num_classes))
    np.add.at(counts_UC, (cell_S, labels), 1.0)
    votes_SC = counts_UC[nearest_U[cell_S]]
    own_S = (nearest_U[cell_S] == cell_S).astype(float)
    votes_SC[rows, labels] -= own_S
    others_SC = np.tile(np.bincount(labels, minlength=num_classes).astype(float), (len(labels), 1))
    others_SC[rows, labels] -= 1
    weighted_SC = votes_SC / np.maximum(others_SC, 1)
    shares_S: NDArray[np.float64] = weighted_SC[rows, labels] / np.maximum(weighted_SC.sum(axis=1), 1e-12)
    return shares_S
