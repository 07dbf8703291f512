"""The small backbone and fine-tuning of tests/vtt_core."""

from tests.vtt_core.conftest import (
    draw_image,
    make_backbone,
    make_recipe,
    make_support_set,
    support_set,
    tiny_backbone,
    tiny_config,
)

__all__ = ["draw_image", "make_backbone", "make_recipe", "make_support_set", "support_set", "tiny_backbone", "tiny_config"]
