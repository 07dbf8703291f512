from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch

import vtt_core.bench.hosts.host_cells as host_cells
from vtt_core.adapter.files import Adapter
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.hosts.host_cells import (
    CellMeasurements,
    Change,
    HostCell,
    run_cell,
    run_cells,
    shortened_recipe,
    support_losses,
)
from vtt_core.bench.hosts.small_backbones import KINDS, small_backbone
from vtt_core.bench.speed.synthetic_support_set import learnable_support_set
from vtt_core.contract.recipe import METHODS
from vtt_core.training.finetune import Finetune

ITERATIONS = 30
SUPPORT_SET = learnable_support_set(5, 2)


def make_stopwatch() -> Callable[[], float]:
    ticks = count()
    return lambda: float(next(ticks))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_host_learns_and_is_stripped_to_equal_logits_on_every_kind(kind: str) -> None:
    cells = list(run_cells(small_backbone(kind), SUPPORT_SET, ITERATIONS, make_stopwatch()))
    assert [cell.method for cell in cells] == list(METHODS)
    assert {cell.method: cell.failures for cell in cells if cell.failures} == {}
    for cell in cells:
        assert cell.measured is not None
        assert (
            (cell.measured.absorption_loss is not None) == (cell.measured.fusion_parameters > 0) == cell.method.endswith("+vtt")
        )
        assert cell.measured.host_parameters > 0
        assert cell.measured.seconds > 0


def test_a_step_that_learns_nothing_is_a_failure(tiny_backbone: Backbone) -> None:
    recipe = replace(
        shortened_recipe("clip-lora+vtt", 1), host_learning_rate=0.0, fusion_learning_rate=0.0, min_learning_rate=0.0
    )
    measured = run_cell(tiny_backbone, SUPPORT_SET, recipe, make_stopwatch())
    failures = HostCell("tiny", "clip-lora+vtt", measured).failures
    assert [failure.split(" went")[0] for failure in failures] == ["the classification loss", "the absorption loss"]


def test_a_strip_that_changes_something_is_a_failure(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    def strip_badly(finetune: Finetune) -> Adapter:
        stripped = strip(finetune)
        with torch.no_grad():
            stripped.lora.lora_B.add_(1e-3)
        return stripped

    monkeypatch.setattr(host_cells, "strip", strip_badly)
    (cell,) = run_cells(tiny_backbone, SUPPORT_SET, 3, make_stopwatch(), methods=["clip-lora"])
    assert cell.failures == ["the stripped adapter gives other logits"]


def test_what_a_backbone_refuses_is_told_and_the_others_run(
    make_backbone: Callable[..., Backbone], tiny_config: dict[str, Any]
) -> None:
    short = make_backbone(text_cfg=tiny_config["text_cfg"] | {"context_length": 16})
    refused, ran = run_cells(short, SUPPORT_SET, 3, make_stopwatch(), methods=["coop", "clip-lora"])
    assert refused.measured is None
    assert refused.failures[0].startswith("it did not run: ")
    assert ran.measured is not None


def test_a_loss_that_is_no_number_does_not_fall() -> None:
    assert Change(2.0, 1.0).falls
    assert not Change(1.0, 1.0).falls
    assert not Change(1.0, float("nan")).falls


def test_the_warm_up_is_shortened_with_the_steps() -> None:
    assert shortened_recipe("maple", 160).warm_up_steps == 32
    assert shortened_recipe("maple", 30).warm_up_steps == 6
    assert shortened_recipe("coop+vtt", 30).warm_up_steps == 0
    assert shortened_recipe("clip-lora", 30).iterations == 30


def test_losses_are_those_of_every_view_and_of_no_dropout(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    finetune = Finetune(tiny_backbone, SUPPORT_SET, shortened_recipe("clip-lora+vtt", 3), 0)
    whole = support_losses(finetune)
    assert whole == support_losses(finetune)
    monkeypatch.setattr(host_cells, "CHUNK_VIEWS", 4)
    assert support_losses(finetune) == pytest.approx(whole, rel=1e-5)


@pytest.mark.slow
def test_absorption_is_measured_where_it_ends(tiny_backbone: Backbone) -> None:
    recipe = replace(shortened_recipe("clip-lora+vtt", 20), conflict_window=1, absorption_weight=1e3)
    measured: CellMeasurements = run_cell(tiny_backbone, SUPPORT_SET, recipe, make_stopwatch())
    finetune = Finetune(tiny_backbone, SUPPORT_SET, recipe, 0)
    reports = finetune.steps()
    stopped_at = next((report.step for report in reports if report.absorption_stopped_at is not None), None)
    assert measured.absorption_stopped_at == stopped_at is not None
    assert measured.absorption_loss is not None
    assert measured.absorption_loss.last == support_losses(finetune)[1]
