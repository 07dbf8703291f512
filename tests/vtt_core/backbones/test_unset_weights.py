import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.fixtures.tiny_backbones import KINDS, read_config, tiny_backbone
from vtt_core.backbones.load import backbone_from_files
from vtt_core.backbones.unset_weights import UnsetWeights


@pytest.mark.parametrize(
    "build",
    [lambda: nn.Linear(3, 5), lambda: nn.Embedding(7, 3), lambda: nn.MultiheadAttention(4, 2), lambda: nn.Conv2d(3, 2, 2)],
)
def test_no_random_number_is_drawn(build: type[nn.Module]) -> None:
    before = torch.get_rng_state()
    with UnsetWeights():
        built = build()
    assert torch.equal(torch.get_rng_state(), before)
    drawn = build()
    assert not torch.equal(torch.get_rng_state(), before)
    assert {name: value.shape for name, value in built.state_dict().items()} == {
        name: value.shape for name, value in drawn.state_dict().items()
    }


def test_all_else_is_computed() -> None:
    with UnsetWeights():
        filled = torch.empty(3, 3).fill_(2.0).triu_(1)
    assert filled.tolist() == [[0, 2, 2], [0, 0, 2], [0, 0, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_loaded_from_a_file_gives_the_same_features(kind: str, tmp_path: Path) -> None:
    given, config = tiny_backbone(kind), read_config(kind)
    config["text_cfg"].pop("hf_tokenizer_name", None)  # it is on a hub
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(given.clip.state_dict(), tmp_path / "weights.safetensors")
    torch.use_deterministic_algorithms(True)  # new memory is NaN, which must not show
    try:
        loaded = backbone_from_files("tiny", tmp_path / "config.json", tmp_path / "weights.safetensors")
    finally:
        torch.use_deterministic_algorithms(False)
    side = given.preprocessing.side_pixels
    images_B3HW = torch.rand(2, 3, side, side)
    tokens_CT = torch.randint(1, 30, (2, given.text_tower.context_length))
    assert torch.equal(loaded.clip.encode_image(images_B3HW), given.clip.encode_image(images_B3HW))
    assert torch.equal(loaded.clip.encode_text(tokens_CT), given.clip.encode_text(tokens_CT))
