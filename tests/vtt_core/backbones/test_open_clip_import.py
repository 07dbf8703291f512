import logging

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


@pytest.mark.parametrize("library", ["timm", "huggingface_hub"])
def test_libraries_do_not_talk_over_the_service(library: str) -> None:
    assert logging.getLogger(library).level == logging.ERROR


def test_torchvision_has_the_operator_that_its_import_needs() -> None:
    assert torch.ops.torchvision.nms is not None
