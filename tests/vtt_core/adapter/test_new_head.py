import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from vtt_core.adapter.adaptation import Adaptation, Adapted
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import Adapter, adapter_from_files, adapter_to_files
from vtt_core.adapter.new_head import NewHead
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import BackboneMismatchError
from vtt_core.contract.recipe import make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image


@pytest.fixture(scope="module")
def whole(make_support_set: Callable[..., SupportSet]) -> SupportSet:
    return make_support_set(way=4, shot=4)


@pytest.fixture(scope="module")
def before(whole: SupportSet) -> SupportSet:
    return SupportSet(whole.classes[:3])


def make_base(backbone: Backbone, support_set: SupportSet, method: str, **changes: Any) -> Adapter:
    fast = {"iterations": 4, "batch_size": 4, "rank": 4, "validation_iterations": 2, "host_learning_rate": 1e-2}
    adaptation = Adaptation(backbone, support_set, make_recipe(method, changes={**fast, **changes}), 0)
    list(adaptation.steps())
    return adapter_from_files(adapter_to_files(adaptation.finish().adapter))


def extend(backbone: Backbone, base: Adapter, support_set: SupportSet) -> Adapted:
    adapted = NewHead(backbone, base, support_set).finish()
    images = [decode_image(image.encoded) for known in support_set.classes for image in known.images]
    verify(backbone, adapted, adapter_to_files(adapted.adapter), images)
    assert json.loads(json.dumps(adapted.metrics)) == adapted.metrics
    return adapted


def accuracy(backbone: Backbone, adapter: Adapter, support_set: SupportSet) -> float:
    images = [decode_image(image.encoded) for known in support_set.classes for image in known.images]
    labels = torch.tensor([index for index, known in enumerate(support_set.classes) for _ in known.images])
    return float((classify(backbone, adapter, images).argmax(dim=-1) == labels).double().mean())


@pytest.mark.slow
def test_a_frozen_model_with_one_more_class_is_what_a_frozen_job_gives(
    tiny_backbone: Backbone, whole: SupportSet, before: SupportSet
) -> None:
    extended = extend(tiny_backbone, make_base(tiny_backbone, before, "frozen"), whole)
    anew = Adaptation(tiny_backbone, whole, make_recipe("frozen"), 0).finish()
    assert extended.adapter.head is not None
    assert anew.adapter.head is not None
    assert torch.equal(extended.adapter.head.weight_CX, anew.adapter.head.weight_CX)
    assert extended.metrics == anew.metrics
    assert extended.adapter.manifest.head is not None
    assert extended.adapter.manifest.head.added_labels == (whole.classes[3].label,)


@pytest.mark.slow
def test_a_fine_tuned_tower_stays_and_tells_the_new_class_too(
    tiny_backbone: Backbone, whole: SupportSet, before: SupportSet
) -> None:
    base = make_base(tiny_backbone, before, "clip-lora+vtt", head="sum", validation_folds=2)
    extended = extend(tiny_backbone, base, whole)
    matrices = extended.adapter.lora.matrices()
    assert all(torch.equal(matrices[name], tensor) for name, tensor in base.lora.matrices().items())
    assert extended.adapter.manifest.labels == whole.labels
    assert accuracy(tiny_backbone, extended.adapter, whole) >= 0.75
    facts, known = extended.adapter.manifest.head, base.manifest.head
    assert facts is not None
    assert known is not None
    assert (facts.added_labels, facts.scales) == (
        (whole.classes[3].label,),
        {"ridge": known.scales["ridge"]},
    )


@pytest.mark.slow
def test_nothing_is_claimed_of_a_class_that_the_tower_has_not_seen(
    tiny_backbone: Backbone, whole: SupportSet, before: SupportSet
) -> None:
    metrics = extend(tiny_backbone, make_base(tiny_backbone, before, "clip-lora+vtt", head="sum"), whole).metrics
    for name in (
        "expected_accuracy",
        "linear_probe",
        "confusion",
        "calibration_error",
        "reliability",
        "largest_coverage",
        "unknown",
    ):
        assert metrics[name] is None
    assert repr(whole.classes[3].label) in metrics["advice"][0]
    assert "not measured" in metrics["advice"][0]
    assert metrics["frozen_head"]["num_images"] == 16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "head", "kind"),
    [
        ("clip-lora", "text", "ridge"),
        ("clip-lora", "text-centroid", "ridge"),
        ("clip-lora", "gda", "gda"),
        ("clip-lora-both", "sum", "ridge"),
        ("maple", "text", "ridge"),
        ("maple", "centroid", "centroid"),
        ("coop", "text", "sum"),
        ("clip-lora-text", "ridge", "sum"),
    ],
)
def test_a_head_on_a_fine_tuned_tower_reads_no_prompts(
    tiny_backbone: Backbone, whole: SupportSet, before: SupportSet, method: str, head: str, kind: str
) -> None:
    extended = extend(tiny_backbone, make_base(tiny_backbone, before, method, head=head), whole)
    facts = extended.adapter.manifest.head
    assert facts is not None
    assert facts.kind == kind
    assert (extended.metrics["expected_accuracy"] is not None) == (method in ("coop", "clip-lora-text"))


@pytest.mark.slow
def test_classes_that_were_added_one_after_another_are_all_named(tiny_backbone: Backbone, whole: SupportSet) -> None:
    base = make_base(tiny_backbone, SupportSet(whole.classes[:2]), "clip-lora", head="sum")
    once = extend(tiny_backbone, base, SupportSet(whole.classes[:3])).adapter
    twice = extend(tiny_backbone, adapter_from_files(adapter_to_files(once)), whole)
    assert twice.adapter.manifest.head is not None
    assert twice.adapter.manifest.head.added_labels == whole.labels[2:]


@pytest.mark.slow
def test_a_negative_class_stays_one(tiny_backbone: Backbone, whole: SupportSet) -> None:
    def with_negatives(num_classes: int) -> SupportSet:
        return SupportSet(whole.classes[:num_classes], negatives=whole.classes[3].images)

    extended = extend(tiny_backbone, make_base(tiny_backbone, with_negatives(2), "clip-lora", head="sum"), with_negatives(3))
    head = extended.adapter.head
    assert extended.adapter.manifest.head is not None
    assert head is not None
    assert (extended.adapter.manifest.head.has_negative, len(head.bias_C)) == (True, 4)


def test_another_backbone_is_refused(tiny_backbone: Backbone, whole: SupportSet, before: SupportSet) -> None:
    base = make_base(tiny_backbone, before, "frozen")
    other = replace(base, manifest=replace(base.manifest, backbone_sha256="0" * 64))
    with pytest.raises(BackboneMismatchError):
        NewHead(tiny_backbone, other, whole)
