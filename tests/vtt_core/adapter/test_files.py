import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from vtt_core.adapter.files import (
    MANIFEST_FILE,
    TENSORS_FILE,
    Adapter,
    adapter_from_files,
    adapter_to_files,
    load_adapter,
    save_adapter,
)
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import AdapterFormatError, BackboneMismatchError

DAMAGE = settings(deadline=None, derandomize=True, max_examples=60)


def with_tensors(files: dict[str, bytes], tensors: dict[str, Tensor]) -> dict[str, bytes]:
    """Return the files with other tensors, whose hash the manifest states."""
    encoded = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    manifest = json.loads(files[MANIFEST_FILE]) | {"tensors_sha256": hashlib.sha256(encoded).hexdigest()}
    return {MANIFEST_FILE: json.dumps(manifest).encode(), TENSORS_FILE: encoded}


def with_manifest(files: dict[str, bytes], **changes: Any) -> dict[str, bytes]:
    return files | {MANIFEST_FILE: json.dumps(json.loads(files[MANIFEST_FILE]) | changes).encode()}


class TestSaveAndLoad:
    def test_writing_reading_and_writing_gives_equal_bytes(self, adapter_files: dict[str, bytes]) -> None:
        assert adapter_to_files(adapter_from_files(adapter_files)) == adapter_files

    def test_so_it_does_through_a_folder(self, adapter: Adapter, adapter_files: dict[str, bytes], tmp_path: Path) -> None:
        save_adapter(adapter, tmp_path / "new" / "folder")
        save_adapter(load_adapter(tmp_path / "new" / "folder"), tmp_path / "again")
        written = {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
        assert written == adapter_files

    def test_what_comes_back_is_what_was_written(self, adapter: Adapter, adapter_files: dict[str, bytes]) -> None:
        read = adapter_from_files(adapter_files)
        assert dataclasses.replace(read.manifest, tensors_sha256=adapter.manifest.tensors_sha256) == adapter.manifest
        assert torch.equal(read.prototypes_CD, adapter.prototypes_CD)
        assert read.lora.state_dict().keys() == adapter.lora.state_dict().keys()
        assert all(torch.equal(read.lora.state_dict()[name], value) for name, value in adapter.lora.state_dict().items())
        assert read.lora.scaling == adapter.lora.scaling
        assert not any(parameter.requires_grad for parameter in read.lora.parameters())

    def test_there_are_two_files_without_pickle(self, adapter_files: dict[str, bytes]) -> None:
        assert set(adapter_files) == {"manifest.json", "adapter.safetensors"}
        assert json.loads(adapter_files[MANIFEST_FILE])["format_version"] == 1
        assert "prototypes" in load(adapter_files[TENSORS_FILE])

    def test_labels_of_any_script_stay_readable(self, adapter: Adapter) -> None:
        labels = ("forêt", "日本", "sea ice")
        manifest = dataclasses.replace(adapter.manifest, labels=labels)
        files = adapter_to_files(dataclasses.replace(adapter, manifest=manifest))
        assert "日本".encode() in files[MANIFEST_FILE]
        assert adapter_from_files(files).manifest.labels == labels


class TestVisualPrompts:
    def test_an_adapter_of_another_host_has_none(self, adapter_files: dict[str, bytes]) -> None:
        tensors = load(adapter_files[TENSORS_FILE]) | {"visual_prompts": torch.zeros(2, 2, 64)}
        with pytest.raises(AdapterFormatError, match="visual prompts of three dimensions where the host is 'maple'"):
            adapter_from_files(with_tensors(adapter_files, tensors))

    def test_one_of_another_width_is_refused(self, adapter: Adapter, tiny_backbone: Backbone) -> None:
        with pytest.raises(AdapterFormatError, match="visual prompts of width 64"):
            replace(adapter, prompts_JPW=torch.zeros(2, 2, 32)).check_backbone(tiny_backbone)


class TestBackbone:
    def test_its_own_is_accepted(self, adapter: Adapter, tiny_backbone: Backbone) -> None:
        adapter.check_backbone(tiny_backbone)

    def test_other_weights_under_the_same_name_are_refused(
        self, adapter: Adapter, make_backbone: Callable[..., Backbone]
    ) -> None:
        other = make_backbone(seed=1)
        assert other.backbone_id == adapter.manifest.backbone_id
        with pytest.raises(BackboneMismatchError, match=f"got 'tiny-3-3' with weights {other.weight_sha256[:12]}"):
            adapter.check_backbone(other)

    def test_tensors_that_do_not_fit_the_backbone_that_the_manifest_names_are_refused(
        self, adapter: Adapter, uneven_backbone: Backbone
    ) -> None:
        claimed = replace(
            adapter.manifest, backbone_id=uneven_backbone.backbone_id, backbone_sha256=uneven_backbone.weight_sha256
        )
        with pytest.raises(AdapterFormatError, match="layers, width, joint size"):
            replace(adapter, manifest=claimed).check_backbone(uneven_backbone)

    def test_another_backbone_is_refused_with_both_names(self, adapter: Adapter, uneven_backbone: Backbone) -> None:
        with pytest.raises(BackboneMismatchError, match="expected backbone 'tiny-3-3' .*, got 'tiny-4-2'"):
            adapter.check_backbone(uneven_backbone)


class TestDamagedFiles:
    @pytest.mark.parametrize("name", [MANIFEST_FILE, TENSORS_FILE])
    def test_a_missing_file_is_named(self, adapter_files: dict[str, bytes], name: str) -> None:
        with pytest.raises(AdapterFormatError, match=f"the file '{name}'"):
            adapter_from_files({other: content for other, content in adapter_files.items() if other != name})

    def test_so_it_is_in_a_folder(self, tmp_path: Path) -> None:
        for folder in (tmp_path, tmp_path / "absent"):
            with pytest.raises(AdapterFormatError, match=re.escape(str(folder))):
                load_adapter(folder)

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"9" * 5000, b"[" * 100_000, b"NaN"])
    def test_a_manifest_that_is_no_json_object_is_refused(self, adapter_files: dict[str, bytes], content: bytes) -> None:
        with pytest.raises(AdapterFormatError):
            adapter_from_files(adapter_files | {MANIFEST_FILE: content})

    @DAMAGE
    @given(data=st.data())
    def test_any_changed_byte_of_the_tensors_is_refused(self, adapter_files: dict[str, bytes], data: st.DataObject) -> None:
        damaged = bytearray(adapter_files[TENSORS_FILE])
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(AdapterFormatError, match="damaged or exchanged"):
            adapter_from_files(adapter_files | {TENSORS_FILE: bytes(damaged)})

    @DAMAGE
    @given(data=st.data())
    def test_tensors_that_end_early_are_refused(self, adapter_files: dict[str, bytes], data: st.DataObject) -> None:
        whole = adapter_files[TENSORS_FILE]
        with pytest.raises(AdapterFormatError):
            adapter_from_files(adapter_files | {TENSORS_FILE: whole[: data.draw(st.integers(0, len(whole) - 1))]})

    @pytest.mark.slow
    @settings(deadline=None, derandomize=True, max_examples=300)
    @given(data=st.data())
    def test_a_changed_byte_of_the_manifest_is_read_or_refused_and_nothing_else(
        self, adapter_files: dict[str, bytes], data: st.DataObject
    ) -> None:
        damaged = bytearray(adapter_files[MANIFEST_FILE])
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        try:
            adapter_from_files(adapter_files | {MANIFEST_FILE: bytes(damaged)})
        except AdapterFormatError:
            return

    def test_tensors_of_another_adapter_are_refused(self, adapter: Adapter, adapter_files: dict[str, bytes]) -> None:
        other = adapter_to_files(dataclasses.replace(adapter, prototypes_CD=adapter.prototypes_CD.flip(0)))
        with pytest.raises(AdapterFormatError, match="a file was damaged or exchanged"):
            adapter_from_files(adapter_files | {TENSORS_FILE: other[TENSORS_FILE]})


class TestForgedFiles:
    """The hash is right, what it covers is not."""

    def test_what_is_no_safetensors_file_is_refused(self, adapter_files: dict[str, bytes]) -> None:
        files = with_manifest(adapter_files, tensors_sha256=hashlib.sha256(b"pickle").hexdigest())
        with pytest.raises(AdapterFormatError, match="SafetensorError"):
            adapter_from_files(files | {TENSORS_FILE: b"pickle"})

    @pytest.mark.parametrize(
        ("name", "tensor"),
        [
            ("prototypes", None),
            ("prototypes", torch.zeros(2, 64)),
            ("prototypes", torch.zeros(3)),
            ("vision.layers.0.q_proj.lora_A", None),
            ("vision.layers.0.q_proj.lora_A", torch.zeros(5, 64)),
            ("vision.layers.0.q_proj.lora_A", torch.zeros(4)),
            ("vision.layers.0.q_proj.lora_A", torch.zeros(4, 32)),
            ("vision.layers.1.v_proj.lora_B", None),
            ("vision.layers.1.v_proj.lora_B", torch.zeros(64, 5)),
            ("vision.layers.2.q_proj.lora_A", None),
            ("vision.layers.9.q_proj.lora_A", torch.zeros(4, 64)),
            ("fusion.pos_embed", torch.zeros(7, 64)),
        ],
    )
    def test_missing_misshapen_and_surplus_tensors_are_refused(
        self, adapter_files: dict[str, bytes], name: str, tensor: Tensor | None
    ) -> None:
        tensors = load(adapter_files[TENSORS_FILE])
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
        with pytest.raises(AdapterFormatError):
            adapter_from_files(with_tensors(adapter_files, tensors))

    @pytest.mark.parametrize("change", [{"rank": 0}, {"rank": 5}, {"alpha": "8"}, {"speed": 1}])
    def test_a_recipe_that_cannot_have_been_run_is_refused(
        self, adapter_files: dict[str, bytes], change: dict[str, object]
    ) -> None:
        recipe = json.loads(adapter_files[MANIFEST_FILE])["recipe"] | change
        with pytest.raises(AdapterFormatError):
            adapter_from_files(with_manifest(adapter_files, recipe=recipe))

    def test_more_labels_than_prototypes_are_refused(self, adapter_files: dict[str, bytes]) -> None:
        labels = ["a", "b", "c", "d"]
        with pytest.raises(AdapterFormatError, match="one prototype for each of 4 classes"):
            adapter_from_files(with_manifest(adapter_files, labels=labels, prompts=labels))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_of_another_precision_are_read_in_float32(adapter: Adapter, dtype: torch.dtype) -> None:
    files = adapter_to_files(adapter)
    read = adapter_from_files(with_tensors(files, {name: value.to(dtype) for name, value in load(files[TENSORS_FILE]).items()}))
    assert {tensor.dtype for tensor in (read.prototypes_CD, *read.lora.parameters())} == {torch.float32}
    torch.testing.assert_close(read.prototypes_CD, adapter.prototypes_CD, rtol=1e-2, atol=1e-2)
