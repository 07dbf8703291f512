from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.exports.transformers_clip import check_clip_model, clip_tensors, write_clip_model


def test_q_k_and_v_are_taken_apart_and_projections_transposed(tiny_backbone: Backbone) -> None:
    state = tiny_backbone.clip.state_dict()
    tensors = dict(clip_tensors(state))
    packed = state["visual.transformer.resblocks.1.attn.in_proj_weight"]
    assert torch.equal(tensors["vision_model.encoder.layers.1.self_attn.k_proj.weight"], packed[64:128])
    assert torch.equal(tensors["visual_projection.weight"], state["visual.proj"].T)
    assert sum(tensor.numel() for tensor in tensors.values()) == sum(
        tensor.numel() for name, tensor in state.items() if name != "attn_mask"
    )


@pytest.mark.slow
def test_mini_fits_into_transformers_clip_model() -> None:
    check_clip_model(load_backbone("mini"))


@pytest.mark.slow
def test_both_towers_give_the_features_of_the_backbone(tiny_backbone: Backbone, tmp_path: Path) -> None:
    from transformers import CLIPModel

    write_clip_model(tiny_backbone, tmp_path)
    model = CLIPModel.from_pretrained(tmp_path).eval()
    images_B3HW = torch.randn(3, 3, 32, 32)
    tokens_CT = tiny_backbone.tokenize(["a river", "a photo of sea ice"])
    with torch.inference_mode():
        theirs_BD = model.get_image_features(pixel_values=images_B3HW).pooler_output
        theirs_CD = model.get_text_features(input_ids=tokens_CT).pooler_output
        assert torch.allclose(theirs_BD, tiny_backbone.clip.encode_image(images_B3HW), atol=1e-5)
        assert torch.allclose(theirs_CD, tiny_backbone.clip.encode_text(tokens_CT), atol=1e-5)
