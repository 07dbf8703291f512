"""Import timm, and give it to open_clip, whose own import did without it (`open_clip_import.py`)."""

from __future__ import annotations

import importlib
import logging

from vtt_core.backbones.open_clip_import import open_clip

import timm  # isort: skip - torchvision, which it imports, needs what the line above declares

logging.getLogger("timm").setLevel(logging.ERROR)
if open_clip.timm_model.timm is None:
    importlib.reload(open_clip.timm_model)

__all__ = ["timm"]
