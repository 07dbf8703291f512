"""Large images are resized as soon as they are decoded, and only a few are decoded at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from vtt_core.adapter.classify import image_features
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.decode_small import decode_small, decode_support, decode_threads
from vtt_core.contract.errors import ImageError
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image

NUM_LARGE = 24
MIB_A_LARGE_IMAGE = 4 * 3650 * 2735 // 2**20
"""Of one decoded image of 10 megapixels; all of them take more than 900 MiB."""
MAX_AT_ONCE = 4
"""Decoded images that may be in memory: two threads, each with an image and room for the decoder's own buffers."""


@pytest.mark.services
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_many_large_images_take_the_memory_of_a_few() -> None:
    command = [sys.executable, "-m", "tests.vtt_core.peak_memory", str(NUM_LARGE)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    peaks = json.loads(done.stdout)
    most = MAX_AT_ONCE * MIB_A_LARGE_IMAGE
    assert most < NUM_LARGE * MIB_A_LARGE_IMAGE / 4
    for part in ("finetune", "verify", "classify"):
        of_small, of_large = peaks[part]
        assert MIB_A_LARGE_IMAGE / 4 < of_large - of_small < most, part


def test_features_of_small_images_are_those_of_the_full_ones_to_the_bit(
    tiny_backbone: Backbone, support_set: SupportSet
) -> None:
    full = [decode_image(image.encoded) for support_class in support_set.classes for image in support_class.images]
    small = decode_support(support_set, tiny_backbone.preprocessing)
    side = tiny_backbone.preprocessing.side_pixels
    assert {image.size for image in small} == {(side, side)} != {image.size for image in full}
    assert torch.equal(image_features(tiny_backbone, small), image_features(tiny_backbone, full))
    assert torch.equal(image_features(tiny_backbone, iter(full)), image_features(tiny_backbone, full))


def test_no_more_images_are_decoded_at_once_than_threads_were_given(
    tiny_backbone: Backbone, support_set: SupportSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtt_core.backbones.decode_small.usable_cores", lambda: 16)
    encoded = support_set.classes[0].images[0].encoded
    at_once, most, counting, three = 0, 0, threading.Lock(), threading.Barrier(3)

    def read() -> bytes:
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        three.wait(60)
        time.sleep(0.05)
        with counting:
            at_once -= 1
        return encoded

    decode_small([read] * 12, tiny_backbone.preprocessing, num_threads=3)
    assert most == 3


def test_threads_are_those_of_the_job_but_no_more_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtt_core.backbones.decode_small.usable_cores", lambda: 4)
    assert [decode_threads(number) for number in (1, 3, 64)] == [1, 3, 4]
    monkeypatch.setattr("vtt_core.backbones.decode_small.torch.get_num_threads", lambda: 2)
    assert decode_threads() == 2


def test_an_image_that_cannot_be_decoded_is_refused(tiny_backbone: Backbone) -> None:
    with pytest.raises(ImageError):
        decode_small([lambda: b"no image"], tiny_backbone.preprocessing)
