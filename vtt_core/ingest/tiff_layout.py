"""Describe how the pixels of a TIFF are stored, and decide who reads them: Pillow, `tiff_samples.py`, or nobody.

Pillow reads the usual 8 bits. It misreads some other kinds (white-is-zero of 16 bits, 16 bits in separate planes), and refuses
many. `tiff_samples.py` reads those of grey, RGB or CMYK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL.TiffImagePlugin import COMPRESSION_INFO

from vtt_core.contract.bands import MAX_BANDS
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.brightness import Numbers
from vtt_core.ingest.tiff_directory import Directory, Tag

BYTE_COMPRESSIONS = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
"""None, LZW, deflate, PackBits, LZMA, Zstandard: they compress bytes, whatever the samples are."""
_PILLOW_COMPRESSIONS = frozenset(COMPRESSION_INFO) - {50001}
"""Pillow lists WebP too, but its wheels are built without it."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, LAB = 0, 1, 2, 3, 4, 5, 6, 8
_NAMES = {
    WHITE_IS_ZERO: "white-is-zero grey",
    BLACK_IS_ZERO: "black-is-zero grey",
    RGB: "RGB",
    PALETTE: "palette colours",
    MASK: "a mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    LAB: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw sensor values",
    32844: "LogL",
    32845: "LogLuv",
    34892: "raw sensor values",
}
_NO_MEASUREMENTS = (PALETTE, MASK, CMYK, YCBCR, LAB, 9, 10)
"""Their samples are numbers of colours, amounts of ink or differences: as red, green and blue they show false colours."""
_NUM_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4}
_FAX_COMPRESSIONS = (2, 3, 4)
_PREMULTIPLIED, _ALPHA, _COREL_ALPHA = 1, 2, 999
_NUMBERS = {1: Numbers.UNSIGNED, 2: Numbers.SIGNED, 3: Numbers.FLOAT, 4: Numbers.UNSIGNED}
_WHOLE_BITS = {Numbers.UNSIGNED: (*range(1, 17), 32, 64), Numbers.SIGNED: (8, 16, 32, 64), Numbers.FLOAT: (16, 32, 64)}


_NAME_BANDS = (
    " with the three bands to use; or name the bands where the model is made: `bands` of its support set "
    "(POST /v1/support-sets?bands=4,3,2), or vtt adapt --bands 4,3,2"
)


@dataclass(frozen=True)
class Layout:
    """The tags of a page that describe its samples."""

    width: int
    """In pixels, as stored."""
    height: int
    """In pixels, as stored."""
    photometric: int
    compression: int
    num_samples: int
    """Number of bands, including alpha."""
    bits: tuple[int, ...]
    """Of each band, or one value for all."""
    sample_formats: tuple[int, ...]
    extra_samples: tuple[int, ...]
    is_planar: bool
    """Whether each band has strips of its own."""
    fill_order: int
    subsampling: tuple[int, ...]
    ink_set: int
    is_big_endian_big_tiff: bool
    """Pillow does not read such files."""
    is_photometric_named: bool = True
    """Whether the file has the required tag `photometric`."""

    @property
    def num_colours(self) -> int:
        """Return the number of colour bands, or 0 if these colours are not supported here."""
        return _NUM_COLOURS.get(self.photometric, 0)

    @property
    def is_uniform(self) -> bool:
        """Return whether all bands have the same bits and format."""
        return len(set(self.bits)) == 1 and len(set(self.sample_formats)) == 1

    @property
    def numbers(self) -> Numbers | None:
        """Return the type of the samples, or None for complex numbers."""
        return _NUMBERS.get(self.sample_formats[0])

    @property
    def has_alpha(self) -> bool:
        """Return whether the first extra band is declared as alpha."""
        return self.extra_samples[:1] in ((_PREMULTIPLIED,), (_ALPHA,), (_COREL_ALPHA,))

    @property
    def is_premultiplied(self) -> bool:
        """Return whether the colours are already multiplied with alpha."""
        return self.extra_samples[:1] == (_PREMULTIPLIED,)

    def __str__(self) -> str:
        """Return the kind in words."""
        bits = "/".join(str(value) for value in dict.fromkeys(self.bits[:8]))
        numbers = self.numbers.value if self.numbers and self.is_uniform else "samples of other kinds"
        bands = "1 band" if self.num_samples == 1 else f"{self.num_samples} bands"
        colours = _NAMES.get(self.photometric, f"colours of kind {self.photometric}")
        packed = COMPRESSION_INFO.get(self.compression, f"method {self.compression}")
        container = "a big-endian BigTIFF" if self.is_big_endian_big_tiff else "a TIFF"
        return f"{container} of {bands} of {bits} bits ({numbers}, {colours}, compression {packed})"


def layout_of(page: Directory) -> Layout:
    """Read the layout of a page.

    Raises:
        ValueError: a tag is damaged or missing.
    """
    width, height = page.number(Tag.WIDTH, 0), page.number(Tag.LENGTH, 0)
    if width <= 0 or height <= 0:
        raise ValueError("no width or height")
    compression = page.number(Tag.COMPRESSION, 1)
    is_jpeg = compression == 6
    num_samples = page.number(Tag.SAMPLES, 3 if is_jpeg else 1)
    photometric = page.number(Tag.PHOTOMETRIC, _usual_photometric(compression, num_samples))
    return Layout(
        width=width,
        height=height,
        photometric=YCBCR if is_jpeg else photometric,
        compression=compression,
        num_samples=num_samples,
        bits=_integers(page, Tag.BITS, 1),
        sample_formats=_integers(page, Tag.SAMPLE_FORMAT, 1),
        extra_samples=tuple(int(value) for value in page.numbers(Tag.EXTRA_SAMPLES)),
        is_planar=page.number(Tag.PLANAR, 1) == 2,
        fill_order=page.number(Tag.FILL_ORDER, 1),
        subsampling=tuple(int(value) for value in page.numbers(Tag.SUBSAMPLING)) or (2, 2),
        ink_set=page.number(Tag.INK_SET, 1),
        is_big_endian_big_tiff=page.encoded.startswith(b"MM\0+"),
        is_photometric_named=Tag.PHOTOMETRIC in page.entries,
    )


def _usual_photometric(compression: int, num_samples: int) -> int:
    """Return libtiff's default for a file without the tag. Pillow always assumes white-is-zero."""
    if num_samples >= 3:
        return RGB
    return WHITE_IS_ZERO if compression in _FAX_COMPRESSIONS else BLACK_IS_ZERO


def is_read_by_pillow(layout: Layout) -> bool:
    """Return whether Pillow reads this kind correctly. Otherwise `tiff_samples.py` does.

    Raises:
        UnsupportedKindError: neither can.
    """
    if _is_plain(layout):
        return True
    if _is_readable(layout):
        return False
    raise UnsupportedKindError(
        expected="a TIFF of grey, RGB or CMYK, or of 8 bits in other usual colours",
        got=str(layout),
        remedy="Convert it to 8-bit RGB" + (_NAME_BANDS if layout.num_samples > 1 else ""),
    )


def check_bands(layout: Layout, bands: Sequence[int]) -> None:
    """Check that some bands of a TIFF can be read, whatever its colours.

    Raises:
        UnsupportedKindError: it lacks one of them, or its samples are of another kind.
    """
    if layout.num_samples > MAX_BANDS:
        raise UnsupportedKindError(
            expected=f"a TIFF of at most {MAX_BANDS} bands", got=str(layout), remedy="Leave out bands that nobody needs"
        )
    if layout.photometric in _NO_MEASUREMENTS:
        raise UnsupportedKindError(
            expected="a TIFF whose bands are measured values, or red, green and blue",
            got=str(layout),
            remedy="Convert it to RGB, or choose no bands where the images are ordinary ones",
        )
    numbers = layout.numbers
    is_known = numbers is not None and layout.is_uniform and layout.compression in BYTE_COMPRESSIONS
    if is_known and numbers is not None and layout.bits[0] in _WHOLE_BITS[numbers] and layout.fill_order in (1, 2):
        if max(bands) <= layout.num_samples:
            return
    raise UnsupportedKindError(
        expected=f"a TIFF with the bands {', '.join(map(str, bands))}, all of one kind of real numbers",
        got=str(layout),
        remedy="Choose bands that all images have, counted from 1, or leave this one out",
    )


def _integers(page: Directory, tag: Tag, default: int) -> tuple[int, ...]:
    return tuple(int(value) for value in page.numbers(tag)) or (default,)


def _is_plain(layout: Layout) -> bool:
    is_known = layout.compression in _PILLOW_COMPRESSIONS and layout.is_uniform and layout.sample_formats[0] == 1
    if not is_known or layout.bits[0] not in (1, 2, 4, 8) or layout.fill_order not in (1, 2):
        return False
    is_palette_of_bytes = layout.photometric == PALETTE and layout.bits[0] == 8
    is_in_planes = layout.is_planar and layout.compression in BYTE_COMPRESSIONS and not is_palette_of_bytes
    is_guessed = not layout.is_photometric_named and layout.photometric != WHITE_IS_ZERO
    if is_in_planes or layout.is_big_endian_big_tiff or is_guessed:
        return False
    num_extra, bits = len(layout.extra_samples), layout.bits[0]
    if layout.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE) and layout.num_samples == 1:
        return True
    if bits != 8 or layout.fill_order != 1:
        return False
    match layout.photometric:
        case 1 | 3:  # grey or palette, with alpha
            is_known_alpha = layout.has_alpha and not (layout.photometric == PALETTE and layout.is_premultiplied)
            return layout.num_samples == 2 and is_known_alpha
        case 2:  # RGB
            return layout.num_samples == 3 + num_extra and num_extra <= 3 and not any(layout.extra_samples[1:])
        case 5:  # CMYK
            return layout.num_samples == 4 and layout.ink_set == 1
        case 6:  # YCbCr
            is_whole = layout.compression != 1 or layout.subsampling == (1, 1)
            return layout.num_samples in (1, 3) and is_whole and not layout.is_planar
        case 8:  # CIELab
            return layout.num_samples == 3 and not layout.is_planar
    return False


def _is_readable(layout: Layout) -> bool:
    numbers, num_colours = layout.numbers, layout.num_colours
    if not num_colours or numbers is None or not layout.is_uniform or layout.compression not in BYTE_COMPRESSIONS:
        return False
    if layout.bits[0] not in _WHOLE_BITS[numbers] or layout.fill_order not in (1, 2):
        return False
    if not num_colours <= layout.num_samples <= MAX_BANDS or (layout.photometric == CMYK and layout.ink_set != 1):
        return False
    if numbers is Numbers.SIGNED and layout.is_premultiplied:  # the black level is unknown, so alpha cannot be divided out
        return False
    return num_colours >= 3 or layout.num_samples == num_colours + layout.has_alpha
