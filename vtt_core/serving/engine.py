"""Answer for many adapters on each backbone, which is in memory once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from PIL import Image

from vtt_core.adapter import adapter_from_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.classify import classify
from vtt_core.serving.store import AdapterStore


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for."""

    probabilities: dict[str, float]
    """Probability of every label, the likeliest first; they sum to 1."""


class Engine:
    """Frozen backbones, each loaded once, and the adapters that were asked for last."""

    def __init__(self, device: str, capacity: int) -> None:
        """Start with nothing loaded.

        Args:
            device: torch device.
            capacity: number of adapters to keep in memory.
        """
        self._device = device
        self._adapters = AdapterStore(capacity)
        self._backbones: dict[str, Backbone] = {}
        self._loading = Lock()

    def warm(self, backbone_id: str) -> None:
        """Load a backbone and hash its weights, so that the first prediction does not wait for it.

        Raises:
            UnknownBackboneError: no backbone has this id.
            BackboneUnavailableError: its weights are out of reach.
        """
        _ = self._backbone(backbone_id).weight_sha256

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: Callable[[], Mapping[str, bytes]],
        images: Sequence[Image.Image],
    ) -> list[Prediction]:
        """Classify images with one adapter; may be called from several threads.

        Args:
            model_id: of the adapter; it never changes under one id.
            backbone_id: that the adapter was trained on.
            load_files: reads the adapter's files where it is not in memory.
            images: RGB images, at least one.

        Raises:
            AdapterFormatError: the files are no adapter.
            BackboneMismatchError: the adapter belongs to another backbone.
            BackboneUnavailableError: the backbone's weights are out of reach.
        """
        backbone = self._backbone(backbone_id)
        adapter = self._adapters.get(model_id, lambda: adapter_from_files(load_files()))
        probabilities_BC = classify(backbone, adapter, images)
        return [_prediction(adapter.manifest.labels, row) for row in probabilities_BC.tolist()]

    def evict(self, model_id: str) -> None:
        """Forget an adapter, as when its model was deleted."""
        self._adapters.evict(model_id)

    def resident(self) -> list[str]:
        """Return the ids of the adapters in memory."""
        return self._adapters.resident()

    def _backbone(self, backbone_id: str) -> Backbone:
        with self._loading:
            if backbone_id not in self._backbones:
                self._backbones[backbone_id] = load_backbone(backbone_id, device=self._device)
            return self._backbones[backbone_id]


def _prediction(labels: Sequence[str], probabilities: Sequence[float]) -> Prediction:
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])
    return Prediction(dict(ranked))
