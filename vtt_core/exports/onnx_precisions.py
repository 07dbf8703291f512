"""Make smaller forms of an ONNX graph: weights in float16, and products of 8-bit integers.

Float16 is for the file alone: each weight is cast back to float32 when it is read. So the graph runs on processors and in
browsers that multiply no float16, and nothing overflows.

Shapes: B images, H = W side in pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

SMALLEST_WEIGHT = 256
"""Numbers in a tensor from which its size matters."""
QUANTIZED = ["MatMul"]
"""Products of the blocks and of the head: nearly all weights."""


def write_half(graph: Path, target: Path) -> None:
    """Write the graph with its weights in float16."""
    model = onnx.load(graph)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST_WEIGHT:
            continue
        name = weight.name
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT, name=f"{name}.float"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # it may name the weights with their old type
    onnx.save(model, target)


def write_dynamic(graph: Path, target: Path) -> None:
    """Write the graph with 8-bit products; the range of what enters one is measured anew for each batch."""
    _quietly(quantize_dynamic, str(graph), str(target), per_channel=True, weight_type=QuantType.QInt8)


def write_static(graph: Path, target: Path, pixels_BHW3: NDArray[np.uint8]) -> None:
    """Write the graph with 8-bit products; the range of what enters one is that of some images.

    Args:
        graph: in float32.
        target: file to write.
        pixels_BHW3: as the graph reads them.
    """
    options = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    _quietly(quantize_static, str(graph), str(target), _Images(pixels_BHW3), **options)


def _quietly(quantize: Any, *arguments: Any, **options: Any) -> None:
    """Run a function of onnxruntime's, which else warns that it was not told to prepare the graph first."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        quantize(*arguments, op_types_to_quantize=QUANTIZED, **options)
    finally:
        root.setLevel(before)


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Hands out images one by one."""

    def __init__(self, pixels_BHW3: NDArray[np.uint8]) -> None:
        self._left: Iterator[NDArray[np.uint8]] = iter(pixels_BHW3[:, None])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next input, or None after the last one."""
        one = next(self._left, None)
        return None if one is None else {"pixels": one}
