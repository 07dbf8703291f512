"""A DICOM picture of each kind has the values of the plain 8-bit image, and nothing of its header is kept."""

from __future__ import annotations

import io
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.fixtures.dicom_writer import PATIENT, PATIENT_ID, dicom_bytes, dicom_dataset, lut_item, write_dicom
from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import difference, known_grey, known_rgb
from tests.hostile.mutations import FUZZ, bounded_memory, mutated
from vtt_core.contract.errors import (
    AnimatedImageError,
    FormatPackageMissingError,
    ImageDimensionsError,
    ImageError,
    ImageTooComplexError,
    TruncatedImageError,
    UnsupportedKindError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.decode import decode_image, decode_with_format
from vtt_core.ingest.strip_metadata import clean_image

Array = NDArray[Any]
SMALL = replace(DEFAULT_LIMITS, max_image_bytes=30_000, max_image_pixels=100_000)


def grey(scale: float = 1.0, kind: str = "u1") -> Array:
    """The known grey values, scaled, as [rows, columns]."""
    return (known_grey()[..., 0] * np.float64(scale)).round().astype(kind)


def assert_is_grey(encoded: bytes, most: float = 0.5) -> None:
    assert difference(decode_image(encoded), known_grey()) <= most


class TestGrey:
    def test_monochrome2_of_8_bits_is_exactly_the_image(self) -> None:
        picture, name = decode_with_format(write_dicom(grey()))
        assert (difference(picture, known_grey()), name) == (0, "DICOM")

    def test_monochrome1_is_inverted(self) -> None:
        assert_is_grey(write_dicom(255 - grey(), "MONOCHROME1"), 0)

    @pytest.mark.parametrize("bits", [10, 12, 16])
    def test_white_is_the_largest_value_of_the_bits_in_use(self, bits: int) -> None:
        assert_is_grey(write_dicom(grey((2**bits - 1) / 255, "u2"), bits_stored=bits))

    @pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
    def test_hounsfield_units_go_through_the_first_window(self, function: str) -> None:
        width = 255 + (function == "LINEAR")  # by the standard, a linear window has one value less than its width
        center = 127.5 + (0.5 if function == "LINEAR" else 0)
        fields = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": [center, 40], "WindowWidth": [width, 400]}
        stored = grey(1, "i2") + 1024
        assert_is_grey(write_dicom(stored, bits_stored=12, VOILUTFunction=function, **fields))

    def test_values_outside_the_window_are_black_and_white(self) -> None:
        stored = np.zeros((20, 20), "u2")
        stored[:, 10:] = 4000
        picture = decode_image(write_dicom(stored, bits_stored=12, WindowCenter=2000, WindowWidth=1000))
        assert (picture.getpixel((0, 0)), picture.getpixel((19, 0))) == ((0, 0, 0), (255, 255, 255))

    def test_a_sigmoid_window_has_its_middle_in_the_middle(self) -> None:
        stored = np.full((20, 20), 500, "u2")
        fields = {"WindowCenter": 500, "WindowWidth": 200, "VOILUTFunction": "SIGMOID"}
        assert decode_image(write_dicom(stored, bits_stored=12, **fields)).getpixel((3, 3)) in ((127,) * 3, (128,) * 3)

    def test_a_window_without_width_is_ignored(self) -> None:
        assert_is_grey(write_dicom(grey(), WindowCenter=0, WindowWidth=0), 0)

    def test_a_voi_table_counts_before_the_window(self) -> None:
        table = lut_item(np.arange(255, -1, -1) * 257, first=0, bits=16)
        assert_is_grey(write_dicom(255 - grey(), VOILUTSequence=[table], WindowCenter=3, WindowWidth=2), 0)

    def test_a_modality_table_is_applied(self) -> None:
        table = lut_item(np.arange(255, -1, -1), first=0, bits=8)
        assert_is_grey(write_dicom(255 - grey(), ModalityLUTSequence=[table]), 0)

    def test_padding_is_black_also_where_zero_is_white(self) -> None:
        stored = grey()
        stored[:5] = 250
        picture = decode_image(write_dicom(stored, "MONOCHROME1", PixelPaddingValue=250))
        assert picture.getpixel((3, 3)) == (0, 0, 0)
        assert difference(picture.crop((0, 5, *picture.size)), 255 - known_grey()[5:]) == 0


class TestColours:
    def test_rgb(self) -> None:
        assert difference(decode_image(write_dicom(known_rgb(), "RGB")), known_rgb()) == 0

    def test_rgb_in_planes(self) -> None:
        dataset = dicom_dataset(known_rgb(), "RGB", PlanarConfiguration=1)
        dataset.PixelData = known_rgb().transpose(2, 0, 1).tobytes()
        assert difference(decode_image(dicom_bytes(dataset)), known_rgb()) == 0

    def test_ybr_full(self) -> None:
        ycc = np.asarray(Image.fromarray(known_rgb()).convert("YCbCr"))
        assert difference(decode_image(write_dicom(ycc, "YBR_FULL")), known_rgb()) <= 1

    def test_ybr_full_422(self) -> None:
        ycc = np.asarray(Image.fromarray(known_rgb()).convert("YCbCr"))
        pairs = [ycc[:, ::2, 0], ycc[:, 1::2, 0], ycc[:, ::2, 1], ycc[:, ::2, 2]]
        dataset = dicom_dataset(ycc, "YBR_FULL_422")
        dataset.PixelData = np.stack(pairs, axis=-1).tobytes()
        assert difference(decode_image(dicom_bytes(dataset)), known_rgb()) <= 3

    @pytest.mark.parametrize("bits", [8, 16])
    def test_palette_colour(self, bits: int) -> None:
        fields: dict[str, Any] = {}
        steps = np.arange(256)
        for colour, values in {"Red": steps, "Green": 255 - steps, "Blue": 0 * steps + 9}.items():
            fields[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            scaled = values * (257 if bits == 16 else 1)
            fields[f"{colour}PaletteColorLookupTableData"] = scaled.astype(f"<u{bits // 8}").tobytes()
        expected = np.stack([grey(), 255 - grey(), grey() * 0 + 9], axis=-1)
        assert difference(decode_image(write_dicom(grey(), "PALETTE COLOR", **fields)), expected) == 0


class TestCompressed:
    @pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
    @pytest.mark.parametrize("kind", ["u1", "u2", "RGB"])
    def test_lossless(self, syntax: pydicom.uid.UID, kind: str) -> None:
        is_rgb = kind == "RGB"
        dataset = dicom_dataset(known_rgb(), "RGB") if is_rgb else dicom_dataset(grey(257 if kind == "u2" else 1, kind))
        if is_rgb and syntax == JPEG2000Lossless:
            dataset.PhotometricInterpretation = "RGB"
        dataset.compress(syntax, generate_instance_uid=False)
        assert difference(decode_image(dicom_bytes(dataset)), known_rgb() if is_rgb else known_grey()) == 0

    def test_jpeg(self) -> None:
        dataset = dicom_dataset(known_rgb(), "YBR_FULL_422")
        encoded = encode(Image.fromarray(known_rgb()), "JPEG", quality=95, subsampling=1)
        assert difference(decode_image(_with_frame(dataset, encoded)), known_rgb()) <= 6

    @pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless", "MR_small_jp2klossless", "MR_small_RLE"])
    def test_one_picture_is_the_same_in_every_lossless_compression(self, name: str) -> None:
        folder = Path(pydicom.__file__).parent / "data" / "test_files"
        plain, packed = (decode_image((folder / f"{each}.dcm").read_bytes()) for each in ("MR_small", name))
        assert plain.tobytes() == packed.tobytes()


def _with_frame(dataset: pydicom.Dataset, frame: bytes, syntax: pydicom.uid.UID = JPEGBaseline8Bit) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return dicom_bytes(dataset)  # type: ignore[arg-type]


class TestRefused:
    def test_several_frames(self) -> None:
        dataset = dicom_dataset(grey(), NumberOfFrames=2)
        with pytest.raises(AnimatedImageError, match="a DICOM file of 2 frames"):
            decode_image(dicom_bytes(dataset))

    def test_a_file_without_a_picture(self) -> None:
        dataset = dicom_dataset(grey(), SOPClassUID=pydicom.uid.ComprehensiveSRStorage)
        del dataset.PixelData
        with pytest.raises(UnsupportedKindError, match="without a picture .Comprehensive SR Storage"):
            decode_image(dicom_bytes(dataset))

    def test_other_pixels_by_their_kind(self) -> None:
        with pytest.raises(UnsupportedKindError, match=r"3 x 16 bits .YBR_FULL"):
            decode_image(write_dicom(known_rgb().astype("u2"), "YBR_FULL"))

    def test_a_compression_by_its_name(self) -> None:
        with pytest.raises(UnsupportedKindError, match="High-Throughput JPEG 2000"):
            decode_image(_with_frame(dicom_dataset(grey()), b"anything", HTJ2KLossless))

    def test_more_pixels_than_allowed_before_they_are_decoded(self) -> None:
        with pytest.raises(ImageDimensionsError):
            decode_image(write_dicom(grey(), Rows=60_000, Columns=60_000))

    def test_pixels_that_end_early(self) -> None:
        with pytest.raises(TruncatedImageError):
            decode_image(write_dicom(grey(), Rows=200))

    def test_a_jpeg_of_another_size_than_the_file_states(self) -> None:
        frame = encode(Image.new("L", (4000, 4000)), "JPEG")
        with pytest.raises(TruncatedImageError):
            decode_image(_with_frame(dicom_dataset(grey()), frame))

    def test_run_lengths_of_more_than_the_picture_fill_no_memory(self) -> None:
        frame = np.array([1, 64, *[0] * 14], "<u4").tobytes() + b"\x81\xff" * 2_000_000  # 256 MB unpacked
        with bounded_memory():
            decode_image(_with_frame(dicom_dataset(grey()), frame, RLELossless))

    @pytest.mark.slow
    def test_a_header_of_very_many_fields(self) -> None:
        many = b"\x09\x00\x10\x10SH\x00\x00" * 250_000
        encoded = write_dicom(grey())
        at = encoded.index(b"\x10\x00\x10\x00PN")
        with pytest.raises(ImageTooComplexError):
            decode_image(encoded[:at] + many + encoded[at:])

    def test_without_the_package_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pydicom", None)
        with pytest.raises(FormatPackageMissingError, match=r"pip install -c constraints.txt -e '.\[medical\]'"):
            decode_image(write_dicom(grey()))


class TestStored:
    @pytest.mark.parametrize("pixels", [grey(), known_rgb()], ids=["grey", "colour"])
    def test_it_is_stored_as_a_png_of_the_same_pixels_without_its_header(self, pixels: Array) -> None:
        sent = write_dicom(pixels, "RGB" if pixels.ndim == 3 else "MONOCHROME2")
        clean = clean_image(sent)
        assert clean.facts.image_format == "PNG"
        assert PATIENT.encode() in sent
        assert PATIENT_ID.encode() in sent
        with Image.open(io.BytesIO(clean.content)) as stored:
            assert stored.mode == ("RGB" if pixels.ndim == 3 else "L")
            assert stored.info == {}
        assert decode_image(clean.content).tobytes() == decode_image(sent).tobytes()

    def test_a_header_with_odd_values_is_not_quoted_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        encoded = write_dicom(grey(), PatientID="A" * 20).replace(b"SH", b"XX")
        with caplog.at_level(logging.DEBUG):
            decode_image(encoded)
        assert caplog.text == ""

    def test_a_preamble_of_a_tiff_changes_nothing(self) -> None:
        encoded = b"II*\0\x08\0\0\0" + write_dicom(grey())[8:]
        assert difference(decode_image(encoded), known_grey()) == 0


ORIGINALS = [write_dicom(grey()), write_dicom(grey(16, "u2"), bits_stored=12, WindowCenter=900, WindowWidth=400)]
for _syntax in (RLELossless, JPEG2000Lossless):
    _packed = dicom_dataset(grey())
    _packed.compress(_syntax, generate_instance_uid=False)
    ORIGINALS.append(dicom_bytes(_packed))
ORIGINALS.append(_with_frame(dicom_dataset(grey()), encode(Image.fromarray(grey()), "JPEG")))


@pytest.mark.slow
@FUZZ
@given(mutated(*ORIGINALS))
def test_a_changed_file_is_cleaned_or_refused(sent: bytes) -> None:
    with bounded_memory():
        try:
            clean = clean_image(sent, SMALL)
        except ImageError:
            return
        assert decode_image(clean.content, SMALL).tobytes() == decode_image(sent, SMALL).tobytes()
