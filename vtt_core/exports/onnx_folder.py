"""Export to ONNX in three precisions, each with its size and its agreement.

Resizing is not in the graph: ONNX's antialiased resize rounds otherwise than Pillow's, by up to a step of 256, and that moves
logits by more than 0.001. The graph takes bytes of resized images and does the rest, so that only "squash to a square with
Pillow's bilinear filter" is left to do; model.json says so in words, and `classify.py` does it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vtt_core.backbones.preprocess import resize
from vtt_core.contract.exports import Agreement, ExportKind, Variant
from vtt_core.exports.companions import facts_of, scores_of_script, write_companions, write_script
from vtt_core.exports.onnx_graph import Classifier, write_graph
from vtt_core.exports.onnx_precisions import write_dynamic, write_half, write_static
from vtt_core.exports.source import ExportSource

MODEL_FILE, HALF_FILE, INT8_FILE = "model.onnx", "model.fp16.onnx", "model.int8.onnx"
MOST_CALIBRATION_IMAGES = 64
DYNAMIC_NOTE = "8-bit products; ranges measured at each run"
STATIC_NOTE = "8-bit products; ranges from {} of the given images"
HALF_NOTE = "weights in float16, computed in float32"


def write_onnx(source: ExportSource, folder: Path) -> tuple[Agreement, float, dict[str, Variant]]:
    """Write the folder; return agreement, seconds that onnxruntime took to load, and what each precision costs.

    Raises:
        UnsupportedExportError: the tower is larger than one ONNX file can be.
    """
    write_companions(source, ExportKind.ONNX, folder)
    write_script("onnx", folder)
    write_float_graph(source, folder / MODEL_FILE)
    agreement, seconds = compare(source, folder, MODEL_FILE)
    write_half(folder / MODEL_FILE, folder / HALF_FILE)
    variants = {
        "fp32": _variant(folder, MODEL_FILE, agreement, "weights in float32"),
        "fp16": _variant(folder, HALF_FILE, compare(source, folder, HALF_FILE)[0], HALF_NOTE),
        "int8": _int8(source, folder),
    }
    return agreement, seconds, variants


def write_float_graph(source: ExportSource, file: Path) -> None:
    """Write the graph in float32."""
    rules = facts_of(source, ExportKind.ONNX)["none_of_these"]
    write_graph(Classifier(source, rules), source.adapter.manifest.preprocessing.side_pixels, file)


def compare(source: ExportSource, folder: Path, name: str) -> tuple[Agreement, float]:
    """Return how well a file of a folder agrees, and the seconds that stock onnxruntime took to load it."""
    logits_BR, seconds = scores_of_script(folder, source, folder / name)
    return source.agreement(torch.as_tensor(logits_BR)), seconds


def _int8(source: ExportSource, folder: Path) -> Variant:
    """Write what agrees better of two forms; the one that needs calibration only where there are real images for it."""

    def make(name: str, write: Callable[[Path, Path], None], note: str) -> Variant:
        write(folder / MODEL_FILE, folder / name)
        return _variant(folder, name, compare(source, folder, name)[0], note)

    dynamic = make(INT8_FILE, write_dynamic, DYNAMIC_NOTE)
    if source.is_generated:
        return dynamic
    pixels_BHW3 = _calibration_pixels(source)
    note = STATIC_NOTE.format(len(pixels_BHW3))
    static = make("static.onnx", lambda graph, target: write_static(graph, target, pixels_BHW3), note)
    if _worth(static.agreement) <= _worth(dynamic.agreement):
        (folder / static.file_name).unlink()
        return dynamic
    (folder / static.file_name).replace(folder / INT8_FILE)
    return Variant(INT8_FILE, static.size_bytes, static.agreement, static.note)


def _calibration_pixels(source: ExportSource) -> NDArray[np.uint8]:
    """Return every other image, so that the rest of those that are compared was not calibrated on."""
    images = source.images[::2][:MOST_CALIBRATION_IMAGES]
    return np.stack([np.asarray(resize(image, source.backbone.preprocessing)) for image in images])


def _worth(agreement: Agreement) -> tuple[float, float]:
    return agreement.same_top1, -agreement.largest_logit_difference


def _variant(folder: Path, name: str, agreement: Agreement, note: str) -> Variant:
    return Variant(name, (folder / name).stat().st_size, agreement, note)
