import torch

from vtt_core.hosts.training_data import Batch
from vtt_core.lora.dropout import draw_dropout
from vtt_core.training.finetune import Finetune


def test_frozen_layer_features_are_those_of_every_view(trained: Finetune) -> None:
    data = trained.data
    with torch.no_grad():
        expected = data.backbone.vision_tower.layer_features(data.views_V3HW[[0, 17]])
    torch.testing.assert_close(data.vision_VLD[[0, 17]], expected)
    assert data.vision_VLD is data.vision_VLD
    assert not data.vision_VLD.requires_grad


def test_a_part_of_a_batch_keeps_its_dropout(trained: Finetune) -> None:
    tower = trained.backbone.vision_tower
    shape = (tower.num_layers, 3, 4, tower.num_tokens, tower.width)
    dropout = draw_dropout(0.5, shape, torch.Generator().manual_seed(0))
    whole = Batch(torch.tensor([0, 3, 5, 11]), dropout, is_absorbing=True)
    part = whole.rows(slice(1, 3))
    assert part.views_B.tolist() == [3, 5]
    assert whole.dropout is not None
    assert part.dropout is not None
    assert torch.equal(part.dropout.bytes_LPBTW, whole.dropout.bytes_LPBTW[:, :, 1:3])
