import logging
import subprocess
import sys

import open_clip as directly_imported
import pytest
import torch

from vtt_core.backbones.open_clip_import import open_clip


def test_it_gives_the_installed_open_clip() -> None:
    assert open_clip is directly_imported


def test_the_parts_that_are_used_exist() -> None:
    assert callable(open_clip.CLIP)
    assert callable(open_clip.create_model)
    assert callable(open_clip.SimpleTokenizer)
    assert ("ViT-B-32", "openai") in open_clip.list_pretrained()


@pytest.mark.parametrize("library", ["huggingface_hub"])
def test_libraries_do_not_talk_over_the_service(library: str) -> None:
    assert logging.getLogger(library).level == logging.ERROR


def test_torchvision_has_the_operator_that_its_import_needs() -> None:
    assert torch.ops.torchvision.nms is not None


SLOW_TO_IMPORT = ("timm", "transformers", "torch._dynamo")


@pytest.mark.services
@pytest.mark.slow
def test_what_is_slow_is_left_out_and_can_be_imported_later() -> None:
    script = f"""
import sys
from vtt_core.backbones.load import load_backbone
load_backbone("mini")
print([name for name in {SLOW_TO_IMPORT} if name in sys.modules])
import torch
print(torch._dynamo.utils.is_compile_supported("cpu"))
from vtt_core.bench.hosts.small_backbones import small_backbone
print(type(small_backbone("siglip2").vision_tower).__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True", "TimmVisionTower"]
