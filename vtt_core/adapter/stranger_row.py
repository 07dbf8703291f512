"""Learn on an adapter's own tower what no class looks like, from images that are generated.

Shapes: B images.
"""

from __future__ import annotations

from functools import lru_cache

from vtt_core.adapter.classify import read, read_for
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.heads.bases import Labelled
from vtt_core.heads.features import ImageFeatures, features_of
from vtt_core.heads.generated_images import images_to_teach
from vtt_core.heads.linear_head import LinearHead
from vtt_core.heads.strangers import learn_strangers


def stranger_row(backbone: Backbone, adapter: Adapter, known: Labelled, num_real: int) -> LinearHead:
    """Return the row that tells generated images from those of the classes.

    Args:
        backbone: of the adapter.
        adapter: whose tower will be served.
        known: the support images by that tower.
        num_real: number of classes that are no negative class; those come first.
    """
    is_changed = adapter.lora.rank > 0 or adapter.prompts_JPW is not None
    generated = features_of(read_for(backbone, adapter, images_to_teach())) if is_changed else _by_frozen_tower(backbone)
    return learn_strangers(known.features.take((known.labels_S < num_real).nonzero().flatten()), generated)


@lru_cache(maxsize=4)
def _by_frozen_tower(backbone: Backbone) -> ImageFeatures:
    """Return the features of the generated images, which every support set shares."""
    return features_of(read(backbone, images_to_teach()))
