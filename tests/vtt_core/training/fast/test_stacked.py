from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import vtt_core.fusion.scan_choice as scan_choice_module
from tests.fixtures.tiny_backbones import tiny_backbone
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.fusion.scan import selective_scan
from vtt_core.fusion.scan_choice import prefer_scan
from vtt_core.training.fast.stacked import train_stacked
from vtt_core.training.finetune import Finetune

FAST = {"iterations": 5, "batch_size": 4, "rank": 4, "host_learning_rate": 1e-2, "fusion_learning_rate": 1e-2}


@pytest.fixture
def make_finetunes(
    tiny_backbone_float64: Backbone, make_support_set: Callable[..., SupportSet]
) -> Callable[..., list[Finetune]]:
    """Make three fine-tunings that differ in images, labels and seed."""

    def make(method: str = "clip-lora+vtt", preset: str = "released", **changes: object) -> list[Finetune]:
        recipe = make_recipe(method, preset, {**FAST, **changes})
        sets = [SupportSet(make_support_set(way=4, shot=1).classes[start : start + 2]) for start in range(3)]
        return [Finetune(tiny_backbone_float64, images, recipe, seed) for seed, images in enumerate(sets)]

    return make


def assert_same(got: StepReport, expected: StepReport) -> None:
    assert got.classification_loss == pytest.approx(expected.classification_loss, rel=1e-7)
    assert (got.step, got.is_absorbing) == (expected.step, expected.is_absorbing)
    for name in ("absorption_loss", "conflict_cosine", "absorption_stopped_at"):
        pair = getattr(got, name), getattr(expected, name)
        assert pair == (None, None) or pair[0] == pytest.approx(pair[1], rel=1e-6, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "preset", "changes"),
    [
        ("clip-lora", "released", {}),
        ("clip-lora+vtt", "released", {}),
        ("clip-lora+vtt", "paper", {}),
        ("clip-lora+vtt", "released", {"aggregator": "lstm"}),
        ("clip-lora+vtt", "released", {"aggregator": "attention", "absorption": "none"}),
        ("clip-lora+vtt", "released", {"aggregator": "none"}),
        ("clip-lora+vtt", "released", {"projects_conflict": False, "lora_dropout": 0.0}),
        ("clip-lora+vtt", "released", {"optimiser": "sgd", "warm_up_steps": 2}),
    ],
)
def test_each_becomes_what_it_would_have_become_alone(
    make_finetunes: Callable[..., list[Finetune]], method: str, preset: str, changes: dict[str, object]
) -> None:
    alone, many = make_finetunes(method, preset, **changes), make_finetunes(method, preset, **changes)
    expected = [list(finetune.steps()) for finetune in alone]
    rounds = list(train_stacked(many))
    for index, (one, other) in enumerate(zip(alone, many, strict=True)):
        for reports, report in zip(rounds, expected[index], strict=True):
            assert_same(reports[index], report)
        for name, matrix in other.state.lora.matrices().items():
            torch.testing.assert_close(matrix, one.state.lora.matrices()[name], rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_each_switches_absorption_off_at_its_own_step(make_finetunes: Callable[..., list[Finetune]]) -> None:
    changes = {"iterations": 12, "conflict_window": 1, "absorption_weight": 300.0, "logit_scale": 5.0}
    alone, many = make_finetunes(**changes), make_finetunes(**changes)
    for finetune in alone:
        list(finetune.steps())
    list(train_stacked(many))
    stopped = [finetune.state.dgso.stopped_at for finetune in many]
    assert stopped == [finetune.state.dgso.stopped_at for finetune in alone]
    assert len(set(stopped)) > 1
    for one, other in zip(alone, many, strict=True):
        torch.testing.assert_close(other.state.lora.lora_B, one.state.lora.lora_B, rtol=1e-5, atol=1e-8)


def test_kernels_of_many_networks_are_our_own_whatever_is_preferred(
    make_finetunes: Callable[..., list[Finetune]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []

    def scan(*arguments: Tensor) -> Tensor:
        scans.append(arguments)
        return selective_scan(*arguments)

    monkeypatch.setattr(scan_choice_module, "can_launch_on", lambda device_type: True)
    monkeypatch.setattr(scan_choice_module, "triton_selective_scan", scan)
    prefer_scan("mamba-ssm")
    try:
        (reports,) = train_stacked(make_finetunes(iterations=1))
    finally:
        prefer_scan("reproducible")
    assert len(scans) == 1
    for finetune, report in zip(make_finetunes(iterations=1), reports, strict=True):
        assert_same(report, next(finetune.steps()))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["siglip2", "pe-core"])
def test_a_backbone_without_a_fast_form_is_stacked_too(
    kind: str, in_float64: Callable[[Backbone], Backbone], make_support_set: Callable[..., SupportSet]
) -> None:
    backbone, recipe = in_float64(tiny_backbone(kind)), make_recipe("clip-lora+vtt", changes=FAST)
    alone, many = ([Finetune(backbone, make_support_set(way=2), recipe, seed) for seed in range(2)] for _ in range(2))
    for finetune in alone:
        list(finetune.steps())
    list(train_stacked(many))
    for one, other in zip(alone, many, strict=True):
        torch.testing.assert_close(other.state.lora.lora_B, one.state.lora.lora_B, rtol=1e-6, atol=1e-9)
