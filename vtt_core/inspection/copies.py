"""Say which images look like one photo, and which groups do not keep together what belongs together."""

from __future__ import annotations

from collections import defaultdict

from vtt_core.contract.support_set_report import Copies, Finding
from vtt_core.heads.brightness_parts import part_correlations
from vtt_core.heads.duplicates import copies, joined_groups
from vtt_core.inspection.examined import Examined
from vtt_core.inspection.words import counted, listed


def copies_in(examined: Examined) -> list[tuple[int, int]]:
    """Return pairs of images that look like one photo, the smaller index first."""
    return copies(examined.features.levels_BF, part_correlations([image.facts.thumbnail for image in examined.images]))


def independent_groups(examined: Examined, pairs: list[tuple[int, int]]) -> list[int]:
    """Return a number for each image, equal for copies and for images of one group."""
    return joined_groups([image.group for image in examined.images], pairs)


def copies_report(examined: Examined, pairs: list[tuple[int, int]]) -> list[Copies]:
    """Return the pairs by name."""
    images, labels = examined.images, [*examined.labels, None]
    return [
        Copies((images[one].name, images[two].name), (labels[_label(examined, one)], labels[_label(examined, two)]))
        for one, two in pairs
    ]


def copies_findings(examined: Examined, pairs: list[tuple[int, int]]) -> list[Finding]:
    """Return what is worth knowing about copies."""
    findings = [_across_classes(examined, pair) for pair in pairs if _is_across(examined, pair)]
    findings += [_across_groups(examined, pair) for pair in pairs if _is_across_groups(examined, pair)]
    by_label: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for one, two in pairs:
        in_one_group = examined.images[one].group is not None and examined.images[one].group == examined.images[two].group
        if not _is_across(examined, (one, two)) and not in_one_group:
            by_label[_label(examined, one)].append((one, two))
    return findings + [_within(examined, label, found) for label, found in by_label.items()]


def group_findings(examined: Examined, groups: list[int]) -> list[Finding]:
    """Return what is worth knowing about groups.

    Args:
        examined: the support set.
        groups: of `independent_groups`.
    """
    return [*_groups_of_several_classes(examined), *_classes_of_one_group(examined, groups)]


def _groups_of_several_classes(examined: Examined) -> list[Finding]:
    members: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(examined.images):
        if image.group is not None:
            members[image.group].append(index)
    several = {group: found for group, found in members.items() if len({_label(examined, index) for index in found}) > 1}
    if not several:
        return []
    names = [examined.images[index].name for found in several.values() for index in found]
    whose, have = ("The group", "has") if len(several) == 1 else ("The groups", "have")
    sentence = f"{whose} {listed(list(several))} {have} images of more than one class. Check that this is meant."
    return [Finding("groups.several_classes", "notice", sentence, tuple(names))]


def _classes_of_one_group(examined: Examined, groups: list[int]) -> list[Finding]:
    findings = []
    for label, name in enumerate(examined.labels):
        indices = [index for index, image in enumerate(examined.images) if image.label == label]
        if len(indices) < 2 or len({groups[index] for index in indices}) > 1:
            continue
        common = {examined.images[index].group for index in indices}
        group = next(iter(common))
        what = f"belong to one group, {group!r}" if len(common) == 1 and group is not None else "are copies or of one group"
        sentence = f"All images of {name!r} {what}. How well new images of it are recognised cannot be known. Add others."
        findings.append(Finding("groups.whole_class", "problem", sentence, _names(examined, indices)))
    return findings


def _is_across(examined: Examined, pair: tuple[int, int]) -> bool:
    return examined.images[pair[0]].label != examined.images[pair[1]].label


def _is_across_groups(examined: Examined, pair: tuple[int, int]) -> bool:
    first, second = (examined.images[index].group for index in pair)
    return first is not None and second is not None and first != second


def _across_classes(examined: Examined, pair: tuple[int, int]) -> Finding:
    first, second = (f"{examined.images[index].name!r} in {_class_name(examined, index)}" for index in pair)
    sentence = f"{first} and {second} look like one photo. Check which label is right."
    return Finding("copies.across_classes", "problem", sentence, _names(examined, pair))


def _across_groups(examined: Examined, pair: tuple[int, int]) -> Finding:
    first, second = (f"{examined.images[index].name!r} of group {examined.images[index].group!r}" for index in pair)
    sentence = f"{first} and {second} look like one photo. They are treated as one group."
    return Finding("groups.leak", "problem", sentence, _names(examined, pair))


def _within(examined: Examined, label: int, pairs: list[tuple[int, int]]) -> Finding:
    indices = sorted({index for pair in pairs for index in pair})
    name = _class_name(examined, indices[0])
    if len(pairs) == 1:
        first, second = _names(examined, indices)
        sentence = f"{first!r} and {second!r} of {name} look like one photo, or two of the same thing. They count as one image."
    else:
        names = listed(_names(examined, indices))
        found = counted(len(indices), "image")
        sentence = f"{found} of {name} look like copies, or photos of the same thing: {names}. Copies count as one."
    return Finding("copies.within_class", "notice", sentence, _names(examined, indices))


def _label(examined: Examined, index: int) -> int:
    """Return the class of an image; that after the last class for the negative one."""
    label = examined.images[index].label
    return examined.way if label is None else label


def _class_name(examined: Examined, index: int) -> str:
    label = examined.images[index].label
    return "the negative class" if label is None else repr(examined.labels[label])


def _names(examined: Examined, indices: tuple[int, ...] | list[int]) -> tuple[str, ...]:
    return tuple(examined.images[index].name for index in indices)
