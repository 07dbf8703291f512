"""Take the small backbone and fine-tuning of the method's own tests."""

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
