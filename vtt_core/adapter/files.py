"""The stripped adapter: two files, a manifest in JSON and tensors in safetensors; no pickle.

Shapes: C classes, D joint size, X input of a head, M class means, F size of all levels; deep prompts: J blocks, P tokens,
    W vision width.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.adapter_folder import check_adapter_folder
from vtt_core.contract.errors import AdapterFormatError, BackboneMismatchError, RecipeError
from vtt_core.contract.manifest import AdapterManifest
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.heads.linear_head import LinearHead
from vtt_core.lora.layers import TowerLora

MANIFEST_FILE = "manifest.json"
TENSORS_FILE = "adapter.safetensors"
PROTOTYPES = "prototypes"
VISUAL_PROMPTS = "visual_prompts"
HEAD_WEIGHT, HEAD_BIAS, CLASS_MEANS = "head.weight", "head.bias", "head.class_means"
STRANGER_WEIGHT, STRANGER_BIAS = "strangers.weight", "strangers.bias"
LORA_PREFIX = "vision."
READABLE_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
UNWRITTEN = ""
"""Hash of the tensors of an adapter that has no files yet."""


@dataclass(frozen=True)
class Adapter:
    """LoRA weights, class prototypes and the manifest; usable with its backbone only."""

    manifest: AdapterManifest
    """Its hash of the tensors is that of the file that was read; `UNWRITTEN` where there is none yet."""
    lora: TowerLora
    """Low-rank layers of the vision tower; of rank 0 where the host has none."""
    prototypes_CD: Tensor
    """Unit text feature of every class."""
    logit_scale: float
    """Factor on the cosines of image features and prototypes."""
    prompts_JPW: Tensor | None = None
    """Tokens that the vision tower's first blocks read beside an image, where the host has them."""
    head: LinearHead | None = None
    """What classifies; None where the prototypes do. Its last row may be the negative class."""
    class_means_MF: Tensor | None = None
    """What familiarity is measured against, where it was learnt."""
    strangers: LinearHead | None = None
    """A row on the levels that tells generated images, where it was learnt."""

    def check_backbone(self, backbone: Backbone) -> None:
        """Refuse a backbone that the adapter was not trained on.

        Raises:
            BackboneMismatchError: name or weights differ.
            AdapterFormatError: its tensors do not fit the backbone that its manifest names.
        """
        if (self.manifest.backbone_id, self.manifest.backbone_sha256) != (backbone.backbone_id, backbone.weight_sha256):
            raise BackboneMismatchError(
                expected=f"backbone {self.manifest.backbone_id!r} with weights {self.manifest.backbone_sha256[:12]}",
                got=f"{backbone.backbone_id!r} with weights {backbone.weight_sha256[:12]}",
                remedy="Load the backbone that the manifest names, or train an adapter for this one",
            )
        tower = backbone.vision_tower
        expected = (tower.num_layers, tower.width, backbone.joint_size)
        got = (self.lora.num_layers, self.lora.width, self.prototypes_CD.shape[1])
        if got != expected:
            raise _unreadable("(layers, width, joint size) " + repr(expected), repr(got))
        if self.prompts_JPW is not None and self.prompts_JPW.shape[2] != tower.width:
            raise _unreadable(f"visual prompts of width {tower.width}", repr(self.prompts_JPW.shape[2]))
        levels = tower.num_level_vectors * tower.width
        if self.head is not None and self.head.weight_CX.shape[1] != levels + backbone.joint_size:
            raise _unreadable(f"a head of {levels + backbone.joint_size} inputs", repr(self.head.weight_CX.shape[1]))
        for on_levels in (self.class_means_MF, None if self.strangers is None else self.strangers.weight_CX):
            if on_levels is not None and on_levels.shape[1] != levels:
                raise _unreadable(f"class means and a row for strangers of size {levels}", repr(on_levels.shape[1]))


def adapter_to_files(adapter: Adapter) -> dict[str, bytes]:
    """Return the two files by name, the hash of the tensors in the manifest; the same adapter always gives the same bytes."""
    tensors = _encode_tensors(adapter)
    manifest = replace(adapter.manifest, tensors_sha256=hashlib.sha256(tensors).hexdigest())
    encoded = json.dumps(manifest.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    return {MANIFEST_FILE: (encoded + "\n").encode(), TENSORS_FILE: tensors}


def _encode_tensors(adapter: Adapter) -> bytes:
    tensors = {LORA_PREFIX + name: tensor for name, tensor in adapter.lora.matrices().items()}
    tensors[PROTOTYPES] = adapter.prototypes_CD
    if adapter.prompts_JPW is not None:
        tensors[VISUAL_PROMPTS] = adapter.prompts_JPW
    if adapter.head is not None:
        tensors |= {HEAD_WEIGHT: adapter.head.weight_CX, HEAD_BIAS: adapter.head.bias_C}
    if adapter.class_means_MF is not None:
        tensors[CLASS_MEANS] = adapter.class_means_MF
    if adapter.strangers is not None:
        tensors |= {STRANGER_WEIGHT: adapter.strangers.weight_CX, STRANGER_BIAS: adapter.strangers.bias_C}
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def adapter_from_files(files: Mapping[str, bytes]) -> Adapter:
    """Read an adapter from untrusted files.

    Args:
        files: content by name.

    Raises:
        AdapterFormatError: a file is missing or damaged, or the two do not belong together.
    """
    for name in (MANIFEST_FILE, TENSORS_FILE):
        if name not in files:
            raise _unreadable(f"the file {name!r}", f"only {sorted(files)}")
    try:
        values = json.loads(files[MANIFEST_FILE])
    except (ValueError, RecursionError) as error:
        raise _unreadable("a manifest in JSON", f"{type(error).__name__}: {error}") from error
    manifest = AdapterManifest.from_json(values)
    if hashlib.sha256(files[TENSORS_FILE]).hexdigest() != manifest.tensors_sha256:
        raise _unreadable("tensors with the hash that the manifest states", "others: a file was damaged or exchanged")
    try:
        tensors = load(files[TENSORS_FILE])
        recipe = FinetuneRecipe.from_json(manifest.recipe)
    except (SafetensorError, RecipeError, KeyError) as error:  # KeyError: a type of numbers that torch has not
        raise _unreadable("a safetensors file and a known recipe", f"{type(error).__name__}: {error}") from error
    return _assemble(manifest, recipe, tensors)


def save_adapter(adapter: Adapter, folder: Path) -> None:
    """Write the two files, making the folder where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in adapter_to_files(adapter).items():
        (folder / name).write_bytes(content)


def load_adapter(folder: Path) -> Adapter:
    """Read the two files of a folder.

    Raises:
        AdapterFormatError: it has not both files; see also `adapter_from_files`.
    """
    names = (MANIFEST_FILE, TENSORS_FILE)
    check_adapter_folder(folder, names)
    return adapter_from_files({name: (folder / name).read_bytes() for name in names})


def _assemble(manifest: AdapterManifest, recipe: FinetuneRecipe, tensors: dict[str, Tensor]) -> Adapter:
    if not all(tensor.dtype in READABLE_TYPES and bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise _unreadable("tensors of finite floating-point numbers", "others")
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    prototypes_CD = tensors.pop(PROTOTYPES, None)
    if prototypes_CD is None or prototypes_CD.ndim != 2 or len(prototypes_CD) != len(manifest.labels):
        raise _unreadable(f"one prototype for each of {len(manifest.labels)} classes", "none, or another number")
    prompts_JPW = tensors.pop(VISUAL_PROMPTS, None)
    if (prompts_JPW is not None) != (recipe.host == "maple") or (prompts_JPW is not None and prompts_JPW.ndim != 3):
        raise _unreadable("visual prompts of three dimensions where the host is 'maple', and none elsewhere", "another")
    head, class_means_MF = _take_head(manifest, tensors)
    strangers = _take_strangers(tensors)
    rank = vision_rank(recipe)
    first = tensors.get(f"{LORA_PREFIX}layers.0.q_proj.lora_A")
    if first is None or first.ndim != 2 or first.shape[0] != rank:
        raise _unreadable(f"LoRA tensors of rank {rank}", "none, or another rank")
    queries = [tensor for name, tensor in tensors.items() if name.endswith(".q_proj.lora_A")]
    if any(tensor.shape != first.shape for tensor in queries):  # else room would be made for layers that have no tensors
        raise _unreadable("LoRA tensors of one shape", "others")
    num_layers = len(queries)
    lora = TowerLora(num_layers, first.shape[1], rank, recipe.scaling).requires_grad_(False)
    try:
        lora.load_matrices({name.removeprefix(LORA_PREFIX): tensor for name, tensor in tensors.items()})
    except ValueError as error:
        raise _unreadable(f"LoRA tensors of {num_layers} layers", str(error)[:300]) from error
    return Adapter(manifest, lora.eval(), prototypes_CD, recipe.logit_scale, prompts_JPW, head, class_means_MF, strangers)


def _take_strangers(tensors: dict[str, Tensor]) -> LinearHead | None:
    weight_1F, bias_1 = tensors.pop(STRANGER_WEIGHT, None), tensors.pop(STRANGER_BIAS, None)
    if weight_1F is None and bias_1 is None:
        return None
    if weight_1F is None or bias_1 is None or weight_1F.ndim != 2 or len(weight_1F) != 1 or bias_1.shape != (1,):
        raise _unreadable("one row for strangers, with its bias", "another")
    return LinearHead(weight_1F, bias_1)


def _take_head(manifest: AdapterManifest, tensors: dict[str, Tensor]) -> tuple[LinearHead | None, Tensor | None]:
    """Take the head's tensors out of the others, and check that they fit the manifest."""
    weight_CX, bias_C, means_MF = (tensors.pop(name, None) for name in (HEAD_WEIGHT, HEAD_BIAS, CLASS_MEANS))
    facts = manifest.head
    if (facts is None) != (weight_CX is None) or (weight_CX is None) != (bias_C is None):
        raise _unreadable("a head in both files or in none", "in one of them")
    if (means_MF is not None) != (facts is not None and facts.familiarity is not None):
        raise _unreadable("class means where the manifest has a familiarity, and none elsewhere", "another")
    if facts is None or weight_CX is None or bias_C is None:
        return None, None
    num_rows = len(manifest.labels) + facts.has_negative
    if weight_CX.ndim != 2 or bias_C.shape != (num_rows,) or len(weight_CX) != num_rows:
        raise _unreadable(f"a head of {num_rows} rows", f"{tuple(weight_CX.shape)} and {tuple(bias_C.shape)}")
    if means_MF is not None and (means_MF.ndim != 2 or not len(means_MF)):
        raise _unreadable("class means of two dimensions", repr(tuple(means_MF.shape)))
    return LinearHead(weight_CX, bias_C), means_MF


def vision_rank(recipe: FinetuneRecipe) -> int:
    """Return the rank of the LoRA that a recipe leaves on the vision tower."""
    return recipe.rank if recipe.host in ("clip-lora", "clip-lora-both") else 0


def _unreadable(expected: str, got: str) -> AdapterFormatError:
    return AdapterFormatError(expected=expected, got=got, remedy="Copy the whole folder again, or train the adapter again")
