"""Tell what more images would bring, from what the images that are there bring.

Shapes: S images, C classes.
Source: `gain_of_doubling` against the real gain on other images, with `mini` on 8 support sets each. With 5 images of each
    class, so from 4 to 8: EuroSAT 7.1 points expected and 7.4 real, CropDisease 8.3 and 7.2, ISIC 5.3 and 6.2. With 3 images
    7.2 and 8.9 on average, with 9 images 5.9 and 6.3. A single set is off by 2 to 8 points (standard deviation).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from random import Random

import torch

from vtt_core.contract.support_set_report import CurvePoint, Finding
from vtt_core.heads.bases import BASES
from vtt_core.heads.linear_head import sum_of
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.recognition import FEW_IMAGES, Recognition, measured
from vtt_core.inspection.words import series

NUM_DRAWS = 20
WORTH_SAYING = 0.03
"""Least gain in accuracy that is a finding."""


def learning_curve(examined: Examined, groups: Sequence[int], recognition: Recognition) -> list[CurvePoint]:
    """Return the accuracy with 1, 2, 4, ... independent images of each class, on the others.

    Of a class with fewer images all but one are learnt from. Every draw takes one image of each group.

    Args:
        examined: the support set.
        groups: number of each image's group.
        recognition: whose head is used.
    """
    random, most = Random(0), typical_shot(examined, groups) - 1  # half of the classes have one more, to test with
    shots = [2**power for power in range(most.bit_length()) if 2**power <= most]
    num_draws = NUM_DRAWS if len(examined.images) <= FEW_IMAGES else 2
    draws = [_draw(examined, groups, random) for _ in range(num_draws)]
    points = []
    for shot in shots:
        num_correct, num_tested, tested = 0, 0, set[int]()
        for by_label in draws:
            train = [index for own in by_label.values() for index in own[: min(shot, max(1, len(own) - 1))]]
            test = [index for own in by_label.values() if len(own) > 1 for index in own[min(shot, len(own) - 1) :]]
            num_correct += _num_correct(examined, train, test, recognition)
            num_tested += len(test)
            tested |= set(test)
        if len(tested) > 1:
            # Draws share images, so they are worth no more than the different images that they test.
            points.append(CurvePoint(shot, measured(round(len(tested) * num_correct / num_tested), len(tested))))
    return points


def gain_of_doubling(curve: Sequence[CurvePoint]) -> float | None:
    """Return what the next doubling after the last point would likely add; None with fewer than two points.

    The error is taken to fall by the same factor with each doubling: the mean factor of the last two.
    """
    errors = [max(1 - point.measured.accuracy, 1e-3) for point in curve]
    if len(errors) < 2:
        return None
    steps = errors[-3:]
    factor = math.exp(math.log(steps[-1] / steps[0]) / (len(steps) - 1))
    return max(0.0, errors[-1] * (1 - min(1.0, factor)))


def curve_findings(curve: Sequence[CurvePoint], gain: float | None, shot: int) -> list[Finding]:
    """Return a finding if more images have helped and would help again.

    The gain is that of twice the last point, which may be fewer images than there are, since some are left to test with.

    Args:
        curve: what was measured.
        gain: from `gain_of_doubling`.
        shot: independent images of a class that are there, from `typical_shot`.
    """
    if gain is None or gain < WORTH_SAYING or not _rises(curve):
        return []
    shots = series([str(point.shot) for point in curve])
    accuracies = series([f"{100 * point.measured.accuracy:.0f}" for point in curve])
    doubled = 2 * curve[-1].shot
    sentence = (
        f"More images help: learnt from {shots} images of each class, {accuracies} % of the others are recognised."
        f" With {doubled}{', as many as are there' if doubled == shot else ''}, it would likely be about"
        f" {100 * gain:.0f} points more than with {curve[-1].shot}."
    )
    return [Finding("classes.more_images_help", "notice", sentence)]


def _rises(curve: Sequence[CurvePoint]) -> bool:
    """Return whether the last doubling has helped, in the whole percent that the sentence says."""
    before, last = (round(100 * point.measured.accuracy) for point in curve[-2:])
    return last > before


def typical_shot(examined: Examined, groups: Sequence[int]) -> int:
    """Return how many independent images at least half of the classes have."""
    own: dict[int, set[int]] = defaultdict(set)
    for group, image in zip(groups, examined.images, strict=True):
        if image.label is not None:
            own[image.label].add(group)
    sizes = sorted(len(found) for found in own.values())
    return sizes[len(sizes) // 2]


def _draw(examined: Examined, groups: Sequence[int], random: Random) -> dict[int, list[int]]:
    """Return images of each class in random order, one of each group."""
    order = list(range(len(examined.images)))
    random.shuffle(order)
    seen: set[int] = set()
    by_label: dict[int, list[int]] = defaultdict(list)
    for index in order:
        label = examined.images[index].label
        if label is not None and groups[index] not in seen:
            seen.add(groups[index])
            by_label[label].append(index)
    return by_label


def _num_correct(examined: Examined, train: list[int], test: list[int], recognition: Recognition) -> int:
    seen = examined.known(train)
    used = zip(recognition.bases, recognition.strengths, recognition.scales, strict=True)
    head = sum_of([BASES[base](seen, strength).scaled(scale) for base, strength, scale in used if scale > 0])
    said = head.scores(examined.features.take(test).flat()).argmax(dim=-1)
    return int((said == torch.tensor(examined.labels_of(test))).sum())
