"""Read Quick, Draw!: one NumPy array for each class, with rows of 28 x 28 pixels.

Source: googlecreativelab/quickdraw-dataset, `full/numpy_bitmap/<class>.npy`: uint8, ink is 255; Meta-Dataset uses the same
    files as they are.
Differs: Meta-Dataset uses all 50 million drawings. Here MAX_DRAWINGS of each class, evenly spaced in its file, are enough
    for any number of episodes and fit into memory as a list.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PIL import Image

from vtt_core.bench.datasets.dataset import Dataset
from vtt_core.bench.datasets.labelled_image import LabelledImage, to_png
from vtt_core.contract.errors import DatasetFileError
from vtt_core.contract.support_set import clean_label

MAX_DRAWINGS = 1000
"""Drawings of a class that are used."""
SIDE_PIXELS = 28
_PREFIX = "full_numpy_bitmap_"
"""Prefix of the class name in some downloads."""


def read_quickdraw(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the drawings. Only the header of an array is read until a drawing is requested."""
    folder = dataset.find(root, (".", "numpy_bitmap", "full/numpy_bitmap", "quickdraw"), lambda path: any(path.glob("*.npy")))
    found = []
    for path in sorted(folder.glob("*.npy")):
        label = clean_label(path.stem.removeprefix(_PREFIX))
        num_drawings = _num_drawings(dataset, path)
        num_used = min(num_drawings, MAX_DRAWINGS)
        rows = [index * num_drawings // num_used for index in range(num_used)]
        found += [LabelledImage(f"{label}/{row}", label, None, partial(read_drawing, str(path), row)) for row in rows]
    return found


def read_drawing(path: str, row: int) -> bytes:
    """Return one drawing as PNG.

    Raises:
        DatasetFileError: the file is missing or ends early.
    """
    import numpy as np  # noqa: PLC0415  (the command line lists data sets where numpy is not installed)

    try:
        drawing = np.array(np.load(path, mmap_mode="r")[row])
    except (OSError, ValueError, IndexError) as error:
        raise DatasetFileError(
            expected=f"drawing {row} of an array", got=f"{path!r} ({str(error)[:120]})", remedy="Download the file again"
        ) from error
    return to_png(Image.fromarray(drawing.reshape(SIDE_PIXELS, SIDE_PIXELS)))


def _num_drawings(dataset: Dataset, path: Path) -> int:
    import numpy as np  # noqa: PLC0415  (see read_drawing)

    try:
        drawings = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise dataset.bad_layout(f"{str(path)!r}, which is not an array ({str(error)[:120]})") from error
    if drawings.dtype != np.uint8 or drawings.shape[1:] != (SIDE_PIXELS**2,):
        raise dataset.bad_layout(f"{drawings.dtype} of shape {drawings.shape} in {str(path)!r}")
    return len(drawings)
