import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from vtt_core.adapter import adapter_from_files, adapter_to_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.classify import classify
from vtt_core.contract.errors import AdapterFormatError, BackboneMismatchError, UnknownBackboneError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.finetune import Finetune
from vtt_core.serving.engine import Engine
from vtt_core.strip import strip

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(index % 3, 20 + index) for index in range(4)]


@pytest.fixture
def loads(tiny_backbone: Backbone, uneven_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ids lead to the tiny backbones, slowly; the list tells which were loaded."""
    known = {backbone.backbone_id: backbone for backbone in (tiny_backbone, uneven_backbone)}
    loaded: list[str] = []

    def load(backbone_id: str, *, device: str) -> Backbone:
        assert device == "cpu"
        loaded.append(backbone_id)
        time.sleep(0.05)
        return known[backbone_id]

    monkeypatch.setattr("vtt_core.serving.engine.load_backbone", load)
    return loaded


@pytest.fixture(scope="module")
def several(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet], make_recipe: Callable[..., FinetuneRecipe]
) -> dict[str, Files]:
    """Adapters with two, three and four classes, by model id."""
    files = {}
    for way in (2, 3, 4):
        finetune = Finetune(tiny_backbone, make_support_set(way=way), make_recipe(iterations=2), seed=way)
        for _ in finetune.steps():
            pass
        files[f"model-{way}"] = adapter_to_files(strip(finetune))
    return files


@pytest.mark.usefixtures("loads")
class TestAnswers:
    def test_they_equal_those_of_classify(
        self, tiny_backbone: Backbone, several: dict[str, Files], images: list[Image.Image]
    ) -> None:
        engine = Engine("cpu", capacity=4)
        for model_id, files in several.items():
            adapter = adapter_from_files(files)
            expected = classify(tiny_backbone, adapter, images).tolist()
            predictions = engine.predict(model_id, "tiny-3-3", lambda files=files: files, images)  # type: ignore[misc]
            assert len(predictions) == len(images)
            for prediction, row in zip(predictions, expected, strict=True):
                assert prediction.probabilities == dict(zip(adapter.manifest.labels, row, strict=True))

    def test_the_likeliest_label_comes_first(self, several: dict[str, Files], images: list[Image.Image]) -> None:
        for prediction in Engine("cpu", 1).predict("m", "tiny-3-3", lambda: several["model-4"], images):
            values = list(prediction.probabilities.values())
            assert values == sorted(values, reverse=True)
            assert sum(values) == pytest.approx(1)


class TestMemory:
    def test_one_backbone_serves_several_adapters_from_several_threads(
        self, loads: list[str], tiny_backbone: Backbone, several: dict[str, Files], images: list[Image.Image]
    ) -> None:
        engine = Engine("cpu", capacity=2)
        expected = {
            model_id: classify(tiny_backbone, adapter_from_files(files), images).max(dim=-1).values
            for model_id, files in several.items()
        }

        def ask(model_id: str) -> tuple[str, torch.Tensor]:
            predictions = engine.predict(model_id, "tiny-3-3", lambda: several[model_id], images)
            return model_id, torch.tensor([max(prediction.probabilities.values()) for prediction in predictions])

        with ThreadPoolExecutor(8) as pool:
            for model_id, likeliest_B in pool.map(ask, list(several) * 8):
                assert torch.equal(likeliest_B, expected[model_id])
        assert loads == ["tiny-3-3"]
        assert len(engine.resident()) == 2

    def test_an_adapter_is_read_once_until_it_is_evicted(
        self, loads: list[str], several: dict[str, Files], images: list[Image.Image]
    ) -> None:
        engine, reads = Engine("cpu", capacity=2), []

        def read() -> Files:
            reads.append(1)
            return several["model-2"]

        for _ in range(3):
            engine.predict("model-2", "tiny-3-3", read, images)
        assert (len(reads), engine.resident()) == (1, ["model-2"])
        engine.evict("model-2")
        assert engine.resident() == []
        engine.predict("model-2", "tiny-3-3", read, images)
        assert len(reads) == 2
        assert loads == ["tiny-3-3"]

    def test_warming_loads_and_hashes_the_backbone_once(self, loads: list[str], tiny_backbone: Backbone) -> None:
        engine = Engine("cpu", capacity=1)
        vars(tiny_backbone).pop("weight_sha256", None)
        engine.warm("tiny-3-3")
        engine.warm("tiny-3-3")
        assert loads == ["tiny-3-3"]
        assert "weight_sha256" in vars(tiny_backbone)


class TestRefused:
    @pytest.mark.usefixtures("loads")
    def test_an_adapter_asked_for_on_another_backbone(self, several: dict[str, Files], images: list[Image.Image]) -> None:
        with pytest.raises(BackboneMismatchError):
            Engine("cpu", 1).predict("m", "tiny-4-2", lambda: several["model-2"], images)

    @pytest.mark.usefixtures("loads")
    def test_files_that_are_no_adapter(self, images: list[Image.Image]) -> None:
        engine = Engine("cpu", 1)
        with pytest.raises(AdapterFormatError):
            engine.predict("m", "tiny-3-3", dict, images)
        assert engine.resident() == []

    def test_a_backbone_that_nobody_knows(self, images: list[Image.Image]) -> None:
        with pytest.raises(UnknownBackboneError):
            Engine("cpu", 1).predict("m", "tiny-3-3", dict, images)
