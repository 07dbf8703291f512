from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from app.infra.batch_blobs import SentImage
from vtt_core.backbones.load import load_backbone
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.contract.serving import AnswerOptions
from vtt_core.serving.mixed_reader import MixedReader
from vtt_core.serving.served import make_served
from worker.chunk import ChunkModel, predict_chunk

REFUSAL = {"file": "refused", "status": "refused"}


@pytest.fixture(scope="module")
def reader() -> MixedReader:
    return MixedReader(load_backbone("mini"))


def model_of(reader: MixedReader, *, num_threads: int, max_images: int = 4) -> ChunkModel:
    adapter = make_served(synthetic_adapter(reader.backbone, 0, has_head=True), torch.device("cpu"), "float32")
    return ChunkModel(reader, adapter, AnswerOptions(), None, DEFAULT_LIMITS, max_images, num_threads)


def sent(number: int) -> SentImage:
    """Return a picture; every third file is broken, and every seventh was refused before."""
    if number % 7 == 6:
        return SentImage("refused", None, REFUSAL)
    if number % 3 == 2:
        return SentImage(f"{number}", b"no image")
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return SentImage(f"{number}", buffer.getvalue())


@pytest.mark.parametrize("num_images", [0, 1, 5, 22])
@pytest.mark.parametrize("num_threads", [1, 3, 8])
def test_results_come_in_the_order_of_the_files(reader: MixedReader, num_images: int, num_threads: int) -> None:
    images = [sent(number) for number in range(num_images)]
    results = predict_chunk(model_of(reader, num_threads=num_threads), images, lambda: None)
    assert [result["file"] for result in results] == [image.file for image in images]
    alone = model_of(reader, num_threads=1, max_images=1)
    for image, result in zip(images, results, strict=True):
        [expected] = predict_chunk(alone, [image], lambda: None)
        assert result["status"] == expected["status"]
        if result["status"] == "answered":
            assert result["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)


def test_no_pass_begins_once_there_is_no_point_in_going_on(reader: MixedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    class LostError(Exception):
        pass

    num_checks, passes, read = iter(range(9)), [], reader.read

    def check() -> None:
        if next(num_checks) == 2:
            raise LostError

    monkeypatch.setattr(reader, "read", lambda items: passes.append(len(items)) or read(items))
    with pytest.raises(LostError):
        predict_chunk(model_of(reader, num_threads=1, max_images=1), [sent(0) for _ in range(9)], check)
    assert 2 <= len(passes) < 9
