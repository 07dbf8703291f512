"""Decode the stored pixel values of a DICOM file.

A decoder gets a compressed picture only after its own header has been read here, since that may state other sizes than
the fields of the DICOM file.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vtt_core.contract.errors import ImageTooComplexError, UnsupportedKindError
from vtt_core.ingest.decode_cost import MAX_SEGMENTS, check_scans
from vtt_core.ingest.dicom_file import EXTRA
from vtt_core.ingest.jpeg2000 import check_jpeg2000_cost, check_jpeg2000_tiles, read_jpeg2000
from vtt_core.ingest.jpeg_kind import jpeg_segments
from vtt_core.ingest.optional_formats import missing_package
from vtt_core.ingest.samples import Array

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_FRAGMENTS = 10_000
"""Most pieces of a compressed picture. Nearly all files have one."""
_START = "1.2.840.10008.1.2"
_PLAIN = (_START, f"{_START}.1", f"{_START}.2")
_RLE = f"{_START}.5"
_JPEG_BASELINE = f"{_START}.4.50"
_JPEG = {
    _JPEG_BASELINE: "pillow",  # the most used and best tested decoder
    f"{_START}.4.51": "pylibjpeg",  # 12 bits
    f"{_START}.4.57": "pylibjpeg",  # lossless
    f"{_START}.4.70": "pylibjpeg",  # lossless, first-order prediction
    f"{_START}.4.80": "pylibjpeg",  # JPEG-LS
    f"{_START}.4.81": "pylibjpeg",  # JPEG-LS near-lossless
}
_JPEG2000 = {f"{_START}.4.90": "pylibjpeg", f"{_START}.4.91": "pylibjpeg"}
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}


def stored_pixels(dataset: Dataset) -> Array:
    """Return the pixels as [rows, columns] or [rows, columns, 3], colours as RGB.

    Args:
        dataset: checked, with one frame.

    Raises:
        FormatPackageMissingError: a decoder is not installed.
        ImageTooComplexError: decoding would cost far more than the pixels need.
        UnsupportedKindError: the compression is not supported.
        ValueError: the pixels are damaged.
    """
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415  # optional, see dicom_file.py
    from pydicom.pixels.utils import as_pixel_options  # noqa: PLC0415

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == _RLE:
        return _run_lengths(dataset)
    if syntax not in (*_PLAIN, *_JPEG, *_JPEG2000):
        raise UnsupportedKindError(
            expected="a DICOM file without compression, or with RLE, JPEG, JPEG-LS or JPEG 2000",
            got=f"the transfer syntax {syntax.name}",
            remedy="Save it as Explicit VR Little Endian",
        )
    plugin = _JPEG.get(syntax) or _JPEG2000.get(syntax) or ""
    decoder = get_decoder(syntax)
    if plugin:
        _check_compressed(_frame(dataset), dataset, is_jpeg2000=syntax in _JPEG2000)
        if plugin not in decoder.available_plugins:
            raise missing_package(f"a DICOM file of the transfer syntax {syntax.name}", plugin, EXTRA)
    pixels, _ = decoder.as_array(dataset, index=0, decoding_plugin=plugin, **as_pixel_options(dataset))
    return pixels


def _frame(dataset: Dataset) -> bytes:
    """Return the compressed picture."""
    from pydicom.encaps import generate_fragments  # noqa: PLC0415  # optional, see dicom_file.py

    offsets, *fragments = islice(generate_fragments(dataset.PixelData), MAX_FRAGMENTS + 2)
    if len(fragments) > MAX_FRAGMENTS:
        raise ImageTooComplexError(
            expected=f"a DICOM picture in at most {MAX_FRAGMENTS} pieces", got="more", remedy="Convert it to PNG"
        )
    return b"".join(fragments)


def _check_compressed(frame: bytes, dataset: Dataset, *, is_jpeg2000: bool) -> None:
    """Check what the compressed picture says of itself."""
    expected = (dataset.Columns, dataset.Rows)
    if is_jpeg2000:
        header = read_jpeg2000(frame)
        if (header.width, header.height) != expected or len(header.bits) != dataset.SamplesPerPixel:
            raise ValueError("the JPEG 2000 states another size")
        check_jpeg2000_cost(header)
        check_jpeg2000_tiles(header)
        return
    check_scans(frame)
    sizes = [
        struct.unpack_from(">HH", frame, position + 3)[::-1]
        for marker, position in islice(jpeg_segments(frame), MAX_SEGMENTS)
        if marker in _FRAME_MARKERS
    ]
    if sizes != [expected]:
        raise ValueError("the JPEG states another size")


def _run_lengths(dataset: Dataset) -> Array:
    """Decode RLE by libtiff's PackBits in Pillow, which is the same coding and stops at the size that it is given."""
    frame = _frame(dataset)
    num_pixels, num_bytes = dataset.Rows * dataset.Columns, dataset.BitsAllocated // 8
    num_planes = dataset.SamplesPerPixel * num_bytes
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != num_planes:
        raise ValueError("the RLE has another number of segments")
    ends = [*offsets[1:num_planes], len(frame)]
    kind = np.dtype(f"<{'i' if dataset.PixelRepresentation else 'u'}{num_bytes}")
    pixels: Array = np.empty((num_pixels, dataset.SamplesPerPixel), kind)
    bytes_of = pixels.view(np.uint8).reshape(num_pixels, dataset.SamplesPerPixel, num_bytes)
    for place, (start, end) in enumerate(zip(offsets[:num_planes], ends, strict=True)):  # the most significant byte first
        plane = Image.frombytes("L", (num_pixels, 1), frame[start:end], "packbits", "L")
        bytes_of[:, place // num_bytes, num_bytes - 1 - place % num_bytes] = np.asarray(plane)[0]
    if dataset.SamplesPerPixel == 1:
        return pixels.reshape(dataset.Rows, dataset.Columns)
    pixels = pixels.reshape(dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    if dataset.PhotometricInterpretation != "YBR_FULL":
        return pixels
    return np.asarray(Image.fromarray(pixels, "YCbCr").convert("RGB"))
