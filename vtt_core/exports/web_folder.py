"""Export a folder with a page that runs the ONNX graph in the browser, by onnxruntime-web's plain WebAssembly build.

The page resizes pictures as Pillow does, to the bit. Its policy allows requests to its own folder only.
"""

from __future__ import annotations

import hashlib
import lzma
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from vtt_core.contract.exports import Agreement, ExportKind, Variant
from vtt_core.exports.companions import write_companions, write_script
from vtt_core.exports.onnx_folder import HALF_FILE, HALF_NOTE, MODEL_FILE, compare, write_float_graph
from vtt_core.exports.onnx_precisions import write_half
from vtt_core.exports.source import ExportSource

COMPRESSED = ".xz"
DIGEST_LETTERS = 16


def write_web(source: ExportSource, folder: Path) -> tuple[Agreement, float, dict[str, Variant]]:
    """Write the folder; return agreement of the graph in float32, seconds to load it, and what the shipped precision costs.

    The page gets the weights in float16, half the size, unless an image then has another likeliest class.

    Raises:
        UnsupportedExportError: the tower is larger than one ONNX file can be.
    """
    write_companions(source, ExportKind.WEB, folder)  # the script that compares reads them
    write_script("onnx", folder)
    write_float_graph(source, folder / MODEL_FILE)
    agreement, seconds = compare(source, folder, MODEL_FILE)
    write_half(folder / MODEL_FILE, folder / HALF_FILE)
    of_half, _ = compare(source, folder, HALF_FILE)
    shipped, dropped = (HALF_FILE, MODEL_FILE) if of_half.same_top1 == 1 else (MODEL_FILE, HALF_FILE)
    variants = {}
    if shipped == HALF_FILE:
        variants["fp16"] = Variant(HALF_FILE, (folder / HALF_FILE).stat().st_size, of_half, HALF_NOTE)
    (folder / dropped).unlink()
    (folder / "classify.py").unlink()
    write_companions(source, ExportKind.WEB, folder, model_file=shipped)
    _write_page(folder, shipped)
    return agreement, seconds, variants


def _write_page(folder: Path, model_file: str) -> None:
    web = files("vtt_core.exports").joinpath("web")
    for file in [*_files_of(web), *_files_of(web.joinpath("vendor"))]:
        if file.name.endswith(COMPRESSED):
            (folder / file.name.removesuffix(COMPRESSED)).write_bytes(lzma.decompress(file.read_bytes()))
        else:
            (folder / file.name).write_bytes(file.read_bytes())
    digest = hashlib.sha256((folder / model_file).read_bytes()).hexdigest()[:DIGEST_LETTERS]
    worker = folder / "offline.js"
    text = worker.read_text(encoding="utf-8").replace("MODEL-DIGEST", digest).replace("MODEL-FILE", model_file)
    worker.write_text(text, encoding="utf-8")


def _files_of(folder: Traversable) -> list[Traversable]:
    return [entry for entry in folder.iterdir() if entry.is_file()]
