"""Read the picture of a DICOM file as a viewer shows it first.

Grey values go through the file's modality LUT (or rescale) and its first VOI LUT or window. Without one, the rules for
wide samples of docs/images.md choose black and white.

Source: DICOM PS3.3, C.7.6.3 (pixels), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from vtt_core.contract.errors import AnimatedImageError, UnsupportedKindError
from vtt_core.ingest.brightness import Numbers
from vtt_core.ingest.dicom_pixels import stored_pixels
from vtt_core.ingest.samples import BLOCK_PIXELS, Array, Range, Samples

if TYPE_CHECKING:
    from pydicom import Dataset

_GREYS, _PALETTE = ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FAR = 1e15
"""Beyond every window, and small enough for exact arithmetic with one."""


def check_dicom(dataset: Dataset) -> tuple[int, int]:
    """Check that the file has one picture of a supported kind, and return its width and height.

    Raises:
        AnimatedImageError: it has several frames.
        UnsupportedKindError: it has no picture, or one of another kind.
    """
    num_frames = int(dataset.get("NumberOfFrames") or 1)
    if num_frames != 1:
        raise AnimatedImageError(
            expected="one still picture",
            got=f"a DICOM file of {num_frames} frames",
            remedy="Send one frame as an image of its own",
        )
    if "PixelData" not in dataset:
        kind = "a DICOM file of floating-point pixels" if "FloatPixelData" in dataset else _without_pixels(dataset)
        raise _unsupported(kind)
    photometric, num_samples, bits = _kind(dataset)
    is_grey = photometric in (*_GREYS, _PALETTE) and num_samples == 1 and bits in (8, 16, 32)
    is_colour = photometric in _COLOURS and num_samples == 3 and bits in ((8, 16) if photometric == "RGB" else (8,))
    is_segmented = photometric == _PALETTE and "RedPaletteColorLookupTableData" not in dataset
    if not (is_grey or is_colour) or is_segmented:
        segmented = " and a segmented palette" if is_segmented else ""
        raise _unsupported(f"a DICOM picture of {num_samples} x {bits} bits ({photometric}){segmented}")
    return int(dataset.Columns), int(dataset.Rows)


@np.errstate(over="ignore")  # the exponential of a sigmoid far below its window
def dicom_samples(dataset: Dataset) -> Samples:
    """Decode the picture.

    Args:
        dataset: passed `check_dicom`.

    Raises:
        ImageError: see `stored_pixels`.
        ValueError: the pixels or tables are damaged.
    """
    stored = stored_pixels(dataset)
    photometric, num_samples, _ = _kind(dataset)
    convert: Callable[[Array], Array]
    declared: Range | None
    bits, numbers, is_white_zero = int(dataset.BitsStored), Numbers.UNSIGNED, False
    if num_samples == 3:
        convert, declared = _as_it_is, None
    elif photometric == _PALETTE:
        convert, (declared, bits) = partial(_through_palette, dataset), _palette_range(dataset)
    else:
        convert, declared = _grey_values(dataset)
        convert = partial(_without_padding, dataset, convert)
        numbers = Numbers.SIGNED if dataset.PixelRepresentation else Numbers.UNSIGNED
        is_white_zero = photometric == "MONOCHROME1"
        if declared is None and float(dataset.get("RescaleSlope") or 1) < 0:
            is_white_zero = not is_white_zero
    return Samples(
        width=int(dataset.Columns),
        height=int(dataset.Rows),
        numbers=numbers,
        bits=bits,
        num_colours=1 if photometric in _GREYS else 3,
        blocks=partial(_blocks, stored, convert),
        is_white_zero=is_white_zero,
        declared=declared,
    )


def _kind(dataset: Dataset) -> tuple[str, int, int]:
    return str(dataset.PhotometricInterpretation), int(dataset.SamplesPerPixel), int(dataset.BitsAllocated)


def _without_pixels(dataset: Dataset) -> str:
    name = getattr(dataset.get("SOPClassUID"), "name", "")
    return f"a DICOM file without a picture ({name})" if name else "a DICOM file without a picture"


def _unsupported(got: str) -> UnsupportedKindError:
    return UnsupportedKindError(
        expected="a DICOM picture of grey, palette, RGB or YBR_FULL colours of 8 to 32 bits",
        got=got,
        remedy="Export the picture from a viewer as PNG",
    )


def _blocks(stored: Array, convert: Callable[[Array], Array]) -> Iterator[tuple[int, Array]]:
    rows = max(1, BLOCK_PIXELS // stored.shape[1])
    for top in range(0, stored.shape[0], rows):
        values = convert(stored[top : top + rows])
        yield top, values if values.ndim == 3 else values[..., np.newaxis]


def _as_it_is(values: Array) -> Array:
    return values


def _through_palette(dataset: Dataset, values: Array) -> Array:
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415  # optional, see dicom_file.py

    return apply_color_lut(values, dataset)[..., :3]


def _palette_range(dataset: Dataset) -> tuple[Range, int]:
    bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    return (0.0, 2.0**bits - 1), bits


def _grey_values(dataset: Dataset) -> tuple[Callable[[Array], Array], Range | None]:
    """Return what to do with stored values, and the results that mean black and white if the file says so."""
    from pydicom.pixels.processing import (  # noqa: PLC0415  # optional, see dicom_file.py
        apply_modality_lut,
        apply_voi_lut,
        apply_windowing,
    )

    def modality(values: Array) -> Array:
        return apply_modality_lut(values, dataset)

    if dataset.get("VOILUTSequence"):
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        return lambda values: apply_voi_lut(modality(values), dataset), (0.0, 2.0**bits - 1)
    if _has_window(dataset):
        low, high = apply_windowing(np.array([-_FAR, _FAR]), dataset)
        return lambda values: apply_windowing(modality(values), dataset), (float(low), float(high))
    if dataset.get("ModalityLUTSequence"):
        bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        return modality, (0.0, 2.0**bits - 1)
    return _as_it_is, None


def _has_window(dataset: Dataset) -> bool:
    """Return whether the first window can be applied; one without a width is ignored."""
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = dataset.get("VOILUTFunction") or "LINEAR"
    is_number = math.isfinite(center) and math.isfinite(width)
    return is_number and (width >= 1 if function == "LINEAR" else width > 0 and function in ("LINEAR_EXACT", "SIGMOID"))


def _first(value: object) -> float:
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "__getitem__") else [value]
    first = next(iter(values), None)
    return math.nan if first is None or first == "" else float(first)


def _without_padding(dataset: Dataset, convert: Callable[[Array], Array], values: Array) -> Array:
    """Return the converted values, those of padding as NaN: they are missing."""
    converted = convert(values)
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return converted
    low, high = sorted((int(padding), int(dataset.get("PixelPaddingRangeLimit", padding))))
    is_padding = (values >= low) & (values <= high)
    return np.where(is_padding, np.nan, converted.astype(np.float64)) if is_padding.any() else converted
