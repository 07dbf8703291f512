import pytest

from vtt_core.contract.backbones import BackboneEntry
from worker import weights
from worker.weights import FAILURE_SECONDS, LOOK_SECONDS, WeightReport


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_failed_download_counts_until_a_later_try_or_a_success() -> None:
    clock = Clock()
    report = WeightReport(clock)
    report.note("a/b", is_loaded=False)
    report.note("c/d", is_loaded=False)
    assert report.failed() == ("a/b", "c/d")
    report.note("a/b", is_loaded=True)
    assert report.failed() == ("c/d",)
    clock.seconds = FAILURE_SECONDS + 1
    assert report.failed() == ()


def test_the_cache_is_looked_into_now_and_then_and_after_each_load(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def is_cached(entry: BackboneEntry) -> bool:
        looks.append(entry.backbone_id)
        return entry.backbone_id == "ViT-B-32/openai"

    monkeypatch.setattr(weights, "is_cached", is_cached)
    clock = Clock()
    report = WeightReport(clock)
    assert report.cached() == ("ViT-B-32/openai",)
    num_looks = len(looks)
    report.cached()
    assert len(looks) == num_looks
    report.note("a/b", is_loaded=True)
    report.cached()
    assert len(looks) == 2 * num_looks
    clock.seconds = LOOK_SECONDS + 1
    report.cached()
    assert len(looks) == 3 * num_looks
