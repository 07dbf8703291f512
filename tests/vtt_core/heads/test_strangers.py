import torch

from tests.vtt_core.heads.test_heads import clusters, unit
from vtt_core.heads.features import ImageFeatures
from vtt_core.heads.strangers import STRANGER_SCORE, learn_strangers


def test_what_is_like_the_generated_images_scores_above_the_bound_and_the_classes_below() -> None:
    known, unseen = clusters(2, num_classes=4, common=2.0), clusters(30, num_classes=4, common=2.0)
    direction = unit(1, 40, seed=50)

    def generated(num_images: int, seed: int) -> ImageFeatures:
        levels_BF = torch.nn.functional.normalize(2 * direction + unit(num_images, 40, seed=seed), dim=-1)
        return ImageFeatures(levels_BF, unit(num_images, 6, seed=seed), unit(num_images, 8, seed=seed))

    row = learn_strangers(known.features, generated(50, 1))
    assert (row.scores(generated(100, 2).levels_BF) > STRANGER_SCORE).double().mean() > 0.98
    assert (row.scores(unseen.features.levels_BF) < STRANGER_SCORE).double().mean() > 0.98
