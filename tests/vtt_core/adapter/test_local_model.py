from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vtt_core
from tests.fixtures.band_images import WISH, band_tiff, plain_image
from vtt_core.adapter.classify import classify
from vtt_core.adapter.files import save_adapter
from vtt_core.adapter.local_model import LocalModel
from vtt_core.adapter.strip import frozen_adapter, with_bands
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import AdapterFormatError, NotAnImageError
from vtt_core.contract.recipe import make_recipe
from vtt_core.ingest.band_images import own_bands

LABELS = ("river", "forest", "sea ice")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("adapter")
    save_adapter(frozen_adapter(load_backbone("mini"), LABELS, make_recipe("frozen", backbone_id="mini"), 0), written)
    return written


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return vtt_core.load(folder)


@pytest.mark.slow
def test_pictures_bytes_and_paths_give_the_same_answer(
    model: LocalModel, draw_image: Callable[..., Image.Image], tmp_path: Path
) -> None:
    image, encoded = draw_image(1), BytesIO()
    image.save(encoded, "PNG")
    (tmp_path / "image.png").write_bytes(encoded.getvalue())
    path = tmp_path / "image.png"
    probabilities = model.predict_proba([image, encoded.getvalue(), str(path), path])
    assert np.ptp(probabilities, axis=0).max() < 1e-6
    assert model.predict([path]) == [model.classes_[probabilities[0].argmax()]]


@pytest.mark.slow
def test_files_of_many_bands_are_read_in_those_of_the_adapter(tmp_path: Path) -> None:
    adapter = frozen_adapter(load_backbone("mini"), LABELS, make_recipe("frozen", backbone_id="mini"), 0)
    encoded = band_tiff("stripes", 0)
    save_adapter(with_bands(adapter, own_bands(encoded, WISH)), tmp_path)
    of_bands, of_colours = vtt_core.load(tmp_path).predict_proba([encoded, plain_image("stripes", 0)])
    assert of_bands == pytest.approx(of_colours, abs=1e-6)


@pytest.mark.slow
def test_it_answers_as_the_adapter_that_it_was_made_from(model: LocalModel, draw_image: Callable[..., Image.Image]) -> None:
    images = [draw_image(index % 4, index) for index in range(70)]  # more than go through the tower at once
    ours = classify(model._backbone, model._adapter, images).numpy()
    assert np.abs(model.predict_proba(iter(images)) - ours).max() < 1e-6
    assert model.classes_ == list(LABELS)
    assert np.linalg.norm(model.transform(images[:2]), axis=1) == pytest.approx(1, abs=1e-5)
    assert [max(answer.probabilities, key=answer.probabilities.__getitem__) for answer in model.answer(images[:3])] == (
        model.predict(images[:3])
    )


@pytest.mark.slow
def test_no_image_gives_no_answer_and_one_that_is_in_no_list_is_explained(model: LocalModel) -> None:
    assert model.predict([]) == []
    assert model.predict_proba([]).shape == (0, 3)
    with pytest.raises(NotAnImageError, match=r"got one str\. Put it into a list"):
        model.predict("image.png")
    with pytest.raises(NotAnImageError, match="Check the path"):
        model.predict(["nowhere.png"])


def test_a_folder_without_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError):
        vtt_core.load(tmp_path)
