import pytest
import torch

from vtt_core.contract.errors import BackboneUnavailableError, UnknownBackboneError
from worker import backbones
from worker.backbones import BackboneCache


@pytest.mark.slow
def test_the_same_backbone_is_loaded_once_and_another_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    class Loaded:
        def __init__(self, backbone_id: str, device: str) -> None:
            self.backbone_id = backbone_id
            loaded.append((backbone_id, device))

    monkeypatch.setattr(backbones, "load_backbone", Loaded)
    cache = BackboneCache("cpu")
    assert cache.backbone_id is None
    assert cache.get("one") is cache.get("one")
    cache.get("two")
    assert cache.backbone_id == "two"
    cache.get("one")
    assert loaded == [("one", "cpu"), ("two", "cpu"), ("one", "cpu")]


def test_the_backbone_in_memory_is_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    warmed = []
    monkeypatch.setattr(backbones, "load_backbone", lambda backbone_id, device: backbone_id)
    monkeypatch.setattr(backbones, "warm_up", warmed.append)
    cache = BackboneCache("cpu")
    cache.warm_up()
    assert warmed == []
    cache._kept = cache._load("one")
    cache.warm_up()
    assert warmed == ["one"]


@pytest.mark.slow
def test_an_unknown_backbone_leaves_nothing_in_memory() -> None:
    cache = BackboneCache("cpu")
    with pytest.raises(UnknownBackboneError):
        cache.get("no-such/backbone")
    assert cache.backbone_id is None


@pytest.mark.slow
def test_a_failed_download_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_reach(backbone_id: str, device: str) -> None:
        raise BackboneUnavailableError(expected="weights", got="no network", remedy="Connect")

    monkeypatch.setattr(backbones, "load_backbone", out_of_reach)
    cache = BackboneCache("cpu")
    with pytest.raises(BackboneUnavailableError):
        cache.get("ViT-B-32/openai")
    assert cache.weights.failed() == ("ViT-B-32/openai",)


@pytest.mark.slow
def test_the_scan_is_that_of_the_device_and_of_the_backbone_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loaded:
        backbone_id, joint_size = "ViT-L-14/openai", 768

    monkeypatch.setattr(backbones, "load_backbone", lambda backbone_id, device: Loaded())
    asked = []
    monkeypatch.setattr(backbones, "choose_scan", lambda *arguments: asked.append(arguments))
    cache = BackboneCache("cuda:1")
    assert cache.scan is None
    cache.get("ViT-L-14/openai")
    assert cache.scan is None
    assert asked == [(torch.device("cuda:1"), None), (torch.device("cuda:1"), 384)]
