import dataclasses
from collections.abc import Callable

import pytest
import torch

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import hidden_below_alpha
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.errors import ImageError, PromptError, TooFewClassesError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.hosts.training_data import Batch
from vtt_core.ingest.decode import decode_image
from vtt_core.training.finetune import Finetune, batch_of_step, make_training_data, start_state, warm_up
from vtt_core.training.views import Views, stack_views


def finished(backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, seed: int = 0) -> Finetune:
    finetune = Finetune(backbone, support_set, recipe, seed)
    for _ in finetune.steps():
        pass
    return finetune


def adapter_bytes(finetune: Finetune) -> dict[str, bytes]:
    return adapter_to_files(strip(finetune))


def next_batches(finetune: Finetune) -> list[Batch]:
    """Return what every step would learn from, without learning."""
    batches = []
    while not finetune.has_finished:
        batches.append(finetune.next_batch())
        finetune.state.step += 1
    return batches


class TestBatches:
    def test_every_view_comes_once_a_pass_and_the_last_batch_is_shorter(self) -> None:
        orders = [torch.randperm(10), torch.randperm(10)]
        batches = [batch_of_step(step, 10, 4, orders.__getitem__) for step in range(6)]
        assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2]
        assert torch.equal(torch.cat(batches[:3]), orders[0])
        assert torch.equal(torch.cat(batches[3:]), orders[1])

    def test_fewer_views_than_a_batch_come_all_at_once(self) -> None:
        assert batch_of_step(7, 3, 25, lambda pass_index: torch.arange(3) + 10 * pass_index).tolist() == [70, 71, 72]

    def test_views_that_fill_their_batches_leave_no_empty_one(self) -> None:
        assert [len(batch_of_step(step, 8, 4, lambda _pass: torch.arange(8))) for step in range(4)] == [4, 4, 4, 4]

    def test_each_pass_has_an_order_of_its_own(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        batches = next_batches(Finetune(tiny_backbone, support_set, make_recipe(iterations=6, batch_size=15), seed=0))
        passes = [torch.cat([batch.views_B for batch in batches[start : start + 2]]) for start in (0, 2, 4)]
        assert all(sorted(one_pass.tolist()) == list(range(30)) for one_pass in passes)
        assert not torch.equal(passes[0], passes[1])
        assert not torch.equal(passes[1], passes[2])


def test_each_step_drops_out_anew(
    tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    batches = next_batches(Finetune(tiny_backbone, support_set, make_recipe(iterations=6), seed=0))
    drawn = {batch.dropout.bytes_LPBTW[0, 0, 0].numpy().tobytes() for batch in batches if batch.dropout is not None}
    assert len(drawn) == 6


class TestProblem:
    def test_views_and_labels_come_view_by_view_and_image_by_image(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        data = make_training_data(tiny_backbone, support_set, make_recipe(), seed=5)
        assert data.labels_V.tolist() == [0, 0, 1, 1, 2, 2] * 5
        images = [decode_image(image.encoded) for cls in support_set.classes for image in cls.images]
        views = Views(tiny_backbone.preprocessing, make_recipe(), 5)
        expected = stack_views([views.of_image(image, index) for index, image in enumerate(images)])
        assert torch.equal(data.views_V3HW, expected)

    def test_text_features_are_those_of_the_class_prompts(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        data = make_training_data(tiny_backbone, support_set, make_recipe(prompt_template="a satellite photo of {}"), seed=0)
        prompts = [f"a satellite photo of {label}" for label in support_set.labels]
        expected = tiny_backbone.clip.encode_text(tiny_backbone.tokenize(prompts))
        torch.testing.assert_close(data.text_CLD[:, -1], expected, rtol=1e-4, atol=1e-5)
        assert not data.text_CLD.requires_grad


class TestStart:
    def test_methods_share_the_initial_lora(self, tiny_backbone: Backbone, make_recipe: Callable[..., FinetuneRecipe]) -> None:
        states = [start_state(tiny_backbone, make_recipe(method=method), seed=1) for method in ("clip-lora", "clip-lora+vtt")]
        assert hash_weights(states[0].lora.state_dict()) == hash_weights(states[1].lora.state_dict())
        assert [state.dgso.is_absorbing for state in states] == [False, True]

    def test_sizes_follow_the_backbone_and_the_recipe(
        self, uneven_backbone: Backbone, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        state = start_state(uneven_backbone, make_recipe(rank=3, state_size_ratio=0.25, convolution_width=2), seed=0)
        assert state.lora.num_layers == 4
        assert state.lora.lora_A.shape == (4, 3, 3, 64)
        assert state.fusion.pos_embed.shape == (9, 64)
        assert state.fusion.block.A_log.shape == (64, 16)
        assert state.fusion.block.conv1d.weight.shape[-1] == 2


class TestSteps:
    def test_each_step_is_reported(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        finetune = Finetune(tiny_backbone, support_set, make_recipe(iterations=3), seed=0)
        assert finetune.step == 0
        reports = list(finetune.steps())
        assert [(report.step, report.num_steps) for report in reports] == [(1, 3), (2, 3), (3, 3)]
        assert all(-1 <= report.absorption_loss <= 1 for report in reports if report.absorption_loss is not None)
        assert all(report.classification_loss > 0 for report in reports)
        assert finetune.step == 3
        assert list(finetune.steps()) == []

    def test_a_lora_alone_never_absorbs_and_leaves_the_fusion_network_as_it_was_drawn(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        finetune = Finetune(tiny_backbone, support_set, make_recipe(method="clip-lora"), seed=0)
        drawn = hash_weights(finetune.state.fusion.state_dict())
        reports = list(finetune.steps())
        assert all(report.absorption_loss is None and not report.is_absorbing for report in reports)
        assert all(report.absorption_stopped_at is None for report in reports)
        assert hash_weights(finetune.state.fusion.state_dict()) == drawn

    def test_absorption_ends_after_its_share_of_the_steps(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        recipe = make_recipe(iterations=6, absorption_share=0.33, switch_off="never")
        reports = list(Finetune(tiny_backbone, support_set, recipe, seed=0).steps())
        assert [report.absorption_loss is not None for report in reports] == [True, True, False, False, False, False]
        assert [report.absorption_stopped_at for report in reports] == [None, 2, 2, 2, 2, 2]

    def test_the_backbone_is_bit_unchanged(
        self, make_backbone: Callable[..., Backbone], support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        backbone = make_backbone(vision_layers=2, text_layers=2)
        before = hash_weights(backbone.clip.state_dict())
        finished(backbone, support_set, make_recipe())
        assert hash_weights(backbone.clip.state_dict()) == before

    def test_towers_of_different_depth_are_fine_tuned(
        self, uneven_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        finetune = finished(uneven_backbone, support_set, make_recipe())
        assert strip(finetune).lora.num_layers == 4


class TestSeed:
    def test_the_same_seed_gives_the_same_adapter_bytes(
        self,
        trained: Finetune,
        tiny_backbone: Backbone,
        support_set: SupportSet,
        make_recipe: Callable[..., FinetuneRecipe],
    ) -> None:
        torch.manual_seed(99)
        assert adapter_bytes(finished(tiny_backbone, support_set, make_recipe())) == adapter_bytes(trained)

    def test_another_seed_gives_another_adapter(
        self,
        trained: Finetune,
        tiny_backbone: Backbone,
        support_set: SupportSet,
        make_recipe: Callable[..., FinetuneRecipe],
    ) -> None:
        other = adapter_bytes(finished(tiny_backbone, support_set, make_recipe(), seed=1))
        assert other["adapter.safetensors"] != adapter_bytes(trained)["adapter.safetensors"]

    def test_a_fine_tuning_leaves_the_global_generator_alone(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        finished(tiny_backbone, support_set, make_recipe(iterations=1))
        assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["clip-lora", "clip-lora+vtt"])
def test_two_classes_of_one_image_are_learnt_completely(
    tiny_backbone: Backbone,
    make_support_set: Callable[..., SupportSet],
    make_recipe: Callable[..., FinetuneRecipe],
    method: str,
) -> None:
    # The labels are those that the untrained backbone gives the other image, so that there is something to learn.
    drawn = make_support_set(way=2, shot=1)
    images = [decode_image(cls.images[0].encoded) for cls in drawn.classes]
    start = strip(Finetune(tiny_backbone, drawn, make_recipe(), seed=0))
    toy = drawn
    if classify(tiny_backbone, start, images).argmax(dim=-1).tolist() == [0, 1]:
        swapped = zip(drawn.labels, reversed(drawn.classes), strict=True)
        toy = SupportSet(tuple(dataclasses.replace(cls, label=label) for label, cls in swapped))
        images.reverse()
    untrained = classify(tiny_backbone, start, images).argmax(dim=-1).tolist()
    assert untrained != [0, 1]
    adapter = strip(finished(tiny_backbone, toy, make_recipe(method=method, iterations=30, batch_size=10)))
    assert classify(tiny_backbone, adapter, images).argmax(dim=-1).tolist() == [0, 1]


class TestRefused:
    def test_a_single_class_is(
        self, tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet], make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        with pytest.raises(TooFewClassesError):
            Finetune(tiny_backbone, make_support_set(way=1), make_recipe(), seed=0)

    def test_an_image_that_cannot_be_decoded_is(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        damaged = SupportClass("river", (SupportImage("a.png", b"\x89PNG\r\n\x1a\nnothing"),))
        with pytest.raises(ImageError):
            Finetune(tiny_backbone, SupportSet((*support_set.classes, damaged)), make_recipe(), seed=0)

    def test_a_label_that_does_not_fit_the_text_tower_is(
        self, tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        wordy = dataclasses.replace(support_set.classes[0], label="very " * 19 + "long")
        with pytest.raises(PromptError, match="a prompt of at most 22 tokens"):
            Finetune(tiny_backbone, SupportSet((*support_set.classes, wordy)), make_recipe(), seed=0)


def test_what_a_transparent_part_hides_does_not_change_the_adapter(
    tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    made = []
    for fill in (0, 255):
        cut_out = SupportImage("cut-out.png", encode(hidden_below_alpha(fill), "PNG"))
        classes = (*support_set.classes, SupportClass("river", (cut_out,)))
        made.append(
            adapter_bytes(finished(tiny_backbone, SupportSet(classes), make_recipe(iterations=2)))["adapter.safetensors"]
        )
    assert made[0] == made[1]


def test_warming_up_changes_nothing(tiny_backbone: Backbone) -> None:
    before = tiny_backbone.weight_sha256, torch.random.get_rng_state()
    warm_up(tiny_backbone)
    assert hash_weights(tiny_backbone.clip.state_dict()) == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_number_of_threads_changes_the_result_by_rounding_alone(
    tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe], num_threads: int
) -> None:
    recipe = make_recipe(iterations=2, host_learning_rate=1e-4)
    loras = []
    for threads in (1, num_threads):
        finetune = Finetune(tiny_backbone, support_set, recipe, seed=0, num_threads=threads)
        list(finetune.steps())
        loras.append(finetune.state.lora)
    torch.testing.assert_close(loras[0].lora_A, loras[1].lora_A, rtol=1e-4, atol=1e-5)
    assert torch.equal(loras[0].lora_A, loras[1].lora_A) is (num_threads == 1)
