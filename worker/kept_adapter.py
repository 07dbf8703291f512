"""Keep one adapter in memory, since the next chunk of a batch is likely to need the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vtt_core.adapter.files import adapter_from_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.serving.served import Precision, ServedAdapter, make_served


class KeptAdapter:
    """The adapter that was used last."""

    def __init__(self) -> None:
        # Not the backbone itself, which the worker frees when a job needs another one.
        self._key: tuple[str, str] | None = None
        self._adapter: ServedAdapter | None = None

    def get(
        self, model_id: str, backbone: Backbone, load_files: Callable[[], Mapping[str, bytes]], precision: Precision
    ) -> ServedAdapter:
        """Return the adapter of a model, read from its files if it is not the last one.

        Args:
            model_id: of the model; its adapter never changes.
            backbone: that it was made on.
            load_files: reads its files, by name.
            precision: of its LoRA in memory.

        Raises:
            AdapterFormatError: the files are no adapter.
            BackboneMismatchError: it belongs to another backbone.
        """
        if self._adapter is None or self._key != (model_id, backbone.weight_sha256):
            self._adapter = None
            adapter = adapter_from_files(load_files())
            adapter.check_backbone(backbone)
            self._adapter = make_served(adapter, backbone.device, precision)
            self._key = (model_id, backbone.weight_sha256)
        return self._adapter
