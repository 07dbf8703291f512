import copy
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from PIL import Image

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import hidden_below_alpha
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.errors import AdapterFormatError, BackboneMismatchError, ImageError, UnknownBackboneError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.serving.batcher import Batching
from vtt_core.serving.engine import Engine, EngineSettings
from vtt_core.serving.mixed_reader import BatchItem, MixedReader
from vtt_core.serving.served import make_served
from vtt_core.training.finetune import Finetune

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(index % 3, 20 + index) for index in range(4)]


@pytest.fixture(scope="module")
def pixels(images: list[Image.Image], tiny_backbone: Backbone) -> list[torch.Tensor]:
    return list(preprocess(images, tiny_backbone.preprocessing))


@pytest.fixture
def make_engine() -> Iterator[Callable[..., Engine]]:
    """Make engines that are closed in the end."""
    engines: list[Engine] = []

    def make(**settings: Any) -> Engine:
        engines.append(Engine("cpu", EngineSettings(**settings), time.perf_counter))
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()


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
        self,
        make_engine: Callable[..., Engine],
        tiny_backbone: Backbone,
        several: dict[str, Files],
        images: list[Image.Image],
        pixels: list[torch.Tensor],
    ) -> None:
        engine = make_engine()
        for model_id, files in several.items():
            adapter = adapter_from_files(files)
            expected_BC = classify(tiny_backbone, adapter, images)
            predictions = engine.predict(model_id, "tiny-3-3", lambda files=files: files, pixels)  # type: ignore[misc]
            for prediction, expected_C in zip(predictions, expected_BC, strict=True):
                got = torch.tensor([prediction.probabilities[label] for label in adapter.manifest.labels])
                torch.testing.assert_close(got, expected_C, rtol=1e-5, atol=1e-6)

    def test_the_likeliest_label_comes_first(
        self, make_engine: Callable[..., Engine], several: dict[str, Files], pixels: list[torch.Tensor]
    ) -> None:
        for prediction in make_engine().predict("m", "tiny-3-3", lambda: several["model-4"], pixels):
            values = list(prediction.probabilities.values())
            assert values == sorted(values, reverse=True)
            assert sum(values) == pytest.approx(1)

    def test_images_of_different_adapters_share_a_batch(
        self, make_engine: Callable[..., Engine], several: dict[str, Files], pixels: list[torch.Tensor]
    ) -> None:
        engine = make_engine(batching=Batching(max_items=12, wait_seconds=60))

        def ask(model_id: str) -> int:
            return len(engine.predict(model_id, "tiny-3-3", lambda: several[model_id], pixels)[0].probabilities)

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(ask, several)) == [2, 3, 4]
        assert (engine.batch_counts.batches, engine.batch_counts.images) == (1, 12)
        assert engine.batch_counts.seconds > 0
        assert engine.batch_counts.sizes == {12: 1}


class TestMixedBatch:
    @pytest.mark.slow
    @pytest.mark.parametrize("precision", ["float32", "float16"])
    def test_it_equals_merged_inference_one_image_at_a_time(
        self, tiny_backbone: Backbone, several: dict[str, Files], pixels: list[torch.Tensor], precision: str
    ) -> None:
        adapters = [adapter_from_files(files) for files in several.values()]
        for adapter in adapters:
            torch.nn.init.normal_(adapter.lora.lora_B, std=0.05)
        served = [make_served(adapter, torch.device("cpu"), precision) for adapter in adapters]  # type: ignore[arg-type]
        items = [BatchItem(image, adapter) for image in pixels for adapter in served]
        for item, answer in zip(items, MixedReader(tiny_backbone).answer(items), strict=True):
            merged = copy.deepcopy(tiny_backbone.clip)
            with torch.no_grad():
                for index, block in enumerate(merged.visual.transformer.resblocks):
                    A_PRW, B_PWR = item.adapter.A_LPRW[index].float(), item.adapter.B_LPWR[index].float()
                    block.attn.in_proj_weight += (B_PWR @ A_PRW).flatten(0, 1)
                feature_D = torch.nn.functional.normalize(merged.encode_image(item.pixels_3HW[None])[0], dim=-1)
                expected_C = (item.adapter.rows_OX @ feature_D).softmax(dim=-1)
            answered = [answer.probabilities[label] for label in item.adapter.answering.labels]
            torch.testing.assert_close(torch.tensor(answered), expected_C, rtol=1e-5, atol=1e-5)

    def test_half_precision_halves_the_memory(self, several: dict[str, Files]) -> None:
        adapter = adapter_from_files(several["model-2"])
        single, half = (make_served(adapter, torch.device("cpu"), precision) for precision in ("float32", "float16"))
        head_bytes = single.rows_OX.nbytes + single.bias_O.nbytes
        assert half.size_bytes - head_bytes == (single.size_bytes - head_bytes) / 2


class TestImages:
    @pytest.mark.usefixtures("loads")
    def test_each_is_read_as_its_backbone_wants_it_or_refused(
        self, make_engine: Callable[..., Engine], images: list[Image.Image], pixels: list[torch.Tensor]
    ) -> None:
        def encode(image: Image.Image) -> bytes:
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            return buffer.getvalue()

        readers = [lambda image=image: encode(image) for image in images]
        read = make_engine().read_images("tiny-3-3", [*readers[:2], lambda: b"no image", *readers[2:]])
        assert isinstance(read.pop(2), ImageError)
        assert all(
            isinstance(got, torch.Tensor) and torch.equal(got, expected) for got, expected in zip(read, pixels, strict=True)
        )

    @pytest.mark.usefixtures("loads")
    def test_what_a_transparent_part_hides_does_not_count(self, make_engine: Callable[..., Engine]) -> None:
        hidden = [encode(hidden_below_alpha(fill), "PNG") for fill in (0, 255)]
        dark, bright = make_engine().read_images("tiny-3-3", [lambda: hidden[0], lambda: hidden[1]])
        assert isinstance(dark, torch.Tensor)
        assert isinstance(bright, torch.Tensor)
        assert torch.equal(dark, bright)


class TestMemory:
    def test_one_backbone_serves_several_adapters_from_several_threads(
        self,
        make_engine: Callable[..., Engine],
        loads: list[str],
        tiny_backbone: Backbone,
        several: dict[str, Files],
        images: list[Image.Image],
        pixels: list[torch.Tensor],
    ) -> None:
        engine = make_engine(capacity_bytes=40_000)
        expected = {
            model_id: classify(tiny_backbone, adapter_from_files(files), images).max(dim=-1).values
            for model_id, files in several.items()
        }

        def ask(model_id: str) -> tuple[str, torch.Tensor]:
            predictions = engine.predict(model_id, "tiny-3-3", lambda: several[model_id], pixels)
            return model_id, torch.tensor([max(prediction.probabilities.values()) for prediction in predictions])

        with ThreadPoolExecutor(8) as pool:
            for model_id, likeliest_B in pool.map(ask, list(several) * 8):
                torch.testing.assert_close(likeliest_B, expected[model_id], rtol=1e-5, atol=1e-6)
        assert loads == ["tiny-3-3"]
        assert sum(adapter.size_bytes for adapter in engine.resident()) <= 40_000

    def test_an_adapter_is_read_once_until_it_is_evicted(
        self,
        make_engine: Callable[..., Engine],
        loads: list[str],
        several: dict[str, Files],
        pixels: list[torch.Tensor],
    ) -> None:
        engine, reads = make_engine(), []

        def read() -> Files:
            reads.append(1)
            return several["model-2"]

        for _ in range(3):
            engine.predict("model-2", "tiny-3-3", read, pixels)
        assert (len(reads), [adapter.model_id for adapter in engine.resident()]) == (1, ["model-2"])
        assert (engine.adapter_counts.loads, engine.adapter_counts.hits) == (1, 2)
        engine.evict("model-2")
        assert engine.resident() == []
        engine.predict("model-2", "tiny-3-3", read, pixels)
        assert len(reads) == 2
        assert loads == ["tiny-3-3"]

    def test_warming_loads_and_hashes_the_backbone_once(
        self, make_engine: Callable[..., Engine], loads: list[str], tiny_backbone: Backbone
    ) -> None:
        engine = make_engine()
        vars(tiny_backbone).pop("weight_sha256", None)
        assert engine.warm("tiny-3-3") > 0
        engine.warm("tiny-3-3")
        assert loads == ["tiny-3-3"]
        assert "weight_sha256" in vars(tiny_backbone)


class TestRefused:
    @pytest.mark.usefixtures("loads")
    def test_an_adapter_asked_for_on_another_backbone(
        self, make_engine: Callable[..., Engine], several: dict[str, Files], pixels: list[torch.Tensor]
    ) -> None:
        with pytest.raises(BackboneMismatchError):
            make_engine().predict("m", "tiny-4-2", lambda: several["model-2"], pixels)

    @pytest.mark.usefixtures("loads")
    def test_files_that_are_no_adapter(self, make_engine: Callable[..., Engine], pixels: list[torch.Tensor]) -> None:
        engine = make_engine()
        with pytest.raises(AdapterFormatError):
            engine.predict("m", "tiny-3-3", dict, pixels)
        assert engine.resident() == []

    def test_a_backbone_that_nobody_knows(self, make_engine: Callable[..., Engine], pixels: list[torch.Tensor]) -> None:
        with pytest.raises(UnknownBackboneError):
            make_engine().predict("m", "tiny-3-3", dict, pixels)
