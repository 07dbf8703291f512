"""Two classes with the same tokens are refused, for every backbone and host."""

from __future__ import annotations

import pytest
import torch

from vtt_core.adapter.classify import zero_shot_prototypes
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.tokenizer import make_tokenize
from vtt_core.contract.errors import PromptError, SameTokensError
from vtt_core.contract.recipe import make_recipe
from vtt_core.hosts.make import make_host

TEMPLATE = "a photo of a {}."


def test_tokens_are_those_of_the_tokenizer() -> None:
    tokenize = make_tokenize(77)
    tokens_CT = tokenize_classes(tokenize, ["star", "sea_lake"], TEMPLATE)
    assert torch.equal(tokens_CT, tokenize(["a photo of a star.", "a photo of a sea lake."]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"), [("Star", "star"), ("ｓｔａｒ", "star"), ("child’s", "child's"), ("b&amp;w", "b&w")]
)
def test_two_labels_with_the_same_tokens_are_refused_by_name(first: str, second: str) -> None:
    with pytest.raises(SameTokensError, match=f"{first!r} and {second!r}"):
        tokenize_classes(make_tokenize(77), ["rings", first, second], TEMPLATE)


def test_a_prompt_that_does_not_fit_is_refused() -> None:
    with pytest.raises(PromptError):
        tokenize_classes(make_tokenize(12), ["star", "a very long label of very many words"], TEMPLATE)


def test_zero_shot_refuses_them_too(tiny_backbone: Backbone) -> None:
    with pytest.raises(SameTokensError):
        zero_shot_prototypes(tiny_backbone, ["Star", "star"], TEMPLATE)


@pytest.mark.parametrize("method", ["coop", "maple", "clip-lora-text"])
def test_hosts_that_read_the_labels_refuse_them_too(tiny_backbone: Backbone, method: str) -> None:
    with pytest.raises(SameTokensError):
        make_host(tiny_backbone, ["Star", "star"], make_recipe(method))
