"""Classify every image by what was learnt from others, with a closed-form head on the frozen backbone.

Shapes: S support images, C classes, N held-out images.
Source: `TIMES_LIKELIER` was chosen with `mini` on 10 support sets of each kind, with 5 % of the labels swapped and with none:

    | | EuroSAT, 5 and 16 shots | CropDisease | ISIC | ChestX |
    | --- | --- | --- | --- | --- |
    | doubted labels that had been swapped | 88, 80 % | 57, 83 % | none, 100 % | none |
    | swapped labels that were doubted | 35, 41 % | 30, 49 % | 0, 3 % | 0 % |
    | labels doubted where none was swapped | 0.4, 0.9 % | 2.3, 1.6 % | 0, 0.1 % | 0 % |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.support_set_report import ClassReport, Finding, LabelDoubt, Measured
from vtt_core.heads.folds import MAX_FOLDS, make_folds
from vtt_core.heads.held_out import held_out_scores
from vtt_core.heads.scales import Evidence, fit_scales
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.words import counted, listed, percent

TIMES_LIKELIER = 100.0
"""An image is doubted if another class is so many times likelier than its label."""
MIN_ACCURACY = 0.2
"""Least accuracy over chance, as a share of what is possible, for which labels are doubted."""
MAX_SENTENCES = 10
"""Doubted images that have a sentence each."""
MIN_HELD_OUT = 20
"""Images from which on the classes can be said not to be told apart."""
NUM_ROUNDS = 4
FEW_IMAGES, MANY_IMAGES = 250, 600
"""Up to the first number all rounds are done; above the second the ridge, whose time grows with the third power, is not."""


@dataclass(frozen=True)
class Recognition:
    """How held-out images were classified, and the head that did it."""

    indices: list[int]
    """Of these images among all."""
    labels_N: Tensor
    probabilities_NC: Tensor
    bases: tuple[str, ...]
    strengths: tuple[float, ...]
    scales: tuple[float, ...]
    """Of each base; 0 for one that is not used."""

    @property
    def said_N(self) -> Tensor:
        """The likeliest class of each image."""
        return self.probabilities_NC.argmax(dim=-1)

    @property
    def measured(self) -> Measured:
        """Accuracy."""
        return measured(int((self.said_N == self.labels_N).sum()), len(self.labels_N))


def measured(num_correct: int, num_images: int) -> Measured:
    """Return an accuracy with its interval."""
    return Measured(num_correct / num_images, wilson_half_width(num_correct, num_images), num_images)


def recognise(examined: Examined, groups: Sequence[int]) -> Recognition | None:
    """Return how held-out images were classified; None if none can be held out.

    Args:
        examined: the support set.
        groups: number of each image's group; images of one are held out together.
    """
    taught = examined.taught
    labels, known = examined.labels_of(taught), examined.known(taught)
    num_rounds = NUM_ROUNDS if len(taught) <= FEW_IMAGES else 1
    rounds = [make_folds(labels, [groups[index] for index in taught], MAX_FOLDS, seed) for seed in range(num_rounds)]
    rounds = [folds for folds in rounds if folds]
    if not rounds:
        return None
    bases = ("text", "ridge") if len(taught) <= MANY_IMAGES else ("text", "centroid")
    held = held_out_scores(bases, known, rounds, lambda fold: known)
    scales = fit_scales([Evidence(base, scores, held.labels_N) for base, scores in zip(bases, held.scores_ANC, strict=True)])
    logits_NC = (torch.tensor(scales, dtype=torch.float64)[:, None, None] * held.scores_ANC).sum(dim=0)
    indices = [taught[index] for index in held.indices_N.tolist()]
    return Recognition(indices, held.labels_N, logits_NC.softmax(dim=-1), bases, held.strengths, scales)


def class_reports(examined: Examined, groups: Sequence[int], recognition: Recognition | None) -> list[ClassReport]:
    """Return the numbers of every class."""
    reports = []
    for label, name in enumerate(examined.labels):
        own = {groups[index] for index, image in enumerate(examined.images) if image.label == label}
        recall, other = _recall(examined, label, recognition)
        reports.append(ClassReport(name, examined.shot(label), len(own), recall, other))
    return reports


def label_doubts(examined: Examined, recognition: Recognition) -> list[LabelDoubt]:
    """Return the images that look like another class, the surest first.

    None are doubted where the classes are hardly told apart.
    """
    chance = 1 / examined.way
    if recognition.measured.accuracy < chance + MIN_ACCURACY * (1 - chance):
        return []
    own_N = recognition.probabilities_NC.gather(1, recognition.labels_N[:, None])[:, 0]
    times_N = recognition.probabilities_NC.max(dim=-1).values / own_N.clamp_min(1e-12)
    doubts = [
        LabelDoubt(examined.images[index].name, examined.labels[label], examined.labels[said], times)
        for index, label, said, times in zip(
            recognition.indices, recognition.labels_N.tolist(), recognition.said_N.tolist(), times_N.tolist(), strict=True
        )
        if times >= TIMES_LIKELIER
    ]
    return sorted(doubts, key=lambda doubt: -doubt.times_likelier)


def doubt_findings(doubts: Sequence[LabelDoubt]) -> list[Finding]:
    """Return a finding for each of the surest doubts, and one for all others."""
    kind, others = "labels.doubtful", tuple(doubt.image for doubt in doubts[MAX_SENTENCES:])
    findings = [
        Finding(
            kind,
            "notice",
            f"{doubt.image!r} is labelled {doubt.label!r} but looks like {doubt.looks_like!r}. Check its label.",
            (doubt.image,),
        )
        for doubt in doubts[:MAX_SENTENCES]
    ]
    if others:
        sentence = f"{counted(len(others), 'more image')} look like another class than their label: {listed(others)}."
        findings.append(Finding(kind, "notice", sentence, others))
    return findings


def recognition_findings(examined: Examined, recognition: Recognition) -> list[Finding]:
    """Return what is worth knowing about how the classes are told apart."""
    all_in_all, chance = recognition.measured, 1 / examined.way
    if all_in_all.num_images >= MIN_HELD_OUT and all_in_all.accuracy - all_in_all.half_width <= chance:
        sentence = (
            f"The classes are hardly told apart: {percent(all_in_all.accuracy)} of {all_in_all.num_images} held-out images are"
            f" recognised, which may be chance ({percent(chance)}). Try another backbone, more images, or larger ones."
        )
        return [Finding("classes.not_told_apart", "problem", sentence)]
    weak = [finding for label in range(examined.way) if (finding := _weak(examined, label, recognition)) is not None]
    return weak


def _weak(examined: Examined, label: int, recognition: Recognition) -> Finding | None:
    """Return a finding for a class that is recognised clearly less often than all are."""
    is_own_N = recognition.labels_N == label
    num_images, num_correct = int(is_own_N.sum()), int((recognition.said_N[is_own_N] == label).sum())
    if num_images == 0:
        return None
    highest = num_correct / num_images + wilson_half_width(num_correct, num_images)
    if highest >= recognition.measured.accuracy:
        return None
    name, (_, other) = examined.labels[label], _recall(examined, label, recognition)
    taken = f" It is most often taken for {other!r}." if other is not None else ""
    is_or_are = "is" if num_correct == 1 else "are"
    sentence = (
        f"Of {name!r}, {num_correct} of {counted(num_images, 'held-out image')} {is_or_are} recognised"
        f" (all classes: {percent(recognition.measured.accuracy)}).{taken} More images of this class would help."
    )
    missed = (is_own_N & (recognition.said_N != label)).nonzero().flatten().tolist()
    return Finding("classes.weak", "notice", sentence, tuple(examined.images[recognition.indices[at]].name for at in missed))


def single_findings(examined: Examined) -> list[Finding]:
    """Return a finding if classes have one image."""
    single = [name for label, name in enumerate(examined.labels) if examined.shot(label) == 1]
    if not single:
        return []
    if len(single) == examined.way:
        sentence = "Every class has one image, so nothing can be held out: how well images are recognised cannot be known."
    else:
        what = "has one image, so how well it is" if len(single) == 1 else "have one image each, so how well they are"
        sentence = f"{listed(single)} {what} recognised cannot be known."
    return [Finding("classes.one_image", "notice", sentence)]


def _recall(examined: Examined, label: int, recognition: Recognition | None) -> tuple[float | None, str | None]:
    """Return the share of a class's images that was recognised, and what the others were most often taken for."""
    if recognition is None or not bool((recognition.labels_N == label).any()):
        return None, None
    said = Counter(recognition.said_N[recognition.labels_N == label].tolist())
    wrong = [(other, count) for other, count in said.most_common() if other != label]
    return said[label] / said.total(), examined.labels[wrong[0][0]] if wrong else None
