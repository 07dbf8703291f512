"""Every host is fine-tuned, killed and resumed, stripped, saved, verified and served, alone and with VtT."""

from collections.abc import Callable

import pytest
import torch

from vtt_core.adapter.adaptation import Adapted
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.decode_small import decode_support
from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.recipe import HOSTS, METHODS, FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import make_served
from vtt_core.training.finetune import Finetune


def quick_recipe(method: str) -> FinetuneRecipe:
    """Return a recipe that changes every tensor in four steps."""
    fast = {"iterations": 4, "batch_size": 4, "rank": 4, "host_learning_rate": 1e-2, "warm_up_steps": 0}
    return make_recipe(method, changes=fast)


@pytest.fixture(scope="module", params=METHODS)
def finished(request: pytest.FixtureRequest, uneven_backbone: Backbone, support_set: SupportSet) -> Finetune:
    finetune = Finetune(uneven_backbone, support_set, quick_recipe(request.param), seed=0)
    assert len(list(finetune.steps())) == 4
    return finetune


def test_what_is_written_passes_the_verification(
    finished: Finetune, uneven_backbone: Backbone, support_set: SupportSet
) -> None:
    files, images = adapter_to_files(strip(finished)), decode_support(support_set, uneven_backbone.preprocessing)
    verify(uneven_backbone, Adapted(adapter_from_files(files), {}, finished), files, images)
    assert adapter_to_files(adapter_from_files(files)) == files


def test_nothing_of_the_text_tower_is_left_but_the_prototypes(finished: Finetune) -> None:
    adapter = strip(finished)
    assert adapter.lora.rank == (4 if finished.recipe.host in ("clip-lora", "clip-lora-both") else 0)
    assert (adapter.prompts_JPW is None) == (finished.recipe.host != "maple")
    is_text_trained = finished.recipe.host != "clip-lora"
    assert torch.equal(adapter.prototypes_CD, finished.data.prototypes_CD) != is_text_trained


@pytest.mark.parametrize("method", [f"{host}+vtt" for host in HOSTS])
def test_resumed_at_any_step_it_ends_with_the_same_bytes(
    uneven_backbone: Backbone, support_set: SupportSet, method: str
) -> None:
    def begin(checkpoint: bytes | None = None) -> Finetune:
        return Finetune(uneven_backbone, support_set, quick_recipe(method), 0, checkpoint)

    undisturbed, checkpoints = begin(), []
    checkpoints.append(undisturbed.checkpoint())
    for _ in undisturbed.steps():
        checkpoints.append(undisturbed.checkpoint())
    expected = adapter_to_files(strip(undisturbed))
    for checkpoint in checkpoints:
        resumed = begin(checkpoint)
        list(resumed.steps())
        assert adapter_to_files(strip(resumed)) == expected


def test_adapters_of_all_hosts_are_served_in_one_batch(
    uneven_backbone: Backbone, support_set: SupportSet, make_support_set: Callable[..., SupportSet]
) -> None:
    adapters = []
    for host in HOSTS:
        finetune = Finetune(uneven_backbone, support_set, quick_recipe(host), seed=0)
        list(finetune.steps())
        adapters.append(strip(finetune))
    image = decode_image(support_set.classes[0].images[0].encoded)
    pixels_3HW = preprocess([image], uneven_backbone.preprocessing)[0]
    served = [make_served(adapter, torch.device("cpu"), "float32") for adapter in adapters]
    order = [0, 4, 1, 3, 4, 2, 0]
    answers = MixedReader(uneven_backbone).answer([BatchItem(pixels_3HW, served[index]) for index in order])
    for index, answer in zip(order, answers, strict=True):
        expected = classify(uneven_backbone, adapters[index], [image])[0]
        answered = torch.tensor([answer.probabilities[label] for label in support_set.labels])
        torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-5)
