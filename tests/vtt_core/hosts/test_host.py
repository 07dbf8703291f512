"""What every host keeps to."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from tests.vtt_core.hosts.conftest import Setting
from vtt_core.contract.recipe import HOSTS
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.finetune import start_state
from vtt_core.training.step import batch_losses, plain_gradients

STARTS_FROM_CLIP = ("clip-lora", "clip-lora-text", "clip-lora-both")


@pytest.mark.parametrize("name", HOSTS)
class TestEveryHost:
    @pytest.mark.slow
    def test_both_losses_reach_every_tensor_and_nothing_frozen(
        self, make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch], name: str
    ) -> None:
        data, host, recipe = make_setting(f"{name}+vtt")
        with torch.no_grad():
            for parameter in host.parameters():
                parameter += 0.02 * torch.randn_like(parameter)
        fusion = start_state(data.backbone, recipe, 0).fusion
        gradients = plain_gradients(data, host, fusion, recipe, batch_of(data, host))
        for of_loss in (gradients.host_classification, gradients.host_absorption):
            assert len(of_loss) == len(list(host.parameters())) > 0
            assert all(gradient.abs().sum() > 0 for gradient in of_loss)
        assert all(gradient.abs().sum() > 0 for gradient in gradients.fusion_absorption)
        assert all(parameter.grad is None for parameter in data.backbone.clip.parameters())

    @pytest.mark.slow
    def test_gradients_are_those_of_finite_differences(
        self, make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch], name: str
    ) -> None:
        data, host, recipe = make_setting(f"{name}+vtt")
        fusion, batch = start_state(data.backbone, recipe, 0).fusion, batch_of(data, host)
        gradients = plain_gradients(data, host, fusion, recipe, batch)
        parameter, of_vtt = next(iter(host.parameters())), gradients.host_absorption[0]
        directions = torch.randn_like(parameter)
        if name.startswith("clip-lora"):
            parameter, of_vtt = list(host.parameters())[1], gradients.host_absorption[1]
            directions = torch.randn_like(parameter)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-5 * directions
                ends.append(batch_losses(data, host, fusion, recipe, batch)[1])
                parameter -= sign * 1e-5 * directions
        assert ends[0] is not None
        assert ends[1] is not None
        slope = (ends[0] - ends[1]) / 2e-5
        torch.testing.assert_close((of_vtt * directions).sum(), slope, rtol=1e-5, atol=1e-8)

    def test_prototypes_have_unit_length(self, make_setting: Callable[..., Setting], name: str) -> None:
        data, host, _ = make_setting(name)
        torch.testing.assert_close(host.prototypes(data).norm(dim=-1), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("name", STARTS_FROM_CLIP)
def test_a_fresh_lora_changes_nothing(
    make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch], name: str
) -> None:
    data, host, _ = make_setting(name)
    batch = batch_of(data, host)
    torch.testing.assert_close(host.vision_layers(data, batch), data.vision_VLD[batch.views_B], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(host.text_layers(data, batch), data.text_CLD, rtol=1e-12, atol=1e-12)
    expected_CD = functional.normalize(data.text_CLD[:, -1], dim=-1)
    torch.testing.assert_close(host.prototypes(data), expected_CD, rtol=1e-12, atol=1e-12)
