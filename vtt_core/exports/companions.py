"""Write what lies beside the weights of every export: facts, head, card, licence of the base, and a script to classify with."""

from __future__ import annotations

import json
import runpy
import warnings
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from vtt_core.adapter.answer import NEGATIVE_VERDICT, Answering
from vtt_core.adapter.files import (
    CLASS_MEANS,
    HEAD_BIAS,
    HEAD_WEIGHT,
    MANIFEST_FILE,
    PROTOTYPES,
    STRANGER_BIAS,
    STRANGER_WEIGHT,
    Adapter,
)
from vtt_core.backbones.towers import read_depths
from vtt_core.contract.exports import ExportKind
from vtt_core.contract.serving import DEFAULT_FALSE_REJECTS
from vtt_core.exports.card import write_card
from vtt_core.exports.origin import origin_of
from vtt_core.exports.source import ExportSource
from vtt_core.heads.strangers import STRANGER_SCORE

FACTS_FILE, HEAD_FILE, SCRIPT_FILE = "model.json", "head.safetensors", "classify.py"
FALSE_REJECTS = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of false rejects whose threshold is written, for who wants another than the usual one."""


def facts_of(source: ExportSource, kind: ExportKind) -> dict[str, Any]:
    """Return what must be known to use an export, as JSON values."""
    manifest = source.adapter.manifest
    return {
        "kind": kind.value,
        "labels": list(manifest.labels),
        "prompts": list(manifest.prompts),
        "has_negative": manifest.head is not None and manifest.head.has_negative,
        "bands": None if manifest.bands is None else manifest.bands.to_json(),
        "preprocessing": asdict(manifest.preprocessing),
        "base": origin_of(manifest.backbone_id, manifest.backbone_sha256),
        "read_depths": sorted(set(read_depths(source.backbone.vision_tower.num_layers))),
        "logit_scale": source.adapter.logit_scale,
        "none_of_these": _rules(source.adapter),
        "head": None if manifest.head is None else manifest.head.to_json(),
        "recipe": manifest.recipe,
        "metrics": source.metrics,
        "library_versions": manifest.library_versions,
    }


def _rules(adapter: Adapter) -> dict[str, Any]:
    """Return the thresholds from which an image shows none of the classes; None for those that the model lacks."""
    known = Answering.of(adapter.manifest)
    usual = known.usual if adapter.class_means_MF is not None else None
    return {
        "familiarity_threshold": usual.threshold(DEFAULT_FALSE_REJECTS) if usual else None,
        "negative_probability": NEGATIVE_VERDICT if known.has_negative else None,
        "stranger_score": STRANGER_SCORE if adapter.strangers is not None else None,
        "familiarity_thresholds_by_false_rejects": {str(share): usual.threshold(share) for share in FALSE_REJECTS if usual},
    }


def head_tensors(adapter: Adapter) -> dict[str, Tensor]:
    """Return prototypes and head by the names that our own files use."""
    tensors = {PROTOTYPES: adapter.prototypes_CD}
    if adapter.head is not None:
        tensors |= {HEAD_WEIGHT: adapter.head.weight_CX, HEAD_BIAS: adapter.head.bias_C}
    if adapter.class_means_MF is not None:
        tensors[CLASS_MEANS] = adapter.class_means_MF
    if adapter.strangers is not None:
        tensors |= {STRANGER_WEIGHT: adapter.strangers.weight_CX, STRANGER_BIAS: adapter.strangers.bias_C}
    return {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}


def write_companions(source: ExportSource, kind: ExportKind, folder: Path, **more_facts: str) -> None:
    """Write facts, card and licence of the base; further facts go into the file of facts."""
    facts = facts_of(source, kind) | more_facts
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / MANIFEST_FILE).write_text(
        json.dumps(source.adapter.manifest.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    write_card(facts, folder)


def write_head_and_script(source: ExportSource, library: str, folder: Path) -> None:
    """Write the head, and a script that reads the tower with the named library and then classifies."""
    (folder / HEAD_FILE).write_bytes(save(head_tensors(source.adapter)))
    write_script(library, folder, "classifier")


def write_script(library: str, folder: Path, *more: str) -> None:
    """Write a script that classifies with the named library, from its part and perhaps further ones."""
    shipped = files("vtt_core.exports").joinpath("shipped")
    parts = [shipped.joinpath(f"{name}.py.txt").read_text(encoding="utf-8") for name in (library, *more, "open_image")]
    (folder / SCRIPT_FILE).write_text("".join(parts), encoding="utf-8")


def scores_of_script(folder: Path, source: ExportSource, *load_arguments: Path) -> tuple[Any, float]:
    """Run the script of a folder as a user would, and return its scores of the images and the seconds that loading took.

    The script imports nothing of this program, so that both sides have no code in common.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries about themselves
        script = runpy.run_path(str(folder / SCRIPT_FILE))
        started = source.stopwatch()
        model = script["load"](*load_arguments)
        seconds = source.stopwatch() - started
        scores_BR, _ = script["scores"](model, source.images)
    return scores_BR, seconds
