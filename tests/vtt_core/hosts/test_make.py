from collections.abc import Callable

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import HOSTS, make_recipe
from vtt_core.hosts.clip_lora import ClipLora
from vtt_core.hosts.coop import CoOp
from vtt_core.hosts.make import draw_text_dropout, make_host
from vtt_core.hosts.maple import MaPLe
from vtt_core.training.seeding import make_generator


def test_every_host_has_a_class(tiny_backbone: Backbone) -> None:
    kinds = {name: type(make_host(tiny_backbone, ["dog", "cat"], make_recipe(name))) for name in HOSTS}
    assert kinds == {
        "clip-lora": ClipLora,
        "clip-lora-text": ClipLora,
        "clip-lora-both": ClipLora,
        "coop": CoOp,
        "maple": MaPLe,
    }


@pytest.mark.parametrize("name", HOSTS)
def test_it_has_the_backbones_type(tiny_backbone: Backbone, in_float64: Callable[[Backbone], Backbone], name: str) -> None:
    host = make_host(in_float64(tiny_backbone), ["dog", "cat"], make_recipe(name))
    assert {parameter.dtype for parameter in host.parameters()} == {torch.float64}


def test_only_a_text_lora_has_text_dropout(tiny_backbone: Backbone) -> None:
    drawn = {}
    for name in HOSTS:
        host = make_host(tiny_backbone, ["dog", "sea ice"], make_recipe(name))
        dropout = draw_text_dropout(tiny_backbone, host, make_generator(0, "text"))
        drawn[name] = None if dropout is None else tuple(dropout.bytes_LPBTW.shape)
    assert drawn == {
        "clip-lora": None,
        "clip-lora-text": (3, 3, 2, 9, 64),
        "clip-lora-both": (3, 3, 2, 9, 64),
        "coop": None,
        "maple": None,
    }
