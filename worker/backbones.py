"""Keep one backbone in memory, since the next job is likely to use the same."""

from __future__ import annotations

import gc
from threading import Lock

import structlog
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.backbones.product_choice import ProductChoice, choose_products
from vtt_core.contract.errors import BackboneUnavailableError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.fusion.make import state_size_of
from vtt_core.fusion.scan_choice import ScanChoice, choose_scan
from vtt_core.serving.mixed_reader import MixedReader
from vtt_core.training.finetune import warm_up
from worker.weights import WeightReport

_log = structlog.get_logger(__name__)


class BackboneCache:
    """Keeps the backbone that was used last.

    Args:
        device: torch device.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.weights = WeightReport()
        """Which backbones can be loaded."""
        self._kept: Backbone | None = None
        self._reader: MixedReader | None = None
        self._loading = Lock()

    @property
    def backbone_id(self) -> str | None:
        """Id of the backbone in memory."""
        return self._kept.backbone_id if self._kept is not None else None

    @property
    def scan(self) -> ScanChoice:
        """Which code runs the scan of the released recipe on this device, for the backbone in memory if there is one."""
        kept = self._kept
        num_states = None if kept is None else state_size_of(FinetuneRecipe(), kept.joint_size)
        return choose_scan(torch.device(self.device), num_states)

    @property
    def products(self) -> ProductChoice:
        """Which arithmetic the products of a tuned recipe have on this device."""
        return choose_products("fastest", torch.device(self.device))

    def get(self, backbone_id: str) -> Backbone:
        """Return the backbone, frozen and on the device; raises what `load_backbone` raises."""
        with self._loading:
            if self._kept is None or self._kept.backbone_id != backbone_id:
                # Freed before the load, so that the device never holds two.
                self._kept = self._reader = None
                gc.collect()
                if self.device.startswith("cuda"):
                    torch.cuda.empty_cache()
                self._kept = self._load(backbone_id)
                _log.info("backbone_loaded", backbone_id=backbone_id, device=self.device)
            return self._kept

    def reader(self, backbone_id: str) -> MixedReader:
        """Return what reads images of batches by a backbone; the errors are those of `get`."""
        backbone = self.get(backbone_id)
        self._reader = self._reader or MixedReader(backbone)
        return self._reader

    def warm_up(self) -> None:
        """Compile what fine-tunings of the backbone in memory run, so that the first of them need not."""
        if self._kept is not None:
            warm_up(self._kept)

    def _load(self, backbone_id: str) -> Backbone:
        try:
            backbone = load_backbone(backbone_id, device=self.device)
        except BackboneUnavailableError:
            self.weights.note(backbone_id, is_loaded=False)
            raise
        self.weights.note(backbone_id, is_loaded=True)
        return backbone
