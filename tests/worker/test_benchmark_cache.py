"""The open benchmark: read once for all chunks, dropped for another one or another backbone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from app.infra.object_store import ObjectStore
from tests.worker.conftest import make_images
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.bundle import write_bundle
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.contract.errors import InputError
from worker.backbones import BackboneCache
from worker.benchmark_cache import BenchmarkCache

SPEC = EpisodesSpec(
    "mini", {"way": 2, "shot": 1, "num_queries": 1, "num_episodes": 1, "seed": 0}, "zero-shot", {}, 1, 1, {"device": "cpu"}
)


@pytest.fixture
def backbone(backbones: BackboneCache) -> Backbone:
    return backbones.get("mini")


@pytest.fixture
def blobs(tmp_path: Path, backbone: Backbone) -> BenchmarkBlobs:
    images = [LabelledImage(label, label, None, lambda encoded=encoded: encoded) for label, encoded in make_images()]  # type: ignore[misc]
    stream = io.BytesIO()
    write_bundle(ImageBank(images, backbone), range(len(images)), stream)
    blobs = BenchmarkBlobs(ObjectStore(f"file://{tmp_path}"), "b1")
    blobs.put_spec(SPEC, stream.getvalue())
    return blobs


def test_a_benchmark_is_opened_once(blobs: BenchmarkBlobs, backbone: Backbone) -> None:
    cache = BenchmarkCache()
    first = cache.get("b1", blobs, SPEC, backbone)
    assert cache.get("b1", blobs, SPEC, backbone) is first
    assert cache.get("b2", blobs, SPEC, backbone) is not first
    cache.clear()
    assert cache.get("b2", blobs, SPEC, backbone).bank.labels == first.bank.labels


def test_another_backbone_opens_the_benchmark_again(blobs: BenchmarkBlobs, backbone: Backbone) -> None:
    cache = BenchmarkCache()
    cache.get("b1", blobs, SPEC, backbone)
    other = load_backbone("mini")
    assert cache.get("b1", blobs, SPEC, other).bank.backbone is other


def test_different_conditions_are_refused(blobs: BenchmarkBlobs, backbone: Backbone) -> None:
    spec = EpisodesSpec(**{**vars(SPEC), "conditions": {"device": "cuda", "threads": 1}})
    with pytest.raises(InputError, match="expected a worker with device cuda, got device cpu"):
        BenchmarkCache().get("b1", blobs, spec, backbone)
