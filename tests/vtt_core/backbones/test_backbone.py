import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from PIL import Image

from tests.fixtures.tiny_backbones import KINDS, tiny_backbone
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.recipe import METHODS, FinetuneRecipe
from vtt_core.contract.recipe import make_recipe as released_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.hosts.training_data import Batch
from vtt_core.training.finetune import Finetune, make_training_data, start_state
from vtt_core.training.step import plain_gradients, train_step


class TestBackbone:
    def test_nothing_of_it_wants_gradients(self, tiny_backbone: Backbone) -> None:
        assert not any(parameter.requires_grad for parameter in tiny_backbone.clip.parameters())
        assert not tiny_backbone.clip.training

    def test_it_says_its_size_device_and_type(self, tiny_backbone: Backbone) -> None:
        assert tiny_backbone.joint_size == 64
        assert tiny_backbone.device == torch.device("cpu")
        assert tiny_backbone.dtype == torch.float32

    @pytest.mark.slow
    def test_the_same_weights_have_the_same_hash(self, make_backbone: Callable[..., Backbone], tiny_backbone: Backbone) -> None:
        assert make_backbone(seed=0).weight_sha256 == tiny_backbone.weight_sha256
        assert make_backbone(seed=1).weight_sha256 != tiny_backbone.weight_sha256

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_short_fine_tuning_of_each_kind_lowers_both_losses(
        self, kind: str, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
    ) -> None:
        backbone, recipe = tiny_backbone(kind), make_recipe(iterations=30)
        data, state = make_training_data(backbone, support_set, recipe, seed=0), start_state(backbone, recipe, seed=0)
        gradients_of = partial(plain_gradients, data, state.host, state.fusion, recipe)
        views_B = torch.arange(len(data.labels_V))
        reports = [train_step(state, recipe, Batch(views_B, None, state.dgso.is_absorbing), gradients_of) for _ in range(30)]
        assert reports[-1].classification_loss < 0.9 * reports[0].classification_loss
        absorbed = [report.absorption_loss for report in reports if report.absorption_loss is not None]
        assert absorbed[-1] < absorbed[0] - 0.1

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_goes_the_whole_way_on_each_kind(
        self, kind: str, method: str, support_set: SupportSet, draw_image: Callable[..., Image.Image]
    ) -> None:
        backbone = tiny_backbone(kind)
        recipe = released_recipe(method, changes={"iterations": 2, "batch_size": 4})
        finetune = Finetune(backbone, support_set, recipe, seed=0)
        assert all(math.isfinite(report.classification_loss) for report in finetune.steps())
        adapter = strip(finetune)
        images = [draw_image(index, 5) for index in range(2)]
        probabilities_BC = classify(backbone, adapter, images)
        torch.testing.assert_close(probabilities_BC.sum(dim=1), torch.ones(2))
        assert torch.equal(classify(backbone, adapter_from_files(adapter_to_files(adapter)), images), probabilities_BC)


class TestHashWeights:
    TENSORS = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor(3.0)}

    def test_the_order_of_the_names_does_not_matter(self) -> None:
        assert hash_weights(dict(reversed(self.TENSORS.items()))) == hash_weights(self.TENSORS)

    def test_layout_in_memory_does_not_matter(self) -> None:
        tensor = torch.arange(6.0).view(2, 3)
        assert hash_weights({"a": tensor.t()}) == hash_weights({"a": tensor.t().contiguous()})

    @pytest.mark.parametrize(
        "changed",
        [
            {"a": torch.tensor([[1.0, 2.5]])},
            {"a": torch.tensor([[1.0], [2.0]])},
            {"a": torch.tensor([[1.0, 2.0]], dtype=torch.float64)},
            {"a": torch.tensor([[1.0, 2.0]]), "c": torch.tensor(3.0)},
        ],
        ids=["value", "shape", "type", "name"],
    )
    def test_any_other_change_changes_it(self, changed: dict[str, torch.Tensor]) -> None:
        rest = {} if "c" in changed else {"b": torch.tensor(3.0)}
        assert hash_weights(changed | rest) != hash_weights(self.TENSORS)
