"""Decide what a support set takes: its images, and labels that the text encoder can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from app.infra.settings import Settings
from app.infra.tables import SupportImageRow
from vtt_core.contract.admitted_images import AdmittedImages
from vtt_core.contract.backbones import MINI
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.labels.checks import KnownLabels, LabelReader


class Admission(AdmittedImages):
    """The images and classes that are in a support set so far.

    Args:
        limits: the bounds in force.
        admitted: label and SHA-256 of the images that are in it already.
        empty_labels: labels of its classes that have no image.
        reader: how the backbone reads labels; None for the bundled backbone.
        negative_label: label of the negative class. No prompt says it, so it may be any.
    """

    def __init__(
        self,
        limits: Limits,
        admitted: Iterable[tuple[str, str]] = (),
        empty_labels: Iterable[str] = (),
        reader: LabelReader | None = None,
        negative_label: str | None = None,
    ) -> None:
        super().__init__(limits, admitted, negative_label)
        known = [label for label in [*self.shots, *empty_labels] if label != negative_label]
        self._known = KnownLabels(reader or LabelReader(MINI, FinetuneRecipe()), known)

    @classmethod
    def of_set(
        cls, settings: Settings, images: Iterable[SupportImageRow], empty_labels: Iterable[str], negative_label: str | None
    ) -> Self:
        """Return what is in a support set; labels are read as the service's default backbone reads them."""
        reader = LabelReader(settings.default_backbone, FinetuneRecipe())
        admitted = [(image.label, image.sha256) for image in images]
        return cls(settings.limits, admitted, empty_labels, reader, negative_label)

    def add_class(self, label: str) -> None:
        """Let a class of this label exist, perhaps without an image.

        Raises:
            BadLabelError: its prompt is too long for the text encoder.
            SameTokensError: the text encoder reads it as the label of another class; both are named.
        """
        if label != self._negative_label:
            self._known.add(label)

    def check(self, label: str, sha256: str) -> None:
        """Refuse an image that the set cannot take.

        Raises:
            SupportSetError: as `check_new` and `check_room`.
        """
        self.check_new(label, sha256)
        self.check_room(label)
