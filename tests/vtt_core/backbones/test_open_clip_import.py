import logging

import open_clip as directly_imported
import torch

from vtt_core.backbones.open_clip_import import open_clip


def test_it_gives_the_installed_open_clip() -> None:
    assert open_clip is directly_imported


def test_the_parts_that_are_used_exist() -> None:
    assert callable(open_clip.CLIP)
    assert callable(open_clip.create_model)
    assert callable(open_clip.SimpleTokenizer)
    assert ("ViT-B-32", "openai") in open_clip.list_pretrained()


def test_timm_does_not_talk_over_the_service() -> None:
    assert logging.getLogger("timm").level == logging.ERROR


def test_torchvision_has_the_operator_that_its_import_needs() -> None:
    assert torch.ops.torchvision.nms is not None
