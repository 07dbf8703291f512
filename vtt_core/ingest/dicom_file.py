"""Read the header of a DICOM file with pydicom, in bounded time, and only the fields that the picture needs.

Names, dates and the like are skipped where they stand, so they are never in memory as values, and in no log.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

from vtt_core.contract.errors import ImageTooComplexError, UnsupportedKindError
from vtt_core.ingest.optional_formats import package_for

if TYPE_CHECKING:
    from pydicom import Dataset

EXTRA = "medical"
MAX_READS = 200_000
"""Most reads of pydicom in one file: about three for each field, nested ones included. Usual files need 2,000."""
_PICTURE_FIELDS = (
    *(
        "SOPClassUID",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
    ),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "ICCProfile", "PixelData", "FloatPixelData", "DoubleFloatPixelData"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)


class _BoundedReads(io.BytesIO):
    """Counts the reads of a parser, so that no file keeps it busy for long."""

    num_reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # pydicom reads all the rest only to unpack it, to any size
            raise UnsupportedKindError(
                expected="a DICOM file whose header is not compressed",
                got="one of the transfer syntax Deflated Explicit VR Little Endian",
                remedy="Save it as Explicit VR Little Endian",
            )
        self.num_reads += 1
        if self.num_reads > MAX_READS:
            raise ImageTooComplexError(
                expected=f"a DICOM file that is read in {MAX_READS} steps",
                got="more fields than that",
                remedy="Convert it to PNG",
            )
        return super().read(size)


def is_dicom(encoded: bytes) -> bool:
    """Return whether the bytes are a DICOM file with its preamble."""
    return encoded[128:132] == b"DICM"


def read_dicom_fields(encoded: bytes) -> Dataset:
    """Return the fields that describe the picture, and its encoded pixels.

    Raises:
        FormatPackageMissingError: pydicom is not installed.
        ImageTooComplexError: the header has very many fields.
        UnsupportedKindError: the header is compressed.
    """
    return _read(encoded, _PICTURE_FIELDS)


def patient_id(encoded: bytes) -> str | None:
    """Return the PatientID as the file has it, or None without one. It names a person: never store it.

    Raises:
        ImageError: see `read_dicom_fields`.
    """
    value = _read(encoded, ("PatientID",), stop_before_pixels=True).get("PatientID")
    return str(value).strip() or None if value is not None else None


def _read(encoded: bytes, fields: tuple[str, ...], **options: Any) -> Dataset:
    pydicom = package_for("a DICOM file", "pydicom", EXTRA)
    # Its warnings quote values of the header, which may be names.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    dataset: Dataset = pydicom.dcmread(_BoundedReads(encoded), specific_tags=list(fields), **options)
    return dataset
