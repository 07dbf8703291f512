"""The runner gives all methods the same episodes, does nothing twice, and can run any part of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor

from vtt_core.backbones import product_choice
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes import adapter_methods
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.methods import FROZEN
from vtt_core.bench.episodes.runner import LATER_FIELDS, Benchmark, describe_device, run_episodes
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.contract.method_spec import parse_specs

PROTOCOL = Protocol(way=3, shot=2, num_queries=2, num_episodes=4, seed=1)
METHODS = "zero-shot,linear-probe,clip-lora:iterations=2:rank=2"


@pytest.fixture
def make_benchmark(bank: ImageBank) -> Callable[..., Benchmark]:
    def make(methods: str = METHODS, protocol: Protocol = PROTOCOL, num_threads: int = 1, **changes: Any) -> Benchmark:
        specs = parse_specs(methods, FROZEN)
        return Benchmark(changes.get("bank", bank), protocol, specs, num_threads, changes.get("device", "cpu"))

    return make


def run(benchmark: Benchmark, log: EpisodeLog | None = None, **options: Sequence[int] | int) -> list[EpisodeLine]:
    ticks = count()
    return list(run_episodes(benchmark, log or EpisodeLog(), lambda: float(next(ticks)), **options))  # type: ignore[arg-type]


def test_all_methods_get_the_same_episodes(make_benchmark: Callable[..., Benchmark], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[tuple[list[int], list[int], int]]] = {"one": [], "two": []}

    def watching(name: str) -> Callable[[EpisodeImages], Tensor]:
        def predictions(images: EpisodeImages) -> Tensor:
            seen[name].append((images.support, images.query, images.seed))
            return torch.zeros(len(images.query), len(images.labels))

        return predictions

    for name in seen:
        monkeypatch.setitem(FROZEN, name, watching(name))
    lines = run(make_benchmark("one,two"))
    assert seen["one"] == seen["two"]
    assert len(seen["one"]) == 4
    assert [line.accuracy for line in lines] == [pytest.approx(1 / 3)] * 8


def test_a_line_is_what_a_method_did_on_an_episode(make_benchmark: Callable[..., Benchmark]) -> None:
    benchmark = make_benchmark()
    lines = run(benchmark)
    assert [(line.episode, line.method) for line in lines] == [
        (number, spec.text) for number in range(4) for spec in benchmark.specs
    ]
    assert {line.seconds for line in lines} == {1.0}
    assert all(line.device.startswith("cpu (") for line in lines)
    assert all(0 <= line.accuracy <= 1 for line in lines)


@pytest.mark.slow
def test_results_in_the_log_are_not_computed_again(make_benchmark: Callable[..., Benchmark]) -> None:
    lines = run(make_benchmark())
    log = EpisodeLog(lines[:5])
    assert run(make_benchmark(), log) == lines[5:]
    assert run(make_benchmark(), log) == []


@pytest.mark.slow
def test_any_part_of_the_episodes_can_be_computed_anywhere(make_benchmark: Callable[..., Benchmark]) -> None:
    lines = run(make_benchmark())
    assert run(make_benchmark(), numbers=[3]) + run(make_benchmark(), numbers=[1]) == lines[9:] + lines[3:6]


@pytest.mark.slow
def test_episodes_handed_over_together_share_the_time(make_benchmark: Callable[..., Benchmark]) -> None:
    lines, together = run(make_benchmark()), run(make_benchmark(), together=3)
    assert {line.seconds for line in together} == {1 / 3, 1.0}

    def accuracies(of: list[EpisodeLine]) -> dict[tuple[str, int], float]:
        return {(line.method, line.episode): line.accuracy for line in of}

    assert accuracies(together) == accuracies(lines)


def test_the_key_tells_everything_apart_that_changes_numbers(
    make_benchmark: Callable[..., Benchmark],
    make_backbone: Callable[..., Backbone],
    drawn_images: list[LabelledImage],
    tiny_backbone: Backbone,
) -> None:
    def key(benchmark: Benchmark) -> str:
        return benchmark.key(benchmark.specs[0])

    others = [
        make_benchmark("clip-lora:rank=4"),
        make_benchmark("zero-shot"),
        make_benchmark("clip-lora", replace(PROTOCOL, seed=2)),
        make_benchmark("clip-lora", replace(PROTOCOL, shot=1)),
        make_benchmark("clip-lora", num_threads=2),
        make_benchmark("clip-lora", device="cuda"),
        make_benchmark("clip-lora", bank=ImageBank(drawn_images[1:], tiny_backbone)),
        make_benchmark("clip-lora", bank=ImageBank(drawn_images, make_backbone(seed=5))),
    ]
    assert len({key(benchmark) for benchmark in [make_benchmark("clip-lora"), *others]}) == 9
    longer = make_benchmark("clip-lora", replace(PROTOCOL, num_episodes=9))
    assert key(longer) == key(make_benchmark("clip-lora"))
    assert key(make_benchmark("clip-lora@released:products=fastest")) == key(longer)


@pytest.mark.parametrize(("instructions", "is_same"), [("AMX", False), (None, True)])
def test_products_are_of_the_key_where_they_are_computed_otherwise(
    make_benchmark: Callable[..., Benchmark], monkeypatch: pytest.MonkeyPatch, instructions: str | None, is_same: bool
) -> None:
    monkeypatch.setattr(product_choice, "bfloat16_instructions", lambda: instructions)
    benchmark = make_benchmark("clip-lora@released,clip-lora@released:products=fastest")
    exact, fastest = (benchmark.key(spec) for spec in benchmark.specs)
    assert (exact == fastest) is is_same


def test_the_key_of_an_older_log_holds_and_heads_have_their_own(make_benchmark: Callable[..., Benchmark]) -> None:
    benchmark = make_benchmark("clip-lora+vtt@released,clip-lora+vtt@released:head=sum,frozen,frozen:head=gda")
    released = benchmark.specs[0].recipe
    assert released is not None
    fields = {name: value for name, value in released.to_json().items() if name not in LATER_FIELDS}
    canonical = json.dumps([benchmark.conditions, fields], sort_keys=True)
    keys = [benchmark.key(spec) for spec in benchmark.specs]
    assert keys[0] == hashlib.sha256(canonical.encode()).hexdigest()
    assert len(set(keys)) == 4
    ignored, read = (f"clip-lora:validation_iterations=9:validation_folds={number}" for number in (0, 2))
    plain, same, other = (make_benchmark(text) for text in ("clip-lora", ignored, read))
    assert plain.key(plain.specs[0]) == same.key(same.specs[0]) != other.key(other.specs[0])


def test_methods_that_differ_in_their_head_train_once(
    make_benchmark: Callable[..., Benchmark], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    original = adapter_methods.finetune_all

    def watching(episodes: Sequence[EpisodeImages], *arguments: Any) -> Any:
        trained.extend(images.number for images in episodes)
        return original(episodes, *arguments)

    monkeypatch.setattr(adapter_methods, "finetune_all", watching)
    tiny = "clip-lora:iterations=2:rank=2"
    lines = run(make_benchmark(f"{tiny},zero-shot,{tiny}:head=ridge,{tiny}:head=gda"))
    assert trained == [0, 1, 2, 3]
    assert len(lines) == 16
    assert all(0 <= line.facts["calibration_error"] <= 1 for line in lines)


def test_a_cpu_says_what_its_vector_units_can_do() -> None:
    assert describe_device(torch.device("cpu")).startswith("cpu (")
