import dataclasses
from collections.abc import Callable

import pytest
from PIL import Image

from vtt_core.adapter.adaptation import Adapted
from vtt_core.adapter.files import Adapter, adapter_to_files
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import AdapterFormatError, VerificationError
from vtt_core.training.finetune import Finetune


@pytest.fixture
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(index % 3, 40 + index) for index in range(6)]


def test_what_was_written_is_let_through(
    tiny_backbone: Backbone, trained: Finetune, adapter: Adapter, adapter_files: dict[str, bytes], images: list[Image.Image]
) -> None:
    verify(tiny_backbone, Adapted(adapter, {}, trained), adapter_files, images)


def test_an_adapter_that_answers_otherwise_is_not_let_through(
    tiny_backbone: Backbone, trained: Finetune, adapter: Adapter, images: list[Image.Image]
) -> None:
    other = dataclasses.replace(adapter, prototypes_CD=adapter.prototypes_CD.flip(0))
    with pytest.raises(VerificationError, match="bit-equal scores before and after strip, save and load, got differences"):
        verify(tiny_backbone, Adapted(adapter, {}, trained), adapter_to_files(other), images)


def test_a_damaged_file_is_not_let_through(
    tiny_backbone: Backbone, trained: Finetune, adapter: Adapter, adapter_files: dict[str, bytes], images: list[Image.Image]
) -> None:
    damaged = adapter_files | {"adapter.safetensors": adapter_files["adapter.safetensors"][:-1]}
    with pytest.raises(AdapterFormatError):
        verify(tiny_backbone, Adapted(adapter, {}, trained), damaged, images)
