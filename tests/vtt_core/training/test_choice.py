from collections.abc import Callable

import pytest

from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training import choice
from vtt_core.training.choice import can_stack, train_all
from vtt_core.training.finetune import Finetune

FAST = {"iterations": 3, "batch_size": 4, "rank": 2}


@pytest.fixture
def begin(tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]) -> Callable[..., list[Finetune]]:
    def make(*ways: int, method: str = "clip-lora+vtt", **changes: object) -> list[Finetune]:
        recipe = make_recipe(method, changes=FAST | changes)
        return [Finetune(tiny_backbone, make_support_set(way=way), recipe, seed) for seed, way in enumerate(ways)]

    return make


@pytest.mark.parametrize("method", ["clip-lora+vtt", "coop+vtt"])
def test_every_fine_tuning_takes_all_its_steps(begin: Callable[..., list[Finetune]], method: str) -> None:
    finetunes = begin(2, 3, method=method)
    rounds = list(train_all(finetunes))
    for index in range(2):
        reports = [reports[index] for reports in rounds if reports[index] is not None]
        assert [report.step for report in reports if report is not None] == [1, 2, 3]
    assert all(finetune.has_finished for finetune in finetunes)


def test_a_host_that_is_not_stacked_becomes_what_it_is_alone(begin: Callable[..., list[Finetune]]) -> None:
    together, alone = begin(2, 2, method="maple"), begin(2, 2, method="maple")
    list(train_all(together))
    for one, other in zip(together, alone, strict=True):
        list(other.steps())
        assert adapter_to_files(strip(one)) == adapter_to_files(strip(other))


def test_only_a_gpu_stacks_them(begin: Callable[..., list[Finetune]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "train_stacked", lambda finetunes: pytest.fail("a CPU runs them one by one"))
    assert len(list(train_all(begin(2, 2)))) == 6


class TestCanStack:
    def test_vision_loras_that_differ_in_images_and_seed_alone(self, begin: Callable[..., list[Finetune]]) -> None:
        assert can_stack(begin(2, 2))

    def test_not_after_a_step_or_with_other_sizes_or_another_recipe(self, begin: Callable[..., list[Finetune]]) -> None:
        begun = begin(2, 2)
        next(begun[1].steps())
        assert not can_stack(begun)
        assert not can_stack(begin(2, 3))
        assert not can_stack([*begin(2), *begin(2, iterations=7)])

    def test_no_host_that_trains_the_text_tower(self, begin: Callable[..., list[Finetune]]) -> None:
        assert not can_stack(begin(2, 2, method="clip-lora-text"))
