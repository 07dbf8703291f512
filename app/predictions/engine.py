"""Build the engine; the only module of the API that imports torch."""

from __future__ import annotations

import torch

from app.infra.settings import Settings
from vtt_core.serving.engine import Engine


def make_prediction_engine(settings: Settings) -> Engine:
    """Return an engine on the device that the settings name."""
    return Engine(resolve_device(settings.device), settings.max_resident_adapters)


def resolve_device(device: str) -> str:
    """Return the torch device; `auto` is the first CUDA device where there is one."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"
