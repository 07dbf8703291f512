import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter

import pytest
import torch

from vtt_core.adapter.classify import image_features, logits, zero_shot_prototypes
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.diagnostics.lost_layers import BEFORE, Edit, LostLayers, edited_prototypes, make_edits, summarise
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.episode_log import EpisodeLog
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.runner import Benchmark, run_episodes
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes
from vtt_core.contract.errors import InputError, SupportSetError
from vtt_core.contract.interval import mean_half_width
from vtt_core.contract.method_spec import parse_specs
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.finetune import Finetune
from vtt_core.training.seeding import derived_seed

TEMPLATE = FinetuneRecipe().prompt_template
PROTOCOL = Protocol(way=3, shot=1, num_queries=3, num_episodes=3, seed=5)


@pytest.fixture(scope="module")
def bank(make_support_set: Callable[..., SupportSet], tiny_backbone: Backbone) -> ImageBank:
    """Four classes of five images."""
    drawn = make_support_set(way=4, shot=5)
    images = [
        LabelledImage(image.name, support_class.label, None, partial(bytes, image.encoded))
        for support_class in drawn.classes
        for image in support_class.images
    ]
    return ImageBank(images, tiny_backbone)


@pytest.fixture(scope="module")
def edits(tiny_backbone: Backbone) -> list[Edit]:
    return make_edits(tiny_backbone.text_tower.num_layers, 1.5)


def run(measured: LostLayers) -> dict[str, list[list[float]]]:
    log = EpisodeLog()
    for _ in run_episodes(measured, log, perf_counter):
        pass
    return measured.accuracies(log)


class TestEdits:
    def test_the_full_tower_then_each_block_removed_then_each_emphasised(self) -> None:
        assert make_edits(2, 1.5) == [
            Edit("full", 0, (1.0, 1.0)),
            Edit("removed", 1, (0.0, 1.0)),
            Edit("removed", 2, (1.0, 0.0)),
            Edit("emphasised", 1, (1.5, 1.0)),
            Edit("emphasised", 2, (1.0, 1.5)),
        ]

    @pytest.mark.parametrize("weight", [1.0, 0.5, float("nan"), float("inf")])
    def test_a_weight_that_emphasises_nothing_is_refused(self, weight: float) -> None:
        with pytest.raises(InputError, match="above 1"):
            make_edits(2, weight)


class TestEditedPrototypes:
    def test_the_full_towers_are_those_of_zero_shot(self, tiny_backbone: Backbone, bank: ImageBank, edits: list[Edit]) -> None:
        prototypes_ECD = edited_prototypes(tiny_backbone, bank.labels, TEMPLATE, edits)
        assert prototypes_ECD.shape == (7, 4, 64)
        assert torch.equal(prototypes_ECD[0], zero_shot_prototypes(tiny_backbone, bank.labels, TEMPLATE))

    def test_every_edit_gives_others_of_unit_length(self, tiny_backbone: Backbone, bank: ImageBank, edits: list[Edit]) -> None:
        prototypes_ECD = edited_prototypes(tiny_backbone, bank.labels, TEMPLATE, edits)
        torch.testing.assert_close(prototypes_ECD.norm(dim=-1), torch.ones(7, 4))
        pairs = torch.combinations(torch.arange(7))
        assert all(not torch.allclose(prototypes_ECD[first], prototypes_ECD[second]) for first, second in pairs)


class TestLostLayers:
    def test_before_is_zero_shot_with_each_edits_prototypes(
        self, tiny_backbone: Backbone, bank: ImageBank, edits: list[Edit]
    ) -> None:
        measured = run(LostLayers(bank, PROTOCOL, (BEFORE,), 1, "cpu", 1.5))
        prototypes_ECD = edited_prototypes(tiny_backbone, bank.labels, TEMPLATE, edits)
        for accuracies, episode in zip(measured["before"], draw_episodes(bank.class_I, PROTOCOL), strict=True):
            images = list(bank.decoded(episode.query_Q.tolist()))
            features_QD = image_features(tiny_backbone, images)
            for prototypes_CD, accuracy in zip(prototypes_ECD, accuracies, strict=True):
                predicted_Q = (features_QD @ prototypes_CD[list(episode.classes)].t()).argmax(dim=-1)
                assert accuracy == pytest.approx(float((predicted_Q == episode.query_labels_Q).double().mean()))
        assert list(measured) == ["before"]

    @pytest.mark.slow
    def test_after_is_what_the_stripped_adapter_answers(self, tiny_backbone: Backbone, bank: ImageBank) -> None:
        specs = parse_specs("clip-lora,clip-lora+vtt", (), {"iterations": 4})
        protocol = replace(PROTOCOL, num_episodes=2)
        measured = run(LostLayers(bank, protocol, (BEFORE, *specs), 1, "cpu", 1.5))
        episode = list(draw_episodes(bank.class_I, PROTOCOL))[1]
        images = list(bank.decoded(episode.query_Q.tolist()))
        for spec in specs:
            assert spec.recipe is not None
            finetune = Finetune(
                tiny_backbone, EpisodeImages(bank, episode, 1, 5).support_set(), spec.recipe, derived_seed(5, "episode", 1)
            )
            assert [report.step for report in finetune.steps()] == [1, 2, 3, 4]
            predicted_Q = logits(tiny_backbone, strip(finetune), images).argmax(dim=-1)
            expected = float((predicted_Q == episode.query_labels_Q).double().mean())
            assert measured[spec.text][1][0] == pytest.approx(expected)
        assert measured["before"] == run(LostLayers(bank, protocol, (BEFORE,), 1, "cpu", 1.5))["before"]

    @pytest.mark.parametrize("method", ["coop", "clip-lora-both+vtt", "clip-lora:prompt_template=a {}"])
    def test_a_method_that_the_edited_tower_would_not_classify_for_is_refused(self, bank: ImageBank, method: str) -> None:
        with pytest.raises(InputError, match=f"clip-lora or clip-lora.vtt with the class prompt .*'{re.escape(method)}'"):
            LostLayers(bank, PROTOCOL, (BEFORE, *parse_specs(method, ())), 1, "cpu", 1.5)

    def test_a_line_has_the_full_towers_accuracy_and_all_as_a_fact(self, bank: ImageBank) -> None:
        log = EpisodeLog()
        lines = list(run_episodes(LostLayers(bank, PROTOCOL, (BEFORE,), 1, "cpu", 1.5), log, perf_counter))
        assert [(line.method, line.episode) for line in lines] == [("before", 0), ("before", 1), ("before", 2)]
        assert all(line.accuracy == line.facts["accuracies"][0] and len(line.facts["accuracies"]) == 7 for line in lines)

    def test_lines_of_another_weight_or_of_a_plain_benchmark_are_not_taken(self, bank: ImageBank) -> None:
        def key(weight: float) -> str:
            return LostLayers(bank, PROTOCOL, (BEFORE,), 1, "cpu", weight).key(BEFORE)

        assert len({key(1.5), key(2.0), Benchmark(bank, PROTOCOL, (BEFORE,), 1, "cpu").key(BEFORE)}) == 3
        assert key(1.5) == key(1.5)

    def test_each_image_counts_once_among_all_classes(self, tiny_backbone: Backbone, bank: ImageBank) -> None:
        measured = LostLayers(bank, PROTOCOL, (BEFORE,), 1, "cpu", 1.5)
        features_ID = image_features(tiny_backbone, bank.decoded(range(20)))
        predicted_IE = torch.einsum("id,ecd->iec", features_ID, measured.prototypes_ECD).argmax(dim=-1)
        expected_IE = (predicted_IE == torch.tensor(bank.class_I)[:, None]).double()
        assert measured.over_images() == expected_IE.tolist()
        assert 0 < float(expected_IE.mean()) < 1

    def test_a_group_is_never_on_both_sides(self, tiny_backbone: Backbone, bank: ImageBank) -> None:
        grouped = ImageBank([replace(image, group="same") for image in bank.images], tiny_backbone)
        with pytest.raises(SupportSetError, match="groups"):
            run(LostLayers(grouped, PROTOCOL, (BEFORE,), 1, "cpu", 1.5))


class TestSummary:
    EDITS = make_edits(2, 1.5)

    def test_gains_are_paired_over_the_episodes(self) -> None:
        found = summarise(self.EDITS, [[0.2, 0.4, 0.1, 0.2, 0.2], [0.6, 0.8, 0.7, 0.6, 0.6]])
        assert found["full"] == {"accuracy": pytest.approx(0.4), "ci95": pytest.approx(mean_half_width([0.2, 0.6]))}
        assert [row["layer"] for row in found["removed"]] == [row["layer"] for row in found["emphasised"]] == [1, 2]
        # The episodes differ by 40 points, but the edit gains 20 in both.
        assert found["removed"][0]["gain"] == pytest.approx(0.2)
        assert found["removed"][0]["ci95"] == pytest.approx(0, abs=1e-12)
        assert found["removed"][1]["ci95"] == pytest.approx(mean_half_width([-0.1, 0.1]))
        assert found["best_removed"]["layer"] == 1
        assert found["best_removed"]["is_above_zero_of_all_layers"]
        assert not found["best_emphasised"]["is_above_zero"]

    def test_the_best_of_several_layers_needs_a_larger_gain(self) -> None:
        # Mean 0.1 with a half width of 0.08, which becomes 0.095 for two layers and 0.131 for twelve.
        gains = [0.1 + offset for offset in (-0.1, -0.05, 0.0, 0.05, 0.1)] * 2
        spread = 0.08 / mean_half_width(gains)
        gains = [0.1 + spread * (gain - 0.1) for gain in gains]
        for num_layers, is_above_zero in ((2, True), (12, False)):
            edits = make_edits(num_layers, 1.5)
            accuracies_PE = [[0.5, 0.5 + gain] + [0.5] * (2 * num_layers - 1) for gain in gains]
            best = summarise(edits, accuracies_PE)["best_removed"]
            assert best["ci95"] == pytest.approx(0.08)
            assert best["is_above_zero"]
            assert best["is_above_zero_of_all_layers"] is is_above_zero
