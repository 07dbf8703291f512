from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.fixtures.tiny_backbones import KINDS, tiny_backbone
from vtt_core.absorption.prompt import absorb, find_placeholder, make_absorption_prompt
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import make_tokenize
from vtt_core.contract.errors import PromptError

TEMPLATE = "a photo of a {}."


class TestFindingThePlaceholder:
    def test_it_is_token_five_of_the_released_prompt(self, tiny_backbone: Backbone) -> None:
        prompt = make_absorption_prompt(tiny_backbone, TEMPLATE, "x")
        assert prompt.placeholder_index == 5
        assert len(prompt.tokens_T) == 8

    def test_it_follows_the_template(self, tiny_backbone: Backbone) -> None:
        assert make_absorption_prompt(tiny_backbone, "{} on a satellite image", "x").placeholder_index == 1
        assert make_absorption_prompt(tiny_backbone, "a centered satellite photo of {}", "thing").placeholder_index == 6

    def test_its_token_is_the_placeholders_own(self, tiny_backbone: Backbone) -> None:
        prompt = make_absorption_prompt(tiny_backbone, TEMPLATE, "dog")
        assert prompt.tokens_T[prompt.placeholder_index] == tiny_backbone.tokenize(["dog"])[0, 1]

    def test_a_placeholder_of_two_tokens_is_refused(self, tiny_backbone: Backbone) -> None:
        with pytest.raises(PromptError, match="'big dog', which changes 4 of its tokens"):
            make_absorption_prompt(tiny_backbone, TEMPLATE, "big dog")

    def test_a_placeholder_of_no_token_is_refused(self, tiny_backbone: Backbone) -> None:
        with pytest.raises(PromptError, match="' ', which changes 3 of its tokens"):
            make_absorption_prompt(tiny_backbone, TEMPLATE, " ")

    def test_its_own_place_is_found_where_the_prompt_has_the_word_elsewhere_too(self, tiny_backbone: Backbone) -> None:
        assert make_absorption_prompt(tiny_backbone, TEMPLATE, "a").placeholder_index == 5

    @pytest.mark.parametrize("template", ["a photo of fo{}es", "a photo of fo{}", "{}es on a photo"])
    def test_a_placeholder_that_melts_into_its_neighbours_is_refused(self, tiny_backbone: Backbone, template: str) -> None:
        with pytest.raises(PromptError, match="a word of its own"):
            make_absorption_prompt(tiny_backbone, template, "x")

    def test_it_is_found_in_the_tokenizers_ids(self) -> None:
        assert find_placeholder(make_tokenize(16), "one two {}", "three") == 3


class TestAbsorbing:
    @pytest.fixture
    def backbone(self, tiny_backbone_float64: Backbone) -> Backbone:
        return tiny_backbone_float64

    def test_the_placeholders_own_embedding_gives_back_the_prompts_feature(self, backbone: Backbone) -> None:
        prompt = make_absorption_prompt(backbone, TEMPLATE, "x")
        own_BD = backbone.text_tower.embed(prompt.tokens_T)[prompt.placeholder_index].expand(2, -1)
        expected = backbone.text_tower.layer_features(backbone.tokenize(["a photo of a x."]))[:, -1]
        torch.testing.assert_close(absorb(backbone.text_tower, prompt, own_BD), expected.expand(2, -1), rtol=1e-12, atol=1e-12)

    def test_the_vector_of_another_word_gives_that_words_prompt(self, backbone: Backbone) -> None:
        prompt = make_absorption_prompt(backbone, TEMPLATE, "x")
        dog_BD = backbone.text_tower.embed(backbone.tokenize(["dog"])[:, 1])
        expected = backbone.text_tower.layer_features(backbone.tokenize(["a photo of a dog."]))[:, -1]
        torch.testing.assert_close(absorb(backbone.text_tower, prompt, dog_BD), expected, rtol=1e-12, atol=1e-12)

    def test_only_the_placeholder_position_changes(self, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
        prompt, tower = make_absorption_prompt(backbone, TEMPLATE, "x"), backbone.text_tower
        seen = []
        read = tower.layer_features_of_embeddings
        monkeypatch.setattr(tower, "layer_features_of_embeddings", lambda e, end: seen.append((e, end)) or read(e, end))
        fused_BD = torch.randn(3, backbone.joint_size, dtype=torch.float64)
        absorb(tower, prompt, fused_BD)
        embeddings_BTW, end_B = seen[0]
        original_TW = tower.embed(prompt.tokens_T)
        for position in range(len(prompt.tokens_T)):
            is_placeholder = position == prompt.placeholder_index
            expected = fused_BD if is_placeholder else original_TW[position].expand(3, -1)
            assert torch.equal(embeddings_BTW[:, position], expected)
        assert end_B.tolist() == [len(prompt.tokens_T) - 1] * 3

    def test_text_before_the_placeholder_is_untouched(self, backbone: Backbone) -> None:
        # Read at every earlier position in turn, the tower's feature stays bit-equal.
        prompt, tower = make_absorption_prompt(backbone, TEMPLATE, "x"), backbone.text_tower
        original_TW = tower.embed(prompt.tokens_T)
        replaced_TW = original_TW.clone()
        replaced_TW[prompt.placeholder_index] = torch.randn(tower.width, dtype=torch.float64)
        for position in range(len(prompt.tokens_T)):
            before, after = (
                tower.layer_features_of_embeddings(embeddings_TW[None], torch.tensor([position]))
                for embeddings_TW in (original_TW, replaced_TW)
            )
            assert torch.equal(before, after) is (position < prompt.placeholder_index)

    def test_gradients_pass_through_the_frozen_tower_to_the_vector(self, backbone: Backbone) -> None:
        prompt = make_absorption_prompt(backbone, TEMPLATE, "x")
        fused_BD = torch.randn(2, backbone.joint_size, dtype=torch.float64, requires_grad=True)
        absorb(backbone.text_tower, prompt, fused_BD).sum().backward()
        assert fused_BD.grad is not None
        assert (fused_BD.grad.abs().sum(dim=1) > 0).all()
        assert all(parameter.grad is None for parameter in backbone.clip.parameters())

    def test_each_image_absorbs_only_its_own_vector(self, backbone: Backbone) -> None:
        prompt = make_absorption_prompt(backbone, TEMPLATE, "x")
        fused_BD = torch.randn(3, backbone.joint_size, dtype=torch.float64)
        together, alone = absorb(backbone.text_tower, prompt, fused_BD), absorb(backbone.text_tower, prompt, fused_BD[1:2])
        torch.testing.assert_close(together[1:2], alone, rtol=1e-12, atol=1e-12)


def test_the_prompt_ends_with_the_end_of_text_token(tiny_backbone: Backbone) -> None:
    prompt = make_absorption_prompt(tiny_backbone, TEMPLATE, "x")
    assert prompt.tokens_T.argmax() == len(prompt.tokens_T) - 1
    assert torch.equal(prompt.tokens_T, tiny_backbone.tokenize(["a photo of a x."])[0, :8])


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKindOfBackbone:
    """Each reads the prompt its own way: as far as its end, or all of its positions."""

    @pytest.fixture
    def backbone(self, kind: str, in_float64: Callable[[Backbone], Backbone]) -> Backbone:
        return in_float64(tiny_backbone(kind))

    def test_the_placeholders_own_embedding_gives_back_the_prompts_feature(self, backbone: Backbone) -> None:
        prompt, tower = make_absorption_prompt(backbone, TEMPLATE, "x"), backbone.text_tower
        assert prompt.placeholder_index == 5
        assert len(prompt.tokens_T) == (8 if tower.is_causal else tower.context_length)
        own_BD = tower.embed(prompt.tokens_T)[prompt.placeholder_index].expand(2, -1)
        expected = backbone.clip.encode_text(backbone.tokenize(["a photo of a x."]))
        torch.testing.assert_close(absorb(tower, prompt, own_BD), expected.expand(2, -1), rtol=1e-12, atol=1e-12)

    def test_the_vector_of_another_word_gives_that_words_prompt(self, backbone: Backbone) -> None:
        prompt, tower = make_absorption_prompt(backbone, TEMPLATE, "x"), backbone.text_tower
        dog_BD = tower.embed(backbone.tokenize(["dog"])[:, tower.first_word])
        expected = backbone.clip.encode_text(backbone.tokenize(["a photo of a dog."]))
        torch.testing.assert_close(absorb(tower, prompt, dog_BD), expected, rtol=1e-12, atol=1e-12)

    def test_gradients_pass_through_the_frozen_tower_to_the_vector(self, backbone: Backbone) -> None:
        prompt = make_absorption_prompt(backbone, TEMPLATE, "x")
        fused_BD = torch.randn(2, backbone.joint_size, dtype=torch.float64, requires_grad=True)
        absorb(backbone.text_tower, prompt, fused_BD).sum().backward()
        assert fused_BD.grad is not None
        assert (fused_BD.grad.abs().sum(dim=1) > 0).all()


def test_padding_after_the_end_of_text_is_read_where_the_tower_is_not_causal(tiny_config: dict[str, Any]) -> None:
    text_config = tiny_config["text_cfg"] | {"no_causal_mask": True}
    clip = open_clip.CLIP(tiny_config["embed_dim"], tiny_config["vision_cfg"], text_config).double()
    preprocessing = tiny_backbone("clip").preprocessing
    backbone = Backbone("both-ways", clip, make_tokenize(text_config["context_length"]), preprocessing)
    prompt, tower = make_absorption_prompt(backbone, TEMPLATE, "x"), backbone.text_tower
    assert len(prompt.tokens_T) == tower.context_length
    own_1D = tower.embed(prompt.tokens_T)[prompt.placeholder_index][None]
    expected = clip.encode_text(backbone.tokenize(["a photo of a x."]))
    torch.testing.assert_close(absorb(tower, prompt, own_1D), expected, rtol=1e-12, atol=1e-12)
