"""What the real engine says of images that a model knows, and of others, over HTTP."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from app.cli.synthetic_images import PAINTERS, make_image
from app.infra.settings import Role
from tests.fixtures.http_api import Api, MakeApi
from tests.fixtures.noise_images import noise
from vtt_core.adapter.adaptation import Adaptation
from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.serving.engine import Engine, EngineSettings
from vtt_core.training.finetune import Finetune

WAY, SHOT = 3, 5
KNOWLEDGE = ("none_of_these", "familiarity", "negative_probability", "prediction_set", "coverage")


def encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def draw(label: str, number: int) -> bytes:
    return encode(make_image(label, random.Random(f"{label}/{number}")))


LABELS = tuple(PAINTERS)[:WAY]
OTHER_LABEL = tuple(PAINTERS)[WAY]
SUPPORT_SET = SupportSet(
    tuple(SupportClass(label, tuple(SupportImage(f"{n}.png", draw(label, n)) for n in range(SHOT))) for label in LABELS)
)
STRANGE = {"noise": encode(noise(side=(96, 96))), "black": encode(Image.new("RGB", (96, 96)))}


@dataclass(frozen=True)
class Learnt:
    """An adapter's files, and what was measured of it."""

    files: Mapping[str, bytes]
    metrics: Mapping[str, Any]

    @classmethod
    def by(cls, support_set: SupportSet, recipe: FinetuneRecipe) -> Learnt:
        adaptation = Adaptation(load_backbone("mini", device="cpu"), support_set, recipe, 1)
        assert list(adaptation.steps()) == []
        adapted = adaptation.finish()
        return cls(adapter_to_files(adapted.adapter), adapted.metrics)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return Learnt.by(SUPPORT_SET, make_recipe("frozen"))


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine("cpu", EngineSettings(), time.perf_counter)
    yield engine
    engine.close()


@pytest.fixture
def api(make_api: MakeApi, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(engine, "close", lambda: None)  # the engine outlives the application
    return make_api(role=Role.ALL, engine=engine)


def ask(api: Api, model_id: str, *images: bytes, **parameters: float) -> list[dict[str, Any]]:
    files = [("images", (f"{place}.png", image)) for place, image in enumerate(images)]
    answer = api.client.post(f"/v1/models/{model_id}/predict", params=parameters, files=files)
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def test_noise_and_a_black_image_are_none_of_these_and_an_image_of_a_class_is_not(api: Api, learnt: Learnt) -> None:
    model_id = api.publish(files=learnt.files, metrics=learnt.metrics)
    known, *strange = ask(api, model_id, draw(LABELS[1], 99), *STRANGE.values())
    assert (known["none_of_these"], known["label"], known["prediction_set"][0]) == (False, LABELS[1], LABELS[1])
    assert known["familiarity"] > 0
    for prediction in strange:
        assert prediction["none_of_these"]
        assert prediction["familiarity"] < 0
        assert prediction["label"] in LABELS  # the likeliest all the same


def test_a_set_promises_what_is_asked_for_or_what_it_can(api: Api, learnt: Learnt) -> None:
    model_id = api.publish(files=learnt.files)
    largest = WAY * SHOT / (WAY * SHOT + 1)
    sizes = []
    for coverage, promised in ((0.5, 0.5), (0.9, 0.9), (0.99, pytest.approx(largest))):
        [prediction] = ask(api, model_id, draw(LABELS[0], 98), coverage=coverage)
        assert prediction["coverage"] == promised
        sizes.append(len(prediction["prediction_set"]))
        assert prediction["prediction_set"] == list(prediction["probabilities"])[: sizes[-1]]
    assert sizes == sorted(sizes)


def test_the_threshold_of_a_model_moves_the_verdict(api: Api, learnt: Learnt) -> None:
    model_id = api.publish(files=learnt.files)
    images = [draw(OTHER_LABEL, number) for number in range(4)]
    margins = {}
    for share in (0.001, 0.05, 0.5):
        assert api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": share}).status_code == 200
        margins[share] = [prediction["familiarity"] for prediction in ask(api, model_id, *images)]
        asked = ask(api, model_id, *images, false_rejects=share)
        assert [prediction["familiarity"] for prediction in asked] == margins[share]
        assert all(prediction["none_of_these"] == (prediction["familiarity"] < 0) for prediction in asked)
    assert all(low > usual > high for low, usual, high in zip(*margins.values(), strict=True))
    # As many are refused as a threshold says: with the strictest more than with the most generous.
    refused = [sum(margin < 0 for margin in margins[share]) for share in margins]
    assert refused[0] < refused[-1]


@pytest.mark.slow
def test_a_negative_class_has_a_probability(api: Api) -> None:
    negatives = tuple(SupportImage(f"{number}.png", draw(OTHER_LABEL, number)) for number in range(SHOT))
    learnt = Learnt.by(SupportSet(SUPPORT_SET.classes, negatives), make_recipe("frozen"))
    model_id = api.publish(files=learnt.files)
    negative, known = ask(api, model_id, draw(OTHER_LABEL, 0), draw(LABELS[2], 0))
    assert negative["none_of_these"]
    assert negative["negative_probability"] > 0.5 > known["negative_probability"]
    assert set(negative["probabilities"]) == set(LABELS)
    assert sum(negative["probabilities"].values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_an_adapter_of_the_first_version_answers_with_nulls(api: Api) -> None:
    recipe = FinetuneRecipe.from_json({"iterations": 1, "num_views": 1, "rank": 2})
    finetune = Finetune(load_backbone("mini", device="cpu"), SUPPORT_SET, recipe, 1)
    files = adapter_to_files(strip(finetune))
    assert json.loads(files["manifest.json"])["format_version"] == 1
    model_id = api.publish(files=files)
    [prediction] = ask(api, model_id, draw(LABELS[0], 97), coverage=0.9, false_rejects=0.1)
    assert {name: prediction[name] for name in KNOWLEDGE} == dict.fromkeys(KNOWLEDGE)
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_a_model_of_one_image_a_class_promises_nothing(api: Api) -> None:
    once = SupportSet(tuple(SupportClass(known.label, known.images[:1]) for known in SUPPORT_SET.classes))
    learnt = Learnt.by(once, make_recipe("frozen"))
    model_id = api.publish(files=learnt.files, metrics=learnt.metrics)
    [prediction] = ask(api, model_id, draw(LABELS[0], 96))
    assert (prediction["prediction_set"], prediction["coverage"]) == (None, None)
    assert api.client.get(f"/v1/models/{model_id}").json()["metrics"]["expected_accuracy"] is None
