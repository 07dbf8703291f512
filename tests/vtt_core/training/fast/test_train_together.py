from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import BackboneMismatchError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.fast.train_together import SharedSteps, train_together
from vtt_core.training.finetune import Finetune


@pytest.fixture
def make_finetunes(
    tiny_backbone_float64: Backbone,
    make_support_set: Callable[..., SupportSet],
    make_recipe: Callable[..., FinetuneRecipe],
) -> Callable[[], list[Finetune]]:
    """Make fine-tunings that differ in way, rank, length, method and seed."""

    def make() -> list[Finetune]:
        several = [
            (2, make_recipe(iterations=5)),
            (3, make_recipe(iterations=3, rank=2)),
            (3, make_recipe(iterations=4, method="clip-lora")),
            (2, make_recipe(iterations=5, conflict_window=1, batch_size=3)),
        ]
        return [
            Finetune(tiny_backbone_float64, make_support_set(way=way, shot=2), recipe, seed)
            for seed, (way, recipe) in enumerate(several)
        ]

    return make


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_each_becomes_what_it_would_have_become_alone(make_finetunes: Callable[[], list[Finetune]], num_threads: int) -> None:
    alone, together = make_finetunes(), make_finetunes()
    expected = [list(finetune.steps()) for finetune in alone]
    rounds = list(train_together(together, num_threads))
    assert len(rounds) == 5
    for index, (one, other) in enumerate(zip(alone, together, strict=True)):
        reports = [reports[index] for reports in rounds if reports[index] is not None]
        assert [report.step for report in reports if report is not None] == [report.step for report in expected[index]]
        for report, expected_report in zip(reports, expected[index], strict=True):
            assert report is not None
            assert report.classification_loss == pytest.approx(expected_report.classification_loss, rel=1e-9)
            assert report.is_absorbing == expected_report.is_absorbing
        for name, matrix in other.state.lora.matrices().items():
            torch.testing.assert_close(matrix, one.state.lora.matrices()[name], rtol=1e-7, atol=1e-10)


def test_one_may_join_at_any_step(make_finetunes: Callable[[], list[Finetune]]) -> None:
    alone, together = make_finetunes(), make_finetunes()
    list(alone[0].steps())
    next(iter(together[0].steps()))
    for _ in train_together(together):
        pass
    assert all(finetune.has_finished for finetune in together)
    torch.testing.assert_close(together[0].state.lora.lora_A, alone[0].state.lora.lora_A, rtol=1e-7, atol=1e-10)


def test_other_backbones_are_refused(
    make_finetunes: Callable[[], list[Finetune]],
    tiny_backbone: Backbone,
    support_set: SupportSet,
    make_recipe: Callable[..., FinetuneRecipe],
) -> None:
    other = Finetune(tiny_backbone, support_set, make_recipe(), seed=0)
    with pytest.raises(BackboneMismatchError, match="one backbone"):
        next(train_together([*make_finetunes(), other]))


def run_all(finetunes: list[Finetune]) -> None:
    """Run each in a thread of its own, taking their steps together."""
    shared = SharedSteps()

    def run(finetune: Finetune) -> None:
        with shared.member():
            for _ in finetune.steps(shared.gradients):
                pass

    with ThreadPoolExecutor(len(finetunes)) as pool:
        list(pool.map(run, finetunes))


def test_threads_of_their_own_give_the_same(make_finetunes: Callable[[], list[Finetune]]) -> None:
    alone, together = make_finetunes(), make_finetunes()
    for finetune in alone:
        list(finetune.steps())
    run_all(together)
    for one, other in zip(alone, together, strict=True):
        assert other.has_finished
        for name, matrix in other.state.lora.matrices().items():
            torch.testing.assert_close(matrix, one.state.lora.matrices()[name], rtol=1e-7, atol=1e-10)


def test_one_that_leaves_keeps_nobody_waiting(make_finetunes: Callable[[], list[Finetune]]) -> None:
    [staying, leaving, *_] = make_finetunes()
    shared = SharedSteps()

    def leave_after_a_step() -> None:
        with shared.member():
            next(leaving.steps(shared.gradients))

    def stay() -> None:
        with shared.member():
            list(staying.steps(shared.gradients))

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(leave_after_a_step), pool.submit(stay)]:
            future.result(timeout=60)
    assert (staying.has_finished, leaving.step) == (True, 1)


def test_what_fails_for_one_is_told_to_all(
    make_finetunes: Callable[[], list[Finetune]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("vtt_core.training.fast.train_together.make_gradients_of_jobs", lambda tower: fail)
    with pytest.raises(MemoryError, match="too large"):
        run_all(make_finetunes()[:2])
