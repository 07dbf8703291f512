"""Tell what a support set is made of: numbers of images, and images that are unlike the others."""

from __future__ import annotations

from collections.abc import Callable

from vtt_core.contract.support_set_report import Finding
from vtt_core.inspection.examined import Examined, ExaminedImage
from vtt_core.inspection.words import counted, listed

UNEQUAL = 4
"""A class with so many times the images of another is worth a notice."""
FEW_GREY = 0.25
"""Up to this share of grey-scale images among coloured ones they are the odd ones out, and the other way round."""


def make_up_findings(examined: Examined) -> list[Finding]:
    """Return what is worth knowing about numbers and sizes."""
    return [*_unequal(examined), *_small(examined), *_odd_colours(examined)]


def _unequal(examined: Examined) -> list[Finding]:
    shots = {name: examined.shot(label) for label, name in enumerate(examined.labels)}
    most, least = max(shots, key=lambda name: shots[name]), min(shots, key=lambda name: shots[name])
    if shots[most] < UNEQUAL * shots[least]:
        return []
    sentence = (
        f"The classes are unequal: {most!r} has {counted(shots[most], 'image')}, {least!r} has {shots[least]}."
        " All classes count the same, so the small ones are the uncertain ones."
    )
    return [Finding("classes.unequal", "notice", sentence)]


def _small(examined: Examined) -> list[Finding]:
    side = examined.side_pixels
    small = [image for image in examined.images if min(image.facts.width, image.facts.height) < side]
    if not small:
        return []
    smallest = min(small, key=lambda image: min(image.facts.width, image.facts.height)).facts
    what = f"smaller than the {side} x {side} pixels that the backbone reads, down to {smallest.width} x {smallest.height}"
    if len(small) == len(examined.images):
        sentence = f"All images are {what}. Larger ones would show more."
    else:
        is_or_are = "is" if len(small) == 1 else "are"
        names = listed([image.name for image in small])
        sentence = f"{counted(len(small), 'image')} {is_or_are} {what}: {names}."
    return [Finding("images.small", "notice", sentence, tuple(image.name for image in small))]


def _odd_colours(examined: Examined) -> list[Finding]:
    grey = _grey(examined, lambda image: image.facts.is_grey)
    coloured = _grey(examined, lambda image: not image.facts.is_grey)
    for odd, what, others in ((grey, "grey-scale", "in colour"), (coloured, "in colour", "grey-scale")):
        if odd and len(odd) <= FEW_GREY * len(examined.images):
            is_or_are = "is" if len(odd) == 1 else "are"
            sentence = f"{counted(len(odd), 'image')} {is_or_are} {what}, the others are {others}: {listed(odd)}."
            return [Finding("images.grey_among_colour", "notice", sentence, tuple(odd))]
    return []


def _grey(examined: Examined, is_meant: Callable[[ExaminedImage], bool]) -> list[str]:
    return [image.name for image in examined.images if is_meant(image)]
