import torch

from vtt_core.hosts.training_data import Batch
from vtt_core.lora.dropout import draw_dropout
from vtt_core.training.finetune import Finetune
from vtt_core.training.gradients import plain_gradients


def batch_of(trained: Finetune, *, is_absorbing: bool) -> Batch:
    tower = trained.backbone.vision_tower
    shape = (tower.num_layers, 3, 4, tower.num_tokens, tower.width)
    dropout = draw_dropout(0.5, shape, torch.Generator().manual_seed(0))
    return Batch(torch.tensor([0, 3, 5, 11]), dropout, is_absorbing)


def test_without_absorption_only_the_classification_loss_is_computed(trained: Finetune) -> None:
    state = trained.state
    on, off = (
        plain_gradients(trained.data, state.host, state.fusion, trained.recipe, batch_of(trained, is_absorbing=flag))
        for flag in (True, False)
    )
    assert torch.equal(on.classification_loss, off.classification_loss)
    for got, expected in zip(off.host_classification, on.host_classification, strict=True):
        torch.testing.assert_close(got, expected)
    assert len(on.host_absorption) == 2
    assert len(on.fusion_absorption) == len(list(state.fusion.parameters()))
    assert (off.absorption_loss, off.host_absorption, off.fusion_absorption) == (None, (), ())
