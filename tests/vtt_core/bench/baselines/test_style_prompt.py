from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vtt_core.bench.baselines import style_prompt
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.style_prompt import StyledClassifier, StylePrompt, predict_stepspt, train_styled
from vtt_core.training.losses import classification_loss

pytestmark = pytest.mark.slow


def test_the_style_of_the_target_domain_is_taken_out_and_a_learnt_one_put_in() -> None:
    images_B3HW = torch.randn(8, 3, 6, 6) * torch.tensor([1.0, 2, 3]).view(3, 1, 1) + torch.tensor([4.0, 5, 6]).view(3, 1, 1)
    style = StylePrompt(images_B3HW)

    def statistics() -> tuple[Tensor, Tensor]:
        styled_B3HW = style(images_B3HW)
        return styled_B3HW.mean(dim=(0, 2, 3)).detach(), styled_B3HW.std(dim=(0, 2, 3), correction=0).detach()

    torch.testing.assert_close(statistics()[0], torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(statistics()[1], torch.ones(3), atol=1e-4, rtol=0)
    with torch.no_grad():
        style.new_mean_311 += torch.tensor([0.5, 0, -0.5]).view(3, 1, 1)
        style.new_deviation_311 *= 2
    torch.testing.assert_close(statistics()[0], torch.tensor([0.5, 0, -0.5]), atol=1e-5, rtol=0)
    torch.testing.assert_close(statistics()[1], torch.full((3,), 2.0), atol=1e-4, rtol=0)


def test_training_lowers_the_loss_and_moves_the_style(make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data(way=3)
    styled, losses_E = train_styled(task, seed=0)
    assert losses_E.shape == (100,)
    assert losses_E[-1] < 0.5 * losses_E[0]
    assert not torch.equal(styled.style.new_mean_311, torch.zeros(3, 1, 1))
    assert not torch.equal(styled.style.new_deviation_311, torch.ones(3, 1, 1))


def test_a_style_step_alone_lowers_the_loss(task: FewShotTask) -> None:
    styled = StyledClassifier(task, seed=0)

    def loss() -> Tensor:
        return classification_loss(styled.logits(task.plain_S3HW), task.labels_S)

    before = loss()
    torch.testing.assert_close(style_prompt.add_style_gradients(styled, task), before)
    torch.optim.SGD(styled.style.parameters(), 1e-2).step()
    assert loss() < before


def test_style_gradients_do_not_depend_on_the_chunks(task: FewShotTask, monkeypatch: pytest.MonkeyPatch) -> None:
    gradients = []
    for chunk in (64, 4):
        monkeypatch.setattr(style_prompt, "CHUNK_IMAGES", chunk)
        styled = StyledClassifier(task, seed=0)
        style_prompt.add_style_gradients(styled, task)
        gradients.append([parameter.grad for parameter in styled.style.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_queries_teach_nothing(task: FewShotTask) -> None:
    others = replace(task, queries_Q3HW=torch.randn_like(task.queries_Q3HW))
    expected_QC = predict_stepspt(task, 0)
    assert torch.equal(train_styled(others, seed=0)[0].logits(task.queries_Q3HW), expected_QC)
