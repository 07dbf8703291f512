"""Answer for many adapters on each backbone, which is in memory once.

STEP 1 read      images are decoded and resized in a bounded pool, so that large ones cannot fill the memory
STEP 2 adapter   taken from the cache, or read by the caller's own thread: others do not wait for it
STEP 3 batch     images of all callers go through the tower together, each with its own adapter

Shapes: B images, X what a head reads of one, H = W side in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import torch
from torch import Tensor

from vtt_core.adapter.files import adapter_from_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.backbones.preprocess import resize, to_tensor
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.serving import (
    AdapterCounts,
    AnswerOptions,
    AttentionGrids,
    BatchCounts,
    LoadFiles,
    Prediction,
    ReadBytes,
    ResidentAdapter,
)
from vtt_core.contract.support_set_report import ImageToInspect, SupportSetReport
from vtt_core.ingest.decode import decode_image
from vtt_core.inspection.inspect import inspect_images
from vtt_core.serving.adapter_cache import AdapterCache
from vtt_core.serving.batcher import Batcher, Batching
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import Precision, ServedAdapter, make_served
from vtt_core.serving.where_it_looked import where_it_looked


@dataclass(frozen=True)
class EngineSettings:
    """What an engine may use."""

    capacity_bytes: int = 2**30
    """Memory of all adapters together."""
    precision: Precision = "float32"
    """Of the LoRAs in memory."""
    batching: Batching = field(default_factory=Batching)
    decode_threads: int = 2
    """Images that are decoded at once."""


class Engine:
    """Frozen backbones, each loaded once, and a cache of adapters."""

    def __init__(
        self,
        device: str,
        settings: EngineSettings,
        stopwatch: Callable[[], float],
    ) -> None:
        """Start with nothing loaded.

        Args:
            device: torch device.
            settings: what it may use.
            stopwatch: gives monotonic seconds.
        """
        self._device = device
        self._settings = settings
        self._stopwatch = stopwatch
        self._batches = BatchCounts()
        self._cache = AdapterCache(settings.capacity_bytes, stopwatch)
        self._decoding = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._readers: dict[str, MixedReader] = {}
        self._batchers: dict[str, Batcher[BatchItem, Tensor]] = {}
        self._loading = Lock()
        self._counting = Lock()

    def warm(self, backbone_id: str) -> float:
        """Load a backbone, hash its weights and run it, so that the first prediction does not wait for any of this.

        Returns:
            Seconds that one image takes in the vision tower, without the first runs, which are slower than all later ones.

        Raises:
            UnknownBackboneError: no backbone has this id.
            BackboneUnavailableError: its weights are out of reach.
        """
        backbone = self._backbone(backbone_id)
        _ = backbone.weight_sha256
        side = backbone.preprocessing.side_pixels
        black_1_3HW = torch.zeros(1, 3, side, side, device=backbone.device, dtype=backbone.dtype)
        reader, started = self._readers[backbone_id], 0.0
        for _ in range(reader.num_slow_runs + 1):
            started = self._stopwatch()
            reader.read_frozen(black_1_3HW)
        return self._stopwatch() - started

    def read_images(
        self,
        backbone_id: str,
        encoded: Sequence[ReadBytes],
        limits: Limits = DEFAULT_LIMITS,
        bands: BandChoice | None = None,
    ) -> list[Tensor | VttError]:
        """Return each image as its backbone reads it, (3, H, W) on its device, or why it cannot be used.

        Args:
            backbone_id: whose preprocessing applies.
            encoded: gives the bytes of an image, in the pool's own thread; may raise a VttError.
            limits: on images.
            bands: how images of many bands are shown; None for a model of ordinary images.

        Raises:
            BackboneUnavailableError: the backbone's weights are out of reach.
        """
        backbone = self._backbone(backbone_id)

        def read(read_bytes: ReadBytes) -> Tensor | VttError:
            try:
                image = resize(decode_image(read_bytes(), limits, bands), backbone.preprocessing)
                return to_tensor(image, backbone.preprocessing).to(backbone.device, backbone.dtype)
            except VttError as error:
                return error

        return list(self._decoding.map(read, encoded))

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: LoadFiles,
        images: Sequence[Tensor],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
    ) -> list[Prediction]:
        """Classify images with one adapter; may be called from several threads, whose images share batches.

        Args:
            model_id: of the adapter; it never changes under one id.
            backbone_id: that the adapter was trained on.
            load_files: reads the adapter's files if it is not cached.
            images: what `read_images` gave, at least one.
            options: what the caller wants to know besides probabilities.

        Raises:
            AdapterFormatError: the files are no adapter.
            BackboneMismatchError: the adapter belongs to another backbone.
            BackboneUnavailableError: the backbone's weights are out of reach.
        """
        adapter = self.adapter(model_id, backbone_id, load_files)
        futures = self._batcher(backbone_id).submit([BatchItem(image, adapter) for image in images])
        return [adapter.answer(future.result(), options) for future in futures]

    def attention(self, model_id: str, backbone_id: str, load_files: LoadFiles, image: Tensor) -> AttentionGrids:
        """Say where the backbone, and the model, looked in an image; in the caller's thread, beside predictions.

        The arguments are those of `predict`, and so are the errors, with one more.

        Raises:
            UnsupportedBackboneError: the backbone's vision tower does not gather an image by attention.
        """
        adapter = self.adapter(model_id, backbone_id, load_files)
        return where_it_looked(self._backbone(backbone_id), adapter, image)

    def inspect(
        self, backbone_id: str, labels: Sequence[str], images: Sequence[ImageToInspect], limits: Limits = DEFAULT_LIMITS
    ) -> SupportSetReport:
        """Report on a support set. Images are read in the pool; the rest runs in the caller's thread, beside predictions.

        Args:
            backbone_id: what looks at the images.
            labels: of the classes.
            images: each of one of the classes, or of none.
            limits: on images.

        Raises:
            ImageError: an image cannot be used.
            SameTokensError: the backbone cannot tell two labels apart.
            BackboneUnavailableError: the backbone's weights are out of reach.
        """
        return inspect_images(self._backbone(backbone_id), labels, images, self._decoding.map, limits)

    def adapter(self, model_id: str, backbone_id: str, load_files: LoadFiles) -> ServedAdapter:
        """Return an adapter from the cache, or read it; the arguments and errors are those of `predict`."""
        backbone = self._backbone(backbone_id)

        def load() -> ServedAdapter:
            adapter = adapter_from_files(load_files())
            adapter.check_backbone(backbone)
            return make_served(adapter, backbone.device, self._settings.precision)

        return self._cache.get(model_id, load)

    def set_pinned(self, model_id: str, is_pinned: bool) -> None:
        """Pin an adapter, loaded or not, or unpin it."""
        self._cache.set_pinned(model_id, is_pinned)

    def evict(self, model_id: str) -> None:
        """Drop an adapter, as when its model was deleted."""
        self._cache.evict(model_id)

    def resident(self) -> list[ResidentAdapter]:
        """Return the cached adapters, the least recently used one first."""
        return self._cache.resident()

    @property
    def adapter_counts(self) -> AdapterCounts:
        """How often adapters were found in the cache, read and evicted."""
        return self._cache.counts

    @property
    def batch_counts(self) -> BatchCounts:
        """How many batches there were, and how large."""
        return self._batches

    def close(self) -> None:
        """Finish what is queued, and end the threads."""
        self._decoding.shutdown()
        for batcher in self._batchers.values():
            batcher.close()

    def _backbone(self, backbone_id: str) -> Backbone:
        with self._loading:
            if backbone_id not in self._readers:
                reader = MixedReader(load_backbone(backbone_id, device=self._device))
                self._readers[backbone_id] = reader
                self._batchers[backbone_id] = Batcher(
                    reader.read, self._settings.batching, self._stopwatch, self._observe_batch
                )
            return self._readers[backbone_id].backbone

    def _observe_batch(self, num_images: int, seconds: float) -> None:
        with self._counting:
            counts = self._batches
            sizes = {**counts.sizes, num_images: counts.sizes.get(num_images, 0) + 1}
            self._batches = BatchCounts(counts.batches + 1, counts.images + num_images, counts.seconds + seconds, sizes)

    def _batcher(self, backbone_id: str) -> Batcher[BatchItem, Tensor]:
        return self._batchers[backbone_id]
