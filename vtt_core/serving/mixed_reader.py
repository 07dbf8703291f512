"""Read images of many models together: one pass of the tower, each image with its own adapter.

Shapes: B images, X what a head reads of one, H = W side in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.serving import AnswerOptions, Prediction
from vtt_core.heads.features import head_input
from vtt_core.serving.mixed_lora import MixedLora
from vtt_core.serving.served import ServedAdapter
from vtt_core.serving.traced_read import TracedRead


class BatchItem(NamedTuple):
    """One image and the adapter that it wants."""

    pixels_3HW: Tensor
    adapter: ServedAdapter


class MixedReader:
    """Reads images by one backbone."""

    def __init__(self, backbone: Backbone) -> None:
        """Take the backbone."""
        self.backbone = backbone
        self._read_tower = TracedRead(backbone.vision_tower)

    @property
    def num_slow_runs(self) -> int:
        """How many runs of the tower, the first ones, are slower than all later ones."""
        return 3 if self._read_tower.can_trace else 1  # torch changes a recording in its first three

    def read_frozen(self, images_B3HW: Tensor) -> Tensor:
        """Return phi_BX on the CPU, what a head reads of each image, by the tower without an adapter."""
        with torch.inference_mode():
            return self._read_tower(images_B3HW).float().cpu()

    def answer(
        self,
        items: Sequence[BatchItem],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
    ) -> list[Prediction]:
        """Return the answer for each image by its own adapter."""
        return [item.adapter.answer(phi_X, options) for item, phi_X in zip(items, self.read(items), strict=True)]

    def read(self, items: Sequence[BatchItem]) -> list[Tensor]:
        """Return what a head reads of each image (X), by the tower with its own adapter.

        One pass of the vision tower serves all images, except those of adapters with visual prompts: each of these has a pass
        of its own, since its images are read with additional tokens.
        """
        passes: dict[int | None, list[int]] = {}
        for index, item in enumerate(items):
            passes.setdefault(None if item.adapter.prompts_JPW is None else id(item.adapter), []).append(index)
        read: dict[int, Tensor] = {}
        for indices in passes.values():
            read |= zip(indices, self._read_in_one_pass([items[index] for index in indices]), strict=True)
        return [read[index] for index in range(len(items))]

    def _read_in_one_pass(self, items: Sequence[BatchItem]) -> Tensor:
        adapters, dtype = [item.adapter for item in items], self.backbone.dtype
        prompts_JPW = adapters[0].prompts_JPW
        with torch.inference_mode():
            images_B3HW = torch.stack([item.pixels_3HW for item in items])
            lora = MixedLora(adapters, dtype) if any(adapter.rank for adapter in adapters) else None
            if prompts_JPW is None:
                phi_BX = self._read_tower(images_B3HW, lora)
            else:
                phi_BX = head_input(self.backbone.vision_tower.read(images_B3HW, lora, prompts_JPW.to(dtype)))
            # The few numbers that are left are one transfer, and then nothing waits for the device again.
            return phi_BX.float().cpu()
