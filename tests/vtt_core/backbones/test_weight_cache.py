from pathlib import Path

import pytest
from huggingface_hub import constants

from vtt_core.backbones.weight_cache import is_cached
from vtt_core.contract.backbones import BackboneEntry, catalogue


def put(cache: Path, repository: str, file_name: str) -> None:
    """Lay a file into a cache as the hub's client does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / file_name).write_bytes(b"weights")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def entries() -> list[BackboneEntry]:
    return [entry for entry in catalogue() if not entry.is_bundled]


def cached_ids() -> set[str]:
    return {entry.backbone_id for entry in entries() if is_cached(entry)}


def test_every_published_backbone_says_where_its_weights_are() -> None:
    assert [entry.backbone_id for entry in entries() if entry.hub_path.count("/") != 2] == []


@pytest.mark.parametrize("file_name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_weights_in_the_cache_are_seen(file_name: str, cache: Path) -> None:
    assert cached_ids() == set()
    put(cache, "timm/vit_base_patch32_clip_224.openai", file_name)
    assert "ViT-B-32/openai" in cached_ids()
    assert "ViT-B-16/openai" not in cached_ids()


def test_one_of_several_files_of_a_repository_is_told_from_the_others(cache: Path) -> None:
    named = [entry for entry in entries() if not entry.hub_path.endswith("/")]
    one = named[0]
    repository, _, file_name = one.hub_path.rpartition("/")
    put(cache, repository, file_name)
    assert {entry.hub_path for entry in entries() if is_cached(entry)} == {one.hub_path}


def test_a_cache_with_other_files_holds_no_weights(cache: Path) -> None:
    put(cache, "timm/vit_base_patch32_clip_224.openai", "tokenizer.json")
    assert cached_ids() == set()
