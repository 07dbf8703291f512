"""Each baseline gives the same results as its parts by hand, and as without the bank."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from vtt_core.adapter.classify import image_features, unprojected_features, zero_shot_prototypes
from vtt_core.adapter.linear_probe import probe_predictions
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.registry import BASELINES
from vtt_core.bench.episodes.adapter_methods import make_method
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.method_spec import MethodSpec


def test_frozen_methods_say_what_their_parts_say(
    tiny_backbone: Backbone, bank: ImageBank, episodes: list[EpisodeImages]
) -> None:
    for images, zero_shot, probe in zip(
        episodes,
        make_method(MethodSpec("zero-shot", "zero-shot", None), 1).predict(episodes),
        make_method(MethodSpec("linear-probe", "linear-probe", None), 1).predict(episodes),
        strict=True,
    ):
        support, query = list(bank.decoded(images.support)), list(bank.decoded(images.query))
        prototypes_CD = zero_shot_prototypes(tiny_backbone, images.labels, "a photo of a {}.")
        scores_QC = image_features(tiny_backbone, query) @ prototypes_CD.t()
        assert zero_shot.predicted_Q.tolist() == scores_QC.argmax(dim=-1).tolist()
        expected = probe_predictions(
            unprojected_features(tiny_backbone, support),
            images.episode.support_labels_S,
            unprojected_features(tiny_backbone, query),
            3,
        )
        assert probe.predicted_Q.tolist() == expected.tolist()
        assert probe.probabilities_QC is None
        assert zero_shot.probabilities_QC is not None
        assert torch.allclose(zero_shot.probabilities_QC.sum(dim=-1), torch.ones(len(query)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BASELINES))
def test_every_baseline_says_what_it_says_without_the_bank(name: str, episodes: list[EpisodeImages]) -> None:
    images = episodes[2]
    by_bank = images.task
    alone = FewShotTask(**{known.name: getattr(by_bank, known.name) for known in fields(FewShotTask)})
    (prediction,) = make_method(MethodSpec(name, name, None), 1).predict([images])
    assert torch.equal(prediction.predicted_Q, BASELINES[name](alone, images.seed).argmax(dim=-1))
