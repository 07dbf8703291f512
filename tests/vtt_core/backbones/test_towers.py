import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fixtures.tiny_backbones import KINDS, tiny_backbone
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.backbones.tokenizer import make_tokenize
from vtt_core.backbones.towers import TextTower, run_block
from vtt_core.lora.layers import TowerLora

TEXTS = ["a photo of a dog.", "x", "a photo of a herbaceous vegetation land."]
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(scope="module", params=[False, True], ids=["gelu", "quick_gelu"])
def backbone(
    request: pytest.FixtureRequest, make_backbone: Callable[..., Backbone], in_float64: Callable[[Backbone], Backbone]
) -> Backbone:
    return in_float64(make_backbone(vision_layers=4, text_layers=2, quick_gelu=request.param))


@pytest.fixture
def images_B3HW(backbone: Backbone) -> Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(3, 3, side, side, dtype=torch.float64)


class TestTextTower:
    def test_the_last_layer_is_the_models_own_text_feature(self, backbone: Backbone) -> None:
        tokens_CT = backbone.tokenize(TEXTS)
        text_CLD = backbone.text_tower.layer_features(tokens_CT)
        assert text_CLD.shape == (3, 2, 64)
        torch.testing.assert_close(text_CLD[:, -1], backbone.clip.encode_text(tokens_CT), **EXACT)

    def test_prompts_cut_after_the_longest_give_what_full_ones_give(self, backbone: Backbone) -> None:
        tower, tokens_CT = backbone.text_tower, backbone.tokenize(TEXTS)
        full = tower.layer_features_of_embeddings(tower.embed(tokens_CT), tokens_CT.argmax(dim=-1))
        torch.testing.assert_close(tower.layer_features(tokens_CT), full, **EXACT)

    def test_a_prompt_alone_gives_what_it_gives_among_longer_ones(self, backbone: Backbone) -> None:
        tower, tokens_CT = backbone.text_tower, backbone.tokenize(TEXTS)
        torch.testing.assert_close(tower.layer_features(tokens_CT[1:2]), tower.layer_features(tokens_CT)[1:2], **EXACT)


class TestRunBlock:
    @pytest.mark.parametrize("is_causal", [False, True])
    def test_it_equals_open_clips_own_forward(self, backbone: Backbone, is_causal: bool) -> None:
        block = backbone.clip.transformer.resblocks[0]
        x_BTW = torch.randn(2, 6, 64, dtype=torch.float64)
        mask = torch.full((6, 6), float("-inf"), dtype=torch.float64).triu(1) if is_causal else None
        torch.testing.assert_close(run_block(block, x_BTW, is_causal=is_causal), block(x_BTW, attn_mask=mask), **EXACT)

    def test_a_lora_changes_only_its_own_block_and_those_after(self, backbone: Backbone, images_B3HW: Tensor) -> None:
        lora = TowerLora(4, 64, rank=2, scaling=2.0).double()
        with torch.no_grad():
            lora.lora_B[2, 0].normal_()
        frozen, changed = (backbone.vision_tower.layer_features(images_B3HW, change) for change in (None, lora))
        assert torch.equal(frozen[:, :2], changed[:, :2])
        assert not torch.allclose(frozen[:, 2], changed[:, 2])
        assert not torch.allclose(frozen[:, 3], changed[:, 3])


def test_padding_is_cut_after_the_last_end_of_text(backbone: Backbone) -> None:
    tokens_CT = torch.tensor([[8, 1, 9, 0, 0], [8, 1, 2, 9, 0]])
    assert torch.equal(backbone.text_tower.cut_padding(tokens_CT), tokens_CT[:, :4])


class TestDeepPrompts:
    """Tokens that are learnt stand beside an image's patches, or in the places of a prompt's first words."""

    def test_the_first_words_own_embeddings_change_nothing(self, backbone: Backbone) -> None:
        tower = backbone.text_tower
        tokens_CT = tower.cut_padding(backbone.tokenize(TEXTS[::2]))
        embeddings_CTW, end_C = tower.embed(tokens_CT), tower.end_of(tokens_CT)
        own_1PW = embeddings_CTW[:1, 1:3]
        prompted = tower.layer_features_of_embeddings(embeddings_CTW, end_C, prompts_JPW=own_1PW)
        torch.testing.assert_close(prompted, tower.layer_features_of_embeddings(embeddings_CTW, end_C), **EXACT)

    def test_a_deeper_prompt_takes_the_place_of_the_one_before(self, backbone: Backbone) -> None:
        tower = backbone.text_tower
        tokens_CT = tower.cut_padding(backbone.tokenize(TEXTS[::2]))
        embeddings_CTW, end_C = tower.embed(tokens_CT), tower.end_of(tokens_CT)
        prompts_JPW = torch.randn(2, 2, tower.width, dtype=torch.float64)
        x_CTW = torch.cat((embeddings_CTW[:, :1], prompts_JPW[0].expand(2, -1, -1), embeddings_CTW[:, 3:]), dim=1)
        x_CTW = run_block(tower.blocks[0], x_CTW + tower.positions(x_CTW.shape[1]), is_causal=True)
        x_CTW = torch.cat((x_CTW[:, :1], prompts_JPW[1].expand(2, -1, -1), x_CTW[:, 3:]), dim=1)
        x_CTW = run_block(tower.blocks[1], x_CTW, is_causal=True)
        expected_CD = tower.project(x_CTW[torch.arange(2), end_C])
        prompted = tower.layer_features_of_embeddings(embeddings_CTW, end_C, prompts_JPW=prompts_JPW)
        torch.testing.assert_close(prompted[:, -1], expected_CD, **EXACT)


@pytest.fixture(params=KINDS)
def of_each_kind(request: pytest.FixtureRequest, in_float64: Callable[[Backbone], Backbone]) -> Backbone:
    return in_float64(tiny_backbone(request.param))


class TestEveryKindOfTextTower:
    def test_the_last_layer_is_the_models_own_text_feature(self, of_each_kind: Backbone) -> None:
        tower, tokens_CT = of_each_kind.text_tower, of_each_kind.tokenize(TEXTS)
        text_CLD = tower.layer_features(tokens_CT)
        assert text_CLD.shape == (len(TEXTS), tower.num_layers, of_each_kind.joint_size)
        torch.testing.assert_close(text_CLD[:, -1], of_each_kind.clip.encode_text(tokens_CT), **EXACT)
        assert not torch.allclose(text_CLD[0, -1], text_CLD[1, -1])

    def test_padding_is_read_only_by_a_tower_that_is_not_causal(self, of_each_kind: Backbone) -> None:
        tower, tokens_CT = of_each_kind.text_tower, of_each_kind.tokenize(TEXTS[:1])
        embeddings_CTW, end_C = tower.embed(tokens_CT), tower.end_of(tokens_CT)
        others_CTW = embeddings_CTW.clone()
        others_CTW[:, 8:-1] += 1.0
        own, others = (tower.layer_features_of_embeddings(read, end_C) for read in (embeddings_CTW, others_CTW))
        assert torch.equal(own, others) is tower.is_causal
        assert tower.cut_padding(tokens_CT).shape[1] == (8 if tower.is_causal else tower.context_length)

    def test_a_lora_equals_merged_weights(self, of_each_kind: Backbone, in_float64: Callable[[Backbone], Backbone]) -> None:
        tower = of_each_kind.text_tower
        lora, merged = TowerLora(tower.num_layers, tower.width, rank=2, scaling=2.0).double(), in_float64(of_each_kind)
        with torch.no_grad():
            lora.lora_B.normal_()
            for index, block in enumerate(merged.text_tower.blocks):
                block.attn.in_proj_weight += lora.layer(index).delta()
        tokens_CT = of_each_kind.tokenize(TEXTS)
        changed = tower.layer_features(tokens_CT, lora)
        torch.testing.assert_close(changed, merged.text_tower.layer_features(tokens_CT), rtol=1e-10, atol=1e-10)
        assert not torch.allclose(changed, tower.layer_features(tokens_CT))

    def test_the_first_words_own_embeddings_as_prompts_change_nothing(self, of_each_kind: Backbone) -> None:
        tower = of_each_kind.text_tower
        tokens_CT = tower.cut_padding(of_each_kind.tokenize(TEXTS[::2]))
        embeddings_CTW, end_C = tower.embed(tokens_CT), tower.end_of(tokens_CT)
        own_1PW = embeddings_CTW[:1, tower.first_word : tower.first_word + 2]
        prompted = tower.layer_features_of_embeddings(embeddings_CTW, end_C, prompts_JPW=own_1PW)
        torch.testing.assert_close(prompted, tower.layer_features_of_embeddings(embeddings_CTW, end_C), **EXACT)
        deeper_JPW = torch.cat((own_1PW, torch.randn_like(own_1PW)))
        changed = tower.layer_features_of_embeddings(embeddings_CTW, end_C, prompts_JPW=deeper_JPW)
        torch.testing.assert_close(changed[:, 0], prompted[:, 0], **EXACT)
        assert not torch.allclose(changed[:, 1], prompted[:, 1])


@pytest.mark.slow
@pytest.mark.parametrize("model_class", [open_clip.CLIP, open_clip.CustomTextCLIP])
@pytest.mark.parametrize("changes", [{"pool_type": "eos", "eos_id": 49407}, {"no_causal_mask": True}, {"proj_type": "none"}])
def test_other_ends_directions_and_projections_are_open_clips_own(
    tiny_config: dict[str, Any], model_class: Any, changes: dict[str, object]
) -> None:
    text_config = tiny_config["text_cfg"] | changes
    clip = model_class(tiny_config["embed_dim"], tiny_config["vision_cfg"], text_config).double().eval()
    tokens_CT = make_tokenize(24)(TEXTS)
    torch.testing.assert_close(TextTower(clip).layer_features(tokens_CT)[:, -1], clip.encode_text(tokens_CT), **EXACT)


class TestBlockWeights:
    """A text tower with a block that counts more, less or not at all."""

    def test_ones_change_no_bit(self, backbone: Backbone) -> None:
        tower, tokens_CT = backbone.text_tower, backbone.tokenize(TEXTS)
        assert torch.equal(tower.layer_features(tokens_CT, block_weights=[1.0, 1.0]), tower.layer_features(tokens_CT))

    @pytest.mark.parametrize("removed", [0, 1])
    def test_zero_equals_a_tower_without_the_block(self, backbone: Backbone, removed: int) -> None:
        shorter = copy.deepcopy(backbone.clip)
        del shorter.transformer.resblocks[removed]
        tokens_CT, weights = backbone.tokenize(TEXTS), [1.0, 1.0]
        weights[removed] = 0.0
        features_CD = backbone.text_tower.layer_features(tokens_CT, block_weights=weights)[:, -1]
        torch.testing.assert_close(features_CD, shorter.encode_text(tokens_CT), **EXACT)

    def test_more_than_one_lengthens_what_the_block_adds(self, backbone: Backbone) -> None:
        tower = backbone.text_tower
        tokens_CT = tower.cut_padding(backbone.tokenize(TEXTS))
        x_CTW = tower.embed(tokens_CT) + tower.positions(tokens_CT.shape[1])
        added_CTW = run_block(tower.blocks[0], x_CTW, is_causal=True) - x_CTW
        x_CTW = run_block(tower.blocks[1], x_CTW + 1.5 * added_CTW, is_causal=True)
        expected_CD = tower.project(x_CTW[torch.arange(len(TEXTS)), tower.end_of(tokens_CT)])
        features_CLD = tower.layer_features(tokens_CT, block_weights=[1.5, 1.0])
        torch.testing.assert_close(features_CLD[:, -1], expected_CD, **EXACT)
