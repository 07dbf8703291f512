"""Read images by a small tower without Python's lock, beside threads that decode and answer.

Each operation of torch gives the lock away and then waits for it. A small tower's operations are so short that it waited as
long as it computed. A recording of its operations (`torch.jit.trace`) runs them all without the lock, to the same bits.

torch calls `trace` deprecated and names two others: `torch.compile` needs a compiler on the user's machine, and what
`torch.export` gives is run by Python. Where `trace` is missing, the tower is read as before:
docs/decisions/12-recorded-reading.md.

Shapes: B images, L layers, P = 3 projections (q, k, v), W tower width, R rank, X input of a head.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.towers import VisionTower
from vtt_core.heads.features import head_input
from vtt_core.serving.mixed_lora import MixedLora, StackedLoras

MAX_WIDTH = 512
"""Of a tower that is recorded. `mini` (128) answers 1.3 times as many requests; ViT-B/32 (768) as many as before."""
Read = Callable[..., Tensor]


class TracedRead:
    """Reads images by one tower; a recording is made when its kind of LoRA is first met."""

    def __init__(self, tower: VisionTower) -> None:
        """Take the tower, of any kind."""
        self._tower = tower
        self._recordings: dict[tuple[int, ...], Read] = {}
        """By number of dimensions and rank of A."""
        self._lock = threading.Lock()

    @property
    def is_traced(self) -> bool:
        """Whether recordings are used."""
        return (
            isinstance(self._tower, ClipVisionTower)
            and self._tower.width <= MAX_WIDTH
            and self._tower.device.type == "cpu"
            and hasattr(torch.jit, "trace")
        )

    def __call__(self, images_B3HW: Tensor, lora: MixedLora | None = None) -> Tensor:
        """Return phi_BX, what a head reads of each image.

        Args:
            images_B3HW: preprocessed images.
            lora: those of the images; None for the frozen tower.
        """
        if not self.is_traced:
            return head_input(self._tower.read(images_B3HW, lora))
        kind: tuple[int, ...] = ()
        tensors: tuple[Tensor, ...] = (images_B3HW,)
        if lora is not None:
            loras = lora.stacked()
            kind, tensors = (loras.A.ndim, loras.A.shape[-2]), (images_B3HW, loras.A, loras.B)
        with self._lock:
            if kind not in self._recordings:
                self._recordings[kind] = _recorded(self._read, tensors)
        return self._recordings[kind](*tensors)

    def _read(self, images_B3HW: Tensor, A: Tensor | None = None, B: Tensor | None = None) -> Tensor:
        loras = None if A is None or B is None else StackedLoras(A, B)
        return head_input(self._tower.read(images_B3HW, loras))


def _recorded(read: Read, example: tuple[Tensor, ...]) -> Any:
    """Return a recording for any number of images."""
    # These stay: `warnings.catch_warnings` would restore what other threads have changed meanwhile.
    warnings.filterwarnings("ignore", r"`torch\.jit\.trace` is deprecated", DeprecationWarning)
    # Of loops, which are recorded as often as they ran.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
    return torch.jit.trace(read, example, check_trace=False)
