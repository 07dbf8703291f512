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
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.towers import VisionTower
from vtt_core.heads.features import head_input
from vtt_core.serving.mixed_lora import MixedLora, StackedLoras

MAX_WIDTH = 512
"""Of a tower that is recorded. `mini` (128) answers up to 1.3 times as many requests; ViT-B/32 (768) as many as before."""
MAX_RECORDINGS = 8
"""Kinds that came last; on `mini` each takes 12 MB."""
MAX_STACKED_BYTES = 2**25
"""Of LoRAs that are gathered for a recording, which has those of all blocks at once: larger ones are slower than without."""
Read = Callable[..., Tensor]


class TracedRead:
    """Reads images by one tower; a recording is made when its kind of LoRA is first met."""

    def __init__(self, tower: VisionTower) -> None:
        """Take the tower, of any kind."""
        self._tower = tower
        self._recordings: OrderedDict[tuple[int, ...], Read] = OrderedDict()
        """By number of dimensions and rank of A."""
        self._lock = threading.Lock()

    @property
    def can_trace(self) -> bool:
        """Whether recordings of the tower may be used."""
        return (
            isinstance(self._tower, ClipVisionTower)
            and self._tower.width <= MAX_WIDTH
            and self._tower.device.type == "cpu"
            and hasattr(torch.jit, "trace")
        )

    def __call__(self, images_B3HW: Tensor, lora: MixedLora | None = None) -> Tensor:
        """Return phi_BX, what a head reads of each image.

        Args:
            images_B3HW: preprocessed images; in float32 for a recording, which would round a constant of float64.
            lora: those of the images; None for the frozen tower.
        """
        is_large = lora is not None and lora.stacked_bytes > MAX_STACKED_BYTES
        if is_large or images_B3HW.dtype != torch.float32 or not self.can_trace:
            return head_input(self._tower.read(images_B3HW, lora))
        if lora is None:
            return self._recording((), images_B3HW)(images_B3HW)
        loras = lora.stacked()
        tensors = (images_B3HW, loras.A, loras.B)
        return self._recording((loras.A.ndim, loras.A.shape[-2]), *tensors)(*tensors)

    def _recording(self, kind: tuple[int, ...], *example: Tensor) -> Read:
        with self._lock:
            if kind not in self._recordings:
                self._recordings[kind] = _recorded(self._read, example)
                while len(self._recordings) > MAX_RECORDINGS:
                    self._recordings.popitem(last=False)
            self._recordings.move_to_end(kind)
            return self._recordings[kind]

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
