"""The backbones that the start page offers, in groups by how soon a job can use them."""

from __future__ import annotations

from dataclasses import dataclass

from app.backbones.service import live_workers, weights_of
from app.dependencies import AppContext
from vtt_core.contract.backbones import Weights, catalogue

RECOMMENDED = "ViT-B-16-quickgelu/openai"
"""What to take for real work; the first of its group."""
OWN = "own"
"""Group of a default that the catalogue does not list, such as a file of the operator."""


@dataclass(frozen=True)
class Choice:
    """A backbone in the list."""

    id: str
    side_pixels: int
    """Of the images that it reads; 0 where that is not known."""
    is_recommended: bool = False


def group_backbones(context: AppContext) -> list[tuple[str, list[Choice]]]:
    """Return the choices by group, the soonest first; those that no worker can get are left out."""
    workers = live_workers(context.workers)
    groups: dict[str, list[Choice]] = {weights.value: [] for weights in Weights if weights is not Weights.OUT_OF_REACH}
    known = set()
    for entry in catalogue():
        known.add(entry.backbone_id)
        choice = Choice(entry.backbone_id, entry.image_side_pixels, entry.backbone_id == RECOMMENDED)
        weights = weights_of(entry, workers)
        if weights is not Weights.OUT_OF_REACH:
            groups[weights.value].append(choice)
    if context.settings.default_backbone not in known:
        groups[OWN] = [Choice(context.settings.default_backbone, 0)]
    return [(name, sorted(found, key=lambda one: not one.is_recommended)) for name, found in groups.items() if found]
