"""An episode's support set, seed and inputs of the baselines."""

from __future__ import annotations

import torch

from vtt_core.bench.baselines.few_shot_task import in_chunks
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.finetune import make_training_data


def test_the_support_set_holds_the_episodes_images_under_its_labels(bank: ImageBank, episodes: list[EpisodeImages]) -> None:
    images = episodes[0]
    support_set = images.support_set()
    assert support_set.labels == images.labels
    names = [image.name for support_class in support_set.classes for image in support_class.images]
    assert names == [bank.images[index].name for index in images.support]
    assert all(
        name.startswith(f"{label}/")
        for name, label in zip(names, [label for label in images.labels for _ in range(2)], strict=True)
    )


def test_each_episode_has_its_own_seed(episodes: list[EpisodeImages]) -> None:
    assert len({images.seed for images in episodes}) == 3


def test_the_baselines_read_the_views_of_a_finetuning_of_the_same_seed(bank: ImageBank, episodes: list[EpisodeImages]) -> None:
    images = episodes[0]
    of_finetuning = make_training_data(bank.backbone, images.support_set(), FinetuneRecipe(), images.seed)
    assert torch.equal(images.task.views_V3HW, of_finetuning.views_V3HW)
    assert torch.equal(images.task.labels_V, of_finetuning.labels_V)
    assert images.task is images.task


def test_features_from_the_bank_are_those_of_the_pixels(bank: ImageBank, episodes: list[EpisodeImages]) -> None:
    task, tower = episodes[1].task, bank.backbone.vision_tower
    torch.testing.assert_close(task.view_layers_VLD, in_chunks(tower.layer_features, task.views_V3HW))
    torch.testing.assert_close(task.query_layers_QLD, in_chunks(tower.layer_features, task.queries_Q3HW))
    torch.testing.assert_close(task.plain_unprojected_SW, in_chunks(tower.unprojected_features, task.plain_S3HW))
    torch.testing.assert_close(task.query_unprojected_QW, in_chunks(tower.unprojected_features, task.queries_Q3HW))
