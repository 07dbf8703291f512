"""Quick, Draw!: drawings from arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vtt_core.bench.datasets import bitmaps
from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetFileError, DatasetLayoutError
from vtt_core.ingest.decode import decode_image

QUICKDRAW = DATASETS["quickdraw"]


def write_drawings(path: Path, num_drawings: int) -> np.ndarray:
    drawings = np.random.default_rng(0).integers(0, 256, (num_drawings, 784), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, drawings)
    return drawings


def test_a_drawing_keeps_its_pixels(tmp_path: Path) -> None:
    drawings = write_drawings(tmp_path / "aircraft carrier.npy", 3)
    write_drawings(tmp_path / "full_numpy_bitmap_The Eiffel Tower.npy", 1)
    images = QUICKDRAW.read(QUICKDRAW, tmp_path)
    assert [image.label for image in images] == ["aircraft carrier"] * 3 + ["The Eiffel Tower"]
    pixels = np.asarray(decode_image(images[2].read()))
    assert (pixels[:, :, 0] == drawings[2].reshape(28, 28)).all()


def test_many_drawings_are_thinned_out_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitmaps, "MAX_DRAWINGS", 4)
    write_drawings(tmp_path / "numpy_bitmap" / "cat.npy", 10)
    assert [image.name for image in QUICKDRAW.read(QUICKDRAW, tmp_path)] == ["cat/0", "cat/2", "cat/5", "cat/7"]


def test_arrays_of_another_shape_or_none_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cat.npy", np.zeros((3, 100), dtype=np.uint8))
    with pytest.raises(DatasetLayoutError, match=r"uint8 of shape \(3, 100\)"):
        QUICKDRAW.read(QUICKDRAW, tmp_path)
    (tmp_path / "cat.npy").write_bytes(b"<html>moved</html>")
    with pytest.raises(DatasetLayoutError, match="which is not an array"):
        QUICKDRAW.read(QUICKDRAW, tmp_path)


def test_a_file_that_has_gone_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_drawings(tmp_path / "cat.npy", 1)
    (image,) = QUICKDRAW.read(QUICKDRAW, tmp_path)
    (tmp_path / "cat.npy").unlink()
    with pytest.raises(DatasetFileError, match=r"cat\.npy"):
        image.read()
