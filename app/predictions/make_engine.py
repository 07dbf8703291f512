"""Build the engine; the only module of the API that imports torch."""

from __future__ import annotations

import time

from app.infra.settings import Settings
from vtt_core.backbones.device import resolve_device
from vtt_core.serving.batcher import Batching
from vtt_core.serving.engine import Engine, EngineSettings


def make_prediction_engine(settings: Settings) -> Engine:
    """Return an engine on the device that the settings name."""
    engine_settings = EngineSettings(
        capacity_bytes=settings.adapter_memory_bytes,
        precision=settings.adapter_precision,
        batching=Batching(settings.batch_max_images, settings.batch_wait_seconds, settings.batch_max_seconds),
        decode_threads=settings.decode_threads,
    )
    return Engine(resolve_device(settings.device), engine_settings, time.perf_counter)
