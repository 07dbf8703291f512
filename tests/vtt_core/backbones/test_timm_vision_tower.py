from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.fixtures.tiny_backbones import tiny_backbone
from vtt_core.adapter.answer import Answering
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.timm_import import timm
from vtt_core.backbones.timm_trunks import why_unsupported
from vtt_core.backbones.timm_vision_tower import TimmVisionTower
from vtt_core.lora.dropout import Dropout
from vtt_core.lora.layers import TowerLora
from vtt_core.serving.mixed_lora import MixedLora
from vtt_core.serving.served import ServedAdapter

EXACT = {"rtol": 1e-12, "atol": 1e-12}
NUM_IMAGES = 3


@pytest.fixture(scope="module", params=["siglip2", "pe-core"])
def backbone(request: pytest.FixtureRequest, in_float64: Callable[[Backbone], Backbone]) -> Backbone:
    return in_float64(tiny_backbone(request.param))


@pytest.fixture
def tower(backbone: Backbone) -> TimmVisionTower:
    assert isinstance(backbone.vision_tower, TimmVisionTower)
    return backbone.vision_tower


@pytest.fixture
def images_B3HW() -> Tensor:
    return torch.randn(NUM_IMAGES, 3, 32, 32, dtype=torch.float64)


@pytest.fixture
def make_lora(tower: TimmVisionTower) -> Callable[..., TowerLora]:
    def make(rank: int = 2, *, std: float = 0.5) -> TowerLora:
        lora = TowerLora(tower.num_layers, tower.width, rank, scaling=2.0).double()
        nn.init.normal_(lora.lora_B, std=std)
        return lora

    return make


class TestLayerFeatures:
    def test_the_last_layer_is_the_models_own_image_feature(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor
    ) -> None:
        expected = backbone.clip.encode_image(images_B3HW)
        assert torch.equal(tower.layer_features(images_B3HW)[:, -1], expected)
        assert torch.equal(tower.features(images_B3HW), expected)
        assert not torch.allclose(expected[0], expected[1])

    def test_the_projection_reads_what_is_called_unprojected(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor
    ) -> None:
        unprojected_BW, visual = tower.unprojected_features(images_B3HW), backbone.clip.visual
        assert unprojected_BW.shape == (NUM_IMAGES, tower.width)
        assert torch.equal(visual.head(visual.trunk.head(unprojected_BW)), tower.features(images_B3HW))

    def test_every_layer_is_pooled_as_the_last_one(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor
    ) -> None:
        visual, outputs = backbone.clip.visual, []
        hooks = [
            block.register_forward_hook(lambda _block, _inputs, output: outputs.append(output)) for block in visual.trunk.blocks
        ]
        backbone.clip.encode_image(images_B3HW)
        for hook in hooks:
            hook.remove()
        expected = [visual.head(visual.trunk.forward_head(visual.trunk.norm(output))) for output in outputs]
        assert torch.equal(tower.layer_features(images_B3HW), torch.stack(expected, dim=1))
        assert not torch.allclose(expected[0], expected[1])

    def test_sizes_are_those_of_the_model(self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor) -> None:
        assert tower.num_layers == len(backbone.clip.visual.trunk.blocks)
        assert tower.embed(images_B3HW).shape == (NUM_IMAGES, tower.num_tokens, tower.width)
        assert tower.joint_size == backbone.joint_size == backbone.text_tower.width == 32
        assert tower.device == torch.device("cpu")


class TestLora:
    def test_a_new_one_changes_not_a_bit(self, tower: TimmVisionTower, images_B3HW: Tensor) -> None:
        lora = TowerLora(tower.num_layers, tower.width, rank=2, scaling=2.0).double()
        assert torch.equal(tower.layer_features(images_B3HW, lora), tower.layer_features(images_B3HW))

    def test_it_equals_merged_weights(
        self,
        backbone: Backbone,
        tower: TimmVisionTower,
        images_B3HW: Tensor,
        make_lora: Callable[..., TowerLora],
        in_float64: Callable[[Backbone], Backbone],
    ) -> None:
        lora, merged = make_lora(), in_float64(backbone)
        with torch.no_grad():
            for index, block in enumerate(merged.clip.visual.trunk.blocks):
                block.attn.qkv.weight += lora.layer(index).delta()
        changed = tower.layer_features(images_B3HW, lora)
        torch.testing.assert_close(changed, merged.vision_tower.layer_features(images_B3HW), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(tower.features(images_B3HW, lora), changed[:, -1], **EXACT)
        assert not torch.allclose(changed, tower.layer_features(images_B3HW), rtol=1e-2)

    def test_it_counts_once_in_a_copy_of_a_copy(
        self,
        backbone: Backbone,
        tower: TimmVisionTower,
        images_B3HW: Tensor,
        make_lora: Callable[..., TowerLora],
        in_float64: Callable[[Backbone], Backbone],
    ) -> None:
        lora, copied = make_lora(), in_float64(in_float64(backbone))
        assert torch.equal(copied.vision_tower.layer_features(images_B3HW, lora), tower.layer_features(images_B3HW, lora))

    def test_each_layer_has_its_own_dropout(
        self, tower: TimmVisionTower, images_B3HW: Tensor, make_lora: Callable[..., TowerLora]
    ) -> None:
        lora = make_lora()
        bytes_LPBTW = torch.full((tower.num_layers, 3, NUM_IMAGES, tower.num_tokens, tower.width), 255, dtype=torch.uint8)
        bytes_LPBTW[0] = 0
        dropped = tower.layer_features(images_B3HW, lora, Dropout(bytes_LPBTW, num_dropped=128))
        with torch.no_grad():
            lora.lora_B[0] = 0.0
            lora.lora_B[1:] *= 2.0  # what is kept of half is doubled
        torch.testing.assert_close(dropped, tower.layer_features(images_B3HW, lora), **EXACT)

    def test_gradients_reach_it_and_nothing_frozen(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor, make_lora: Callable[..., TowerLora]
    ) -> None:
        lora = make_lora()
        tower.layer_features(images_B3HW, lora).square().sum().backward()
        for parameter in lora.parameters():
            assert parameter.grad is not None
            assert (parameter.grad.flatten(1).abs().sum(dim=1) > 0).all()
        assert all(parameter.grad is None for parameter in backbone.clip.parameters())

    def test_threads_run_one_tower_with_different_ones(
        self, tower: TimmVisionTower, images_B3HW: Tensor, make_lora: Callable[..., TowerLora]
    ) -> None:
        loras: list[TowerLora | None] = [make_lora(rank) for rank in (1, 2, 3)]
        loras.append(None)

        def features(lora: TowerLora | None) -> Tensor:
            with torch.no_grad():
                return tower.features(images_B3HW, lora)

        expected = [features(lora) for lora in loras]
        with ThreadPoolExecutor(len(loras)) as pool:
            for _ in range(10):
                for got, alone in zip(pool.map(features, loras), expected, strict=True):
                    torch.testing.assert_close(got, alone, **EXACT)

    def test_nothing_of_it_stays_behind_even_where_a_block_fails(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor, make_lora: Callable[..., TowerLora]
    ) -> None:
        expected, lora = backbone.clip.encode_image(images_B3HW), make_lora()
        tower.features(images_B3HW, lora)
        assert torch.equal(backbone.clip.encode_image(images_B3HW), expected)
        of_another_width = TowerLora(tower.num_layers, tower.width + 1, rank=2, scaling=2.0).double()
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            tower.features(images_B3HW, of_another_width)
        assert torch.equal(backbone.clip.encode_image(images_B3HW), expected)

    @pytest.mark.parametrize("ranks", [(2, 2, 2), (3, 1, 2)])
    def test_each_image_may_have_its_own(
        self, tower: TimmVisionTower, images_B3HW: Tensor, make_lora: Callable[..., TowerLora], ranks: tuple[int, ...]
    ) -> None:
        loras = [make_lora(rank) for rank in ranks]
        prototypes_CD = torch.zeros(2, tower.joint_size, dtype=torch.float64)
        answering = Answering(("a", "b"), has_negative=False, nonconformity=(), usual=None)
        served = [
            ServedAdapter(lora.lora_A, lora.lora_B * 2.0, prototypes_CD, torch.zeros(2), 2, False, answering) for lora in loras
        ]
        with torch.inference_mode():
            together = tower.features(images_B3HW, MixedLora(served, torch.float64))
            shared = tower.features(images_B3HW, MixedLora(served[:1] * NUM_IMAGES, torch.float64))
            for index, lora in enumerate(loras):
                alone = tower.features(images_B3HW[index : index + 1], lora)
                torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-11, atol=1e-11)
            torch.testing.assert_close(shared, tower.features(images_B3HW, loras[0]), rtol=1e-11, atol=1e-11)


def test_a_lora_reaches_an_attention_that_adds_its_biases_later() -> None:
    trunk = timm.models.eva.Eva(img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2).double().eval()
    for block in trunk.blocks:
        block.attn.qkv_bias_separate = True
        nn.init.normal_(block.attn.q_bias)
    tower = TimmVisionTower(SimpleNamespace(trunk=trunk, head=nn.Identity()))
    lora = TowerLora(2, 32, rank=2, scaling=2.0).double()
    nn.init.normal_(lora.lora_B)
    images_B3HW = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    changed, frozen = tower.features(images_B3HW, lora), tower.features(images_B3HW)
    with torch.no_grad():
        for index, block in enumerate(trunk.blocks):
            block.attn.qkv.weight += lora.layer(index).delta()
    torch.testing.assert_close(changed, tower.features(images_B3HW), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(changed, frozen, rtol=1e-2)


class TestDeepPrompts:
    def test_they_are_read_in_no_place_and_those_of_a_depth_replace_those_before(
        self, backbone: Backbone, tower: TimmVisionTower, images_B3HW: Tensor
    ) -> None:
        prompts_JPW = torch.randn(2, 3, tower.width, dtype=torch.float64)
        x_BTW = tower.embed(images_B3HW)
        for index, block in enumerate(tower.blocks):
            if index < 2:
                prompts_PW = backbone.clip.visual.trunk.norm_pre(prompts_JPW[0]) if index == 0 else prompts_JPW[1]
                x_BTW = torch.cat((x_BTW[:, : tower.num_tokens], prompts_PW.expand(NUM_IMAGES, -1, -1)), dim=1)
            x_BTW = run_by_hand(backbone.clip.visual.trunk, block, x_BTW, tower.num_tokens)
        expected_BD = tower.feature_of(x_BTW[:, : tower.num_tokens])
        torch.testing.assert_close(tower.features(images_B3HW, prompts_JPW=prompts_JPW), expected_BD, **EXACT)
        layers_BLD = tower.layer_features(images_B3HW, prompts_JPW=prompts_JPW)
        torch.testing.assert_close(layers_BLD[:, -1], expected_BD, **EXACT)
        assert not torch.allclose(layers_BLD[:, -1], tower.features(images_B3HW), rtol=1e-3)

    def test_only_the_images_own_tokens_are_pooled(self, tower: TimmVisionTower) -> None:
        x_BTW = torch.randn(2, tower.num_tokens + 2, tower.width, dtype=torch.float64)
        changed_BTW = torch.cat((x_BTW[:, : tower.num_tokens], x_BTW[:, tower.num_tokens :] + 5.0), dim=1)
        assert torch.equal(tower.feature_of(x_BTW), tower.feature_of(changed_BTW))

    def test_gradients_reach_the_prompts_of_every_depth(self, tower: TimmVisionTower, images_B3HW: Tensor) -> None:
        prompts_JPW = torch.randn(2, 3, tower.width, dtype=torch.float64, requires_grad=True)
        tower.layer_features(images_B3HW, prompts_JPW=prompts_JPW).square().sum().backward()
        assert prompts_JPW.grad is not None
        assert (prompts_JPW.grad.abs().sum(dim=-1) > 0).all()


def run_by_hand(trunk: Any, block: Any, x_BTW: Tensor, num_tokens: int) -> Tensor:
    """Run a block of timm's with only an image's own patches turned by their places."""
    attention = block.attn
    qkv = attention.qkv(block.norm1(x_BTW)).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.clone()
    if getattr(trunk, "rope", None) is not None:
        patches = slice(trunk.num_prefix_tokens, num_tokens)
        for rows in (q, k):
            rows[:, :, patches] = timm.layers.apply_rot_embed_cat(rows[:, :, patches], trunk.rope.get_embed())
    read = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x_BTW = x_BTW + attention.proj(read)
    output_BTW: Tensor = x_BTW + block.mlp(block.norm2(x_BTW))
    return output_BTW


class TestWhyUnsupported:
    SIZES = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}

    def test_vits_with_one_layer_for_q_k_and_v_are_supported(self, backbone: Backbone) -> None:
        assert why_unsupported(backbone.clip.visual.trunk) is None

    def test_a_bias_of_its_own_is_supported_where_the_layer_is_called(self) -> None:
        trunk = timm.models.eva.Eva(**self.SIZES, qkv_bias=True)
        assert "without calling" in str(why_unsupported(trunk))
        for block in trunk.blocks:
            block.attn.qkv_bias_separate = True
        assert why_unsupported(trunk) is None

    @pytest.mark.parametrize(
        ("trunk", "reason"),
        [
            (lambda sizes: timm.models.eva.Eva(**sizes, qkv_fused=False), "separate layers"),
            (lambda sizes: timm.models.eva.Eva(**sizes, use_rot_pos_emb=True, rope_type="mixed"), "in each block"),
            (lambda sizes: timm.models.VisionTransformerRelPos(**sizes), "VisionTransformerRelPos"),
            (lambda sizes: timm.models.vision_transformer.VisionTransformer(**sizes, attn_layer="diff"), "DiffAttention"),
        ],
    )
    def test_others_are_named(self, trunk: Callable[[dict[str, int]], Any], reason: str) -> None:
        assert reason in str(why_unsupported(trunk(self.SIZES)))


class TestPoolAttention:
    def test_a_token_that_alone_has_a_value_is_pooled_by_its_share(
        self, backbone: Backbone, in_float64: Callable[[Backbone], Backbone], images_B3HW: Tensor
    ) -> None:
        copied = in_float64(backbone)
        changed, pool = copied.vision_tower, copied.clip.visual.trunk.attn_pool
        assert isinstance(changed, TimmVisionTower)
        with torch.no_grad():
            pool.kv.weight.mul_(100.0)  # random weights alone read all tokens alike
        shares_BT = changed.pool_attention(images_B3HW)
        assert shares_BT is not None
        torch.testing.assert_close(shares_BT.sum(dim=1), torch.ones(NUM_IMAGES, dtype=torch.float64), **EXACT)
        assert shares_BT.std(dim=1).min() > 1e-3
        pool.proj, pool.mlp = nn.Identity(), None
        for token in range(changed.num_tokens):

            def alone(_kv: nn.Module, _inputs: Any, packed_BTX: Tensor, token: int = token) -> Tensor:
                packed_BTX[..., changed.width :] = 0.0
                packed_BTX[:, token, changed.width :] = 1.0
                return packed_BTX

            pooled: list[Tensor] = []
            hooks = [
                pool.kv.register_forward_hook(alone),
                pool.register_forward_hook(lambda _pool, _inputs, output, seen=pooled: seen.append(output)),
            ]
            changed.features(images_B3HW)
            for hook in hooks:
                hook.remove()
            torch.testing.assert_close(pooled[0].mean(dim=-1), shares_BT[:, token], **EXACT)

    def test_a_tower_that_pools_without_attention_has_none(
        self, backbone: Backbone, in_float64: Callable[[Backbone], Backbone], images_B3HW: Tensor
    ) -> None:
        copied = in_float64(backbone)
        copied.clip.visual.trunk.attn_pool = None
        assert isinstance(copied.vision_tower, TimmVisionTower)
        assert copied.vision_tower.pool_attention(images_B3HW) is None
