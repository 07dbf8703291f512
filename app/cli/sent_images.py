"""Images in memory, as `vtt_client` sends them."""

from __future__ import annotations

from collections.abc import Sequence

from vtt_core.contract.support_set import SupportImage, SupportSet


def sent_images(images: Sequence[SupportImage]) -> list[tuple[str, bytes]]:
    """Return the name and the bytes of each image."""
    return [(image.name.rsplit("/", 1)[-1], image.encoded) for image in images]


def sent_classes(support_set: SupportSet) -> dict[str, list[tuple[str, bytes]]]:
    """Return the images of each class, by its label."""
    return {support_class.label: sent_images(support_class.images) for support_class in support_set.classes}
