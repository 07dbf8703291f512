from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor

from tests.vtt_core.exports.conftest import EXPORTED_LABELS, MakeAdapter
from vtt_core.adapter.files import load_adapter, save_adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.errors import (
    AdapterFormatError,
    ExportExistsError,
    InputError,
    MissingExportPackageError,
    UnsupportedExportError,
    VerificationError,
)
from vtt_core.contract.exports import Agreement, ExportKind
from vtt_core.exports import export
from vtt_core.exports.export import check_agreement, check_packages, export_model


@pytest.fixture(scope="module")
def adapter_folder(make_adapter: MakeAdapter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the bundled backbone, on disk."""
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(make_adapter(load_backbone("mini")), folder)
    (folder / "metrics.json").write_text(json.dumps({"metrics": {"training_accuracy": 0.75, "advice": []}}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in ExportKind if kind is not ExportKind.WEB])
def test_every_kind_has_what_a_reader_must_know_beside_it(
    kind: ExportKind, adapter_folder: Path, draw_image: Callable[..., Image.Image], tmp_path: Path
) -> None:
    images = [draw_image(index, 0) for index in range(3)]
    seconds = itertools.count()
    report = export_model(adapter_folder, kind, tmp_path / "new" / "out", images=images, stopwatch=lambda: float(next(seconds)))
    assert report.load_seconds == 1
    out = tmp_path / "new" / "out"
    assert report.agreement.same_top1 == 1
    assert report.agreement.num_images == 3
    assert set(report.files) == {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()}
    assert {"README.md", "LICENSE-base.txt", "model.json", "manifest.json"} <= set(report.files)
    facts = json.loads((out / "model.json").read_text(encoding="utf-8"))
    assert facts["labels"] == list(EXPORTED_LABELS)
    assert facts["base"]["backbone_id"] == "mini"
    assert facts["base"]["licence"] == "Apache-2.0"
    assert len(facts["base"]["weights_sha256"]) == 64
    assert facts["metrics"]["training_accuracy"] == 0.75
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "75.0 %" in card
    assert "a photo of a sea ice." in card
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    assert json.loads(json.dumps(report.to_json()))["kind"] == kind.value


@pytest.mark.slow
def test_our_own_format_can_be_read_again(adapter_folder: Path, tmp_path: Path) -> None:
    export_model(adapter_folder, ExportKind.ADAPTER, tmp_path / "out")
    assert load_adapter(tmp_path / "out").manifest.tensors_sha256 == load_adapter(adapter_folder).manifest.tensors_sha256


def test_nothing_that_exists_is_overwritten(adapter_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(ExportExistsError, match="Choose another folder"):
        export_model(adapter_folder, ExportKind.ADAPTER, tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), [("link", "nothing yet"), ("n" * 256, "too long"), ("file/x", "Not a directory")])
def test_a_place_where_no_folder_can_be_made_is_refused_before_the_work(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=words):
        export_model(tmp_path / "no adapter", ExportKind.ADAPTER, tmp_path / name)


def test_a_full_disk_is_named_and_nothing_is_left(
    adapter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        Path("/dev/full").write_bytes(b"x")

    monkeypatch.setattr(export, "save_adapter", fail)
    with pytest.raises(OSError, match="No space left") as full:
        export_model(adapter_folder, ExportKind.ADAPTER, tmp_path / "out")
    assert full.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_longest_name_that_a_folder_can_have_is_taken(adapter_folder: Path, tmp_path: Path) -> None:
    export_model(adapter_folder, ExportKind.ADAPTER, tmp_path / ("n" * 255))
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_an_export_that_answers_otherwise_leaves_nothing(
    adapter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
        name = "visual.transformer.resblocks.3.attn.in_proj_weight"
        return save({**tensors, name: tensors[name] * 1.5}, metadata)

    monkeypatch.setattr("vtt_core.exports.open_clip_folder.save", damage)
    with pytest.raises(VerificationError, match="nothing was written"):
        export_model(adapter_folder, ExportKind.OPEN_CLIP, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("agreement", [Agreement(4, 0.002, 1.0), Agreement(4, float("nan"), 1.0), Agreement(4, 0.0001, 0.75)])
def test_too_large_a_difference_or_another_class_is_refused(agreement: Agreement) -> None:
    with pytest.raises(VerificationError):
        check_agreement(agreement)
    check_agreement(Agreement(4, 0.0009, 1.0))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else found(name))
    with pytest.raises(MissingExportPackageError, match=r"no peft\. Install the extra exports: .* '\.\[exports\]'"):
        check_packages(ExportKind.PEFT)
    check_packages(ExportKind.OPEN_CLIP)


def test_a_folder_without_adapter_is_refused_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError):
        export_model(tmp_path / "nothing", ExportKind.ADAPTER, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_the_backbone_s_id_rules_out_is_refused_before_it_is_loaded(make_adapter: MakeAdapter, tmp_path: Path) -> None:
    adapter = make_adapter(load_backbone("mini"))
    save_adapter(
        dataclasses.replace(adapter, manifest=dataclasses.replace(adapter.manifest, backbone_id="PE-Core-B-16/meta")), tmp_path
    )

    def load(backbone_id: str) -> Backbone:
        raise AssertionError(f"{backbone_id} was loaded")

    with pytest.raises(UnsupportedExportError, match="'PE-Core-B-16/meta': its vision tower is timm's"):
        export_model(tmp_path, ExportKind.PEFT, tmp_path / "out", backbone_of=load)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ExportKind)
def test_a_backbone_that_others_use_stays_as_it_is(kind: ExportKind, adapter_folder: Path, tmp_path: Path) -> None:
    shared = load_backbone("mini")
    before = [tensor.clone() for tensor in shared.clip.state_dict().values()]
    export_model(adapter_folder, kind, tmp_path / "out", backbone_of=lambda _: shared)
    after = shared.clip.state_dict().values()
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.slow
def test_a_refused_kind_leaves_nothing(make_adapter: MakeAdapter, tmp_path: Path) -> None:
    save_adapter(make_adapter(load_backbone("mini"), rank=0), tmp_path / "frozen")
    with pytest.raises(UnsupportedExportError):
        export_model(tmp_path / "frozen", ExportKind.PEFT, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["frozen"]
