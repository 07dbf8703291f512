"""Turn a colour space given as code numbers (ITU-T H.273, in AVIF and in PNG's cICP) into an ICC profile."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vtt_core.contract.errors import UnsupportedKindError

_BT709, _BT2020, _DISPLAY_P3 = (0, 1, 2, 5, 6), 9, 12
_COLORANTS = {
    _BT2020: ((0.67348, 0.27904, -0.00193), (0.16566, 0.67534, 0.02998), (0.12505, 0.04561, 0.79686)),
    _DISPLAY_P3: ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
}
"""XYZ of red, green and blue under D50, the white of ICC profiles."""
_WHITE = (0.96420, 1.0, 0.82491)
_SRGB_CURVE = struct.pack(
    ">4sIHH5i", b"para", 0, 3, 0, *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)
_CURVES = {
    **dict.fromkeys((0, 1, 2, 6, 13, 14, 15), _SRGB_CURVE),
    4: struct.pack(">4sIIH", b"curv", 0, 1, round(2.2 * 256)),
    5: struct.pack(">4sIIH", b"curv", 0, 1, round(2.8 * 256)),
    8: struct.pack(">4sII", b"curv", 0, 0),
}
_SRGB_COLORANTS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
_HDR = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class CodedColours:
    """A colour space by its code numbers."""

    primaries: int
    transfer: int


def profile_of(colours: CodedColours) -> bytes | None:
    """Return an ICC profile of the colour space, or None for sRGB.

    The transfer curve of video (BT.709 and similar) is read as sRGB's, as browsers do: many files with sRGB pixels have
    these numbers.

    Raises:
        UnsupportedKindError: the colours have a high dynamic range, or the space is not supported.
    """
    is_usual = colours.primaries in _BT709
    colorants = _SRGB_COLORANTS if is_usual else _COLORANTS.get(colours.primaries)
    curve = _CURVES.get(colours.transfer)
    if colorants is None or curve is None:
        hdr = _HDR.get(colours.transfer)
        raise UnsupportedKindError(
            expected="colours of sRGB, Display P3 or BT.2020 of standard range",
            got=f"a picture of high dynamic range ({hdr})"
            if hdr
            else f"the colour space {colours.primaries}/{colours.transfer}",
            remedy="Convert it to 8-bit sRGB",
        )
    return None if is_usual and curve is _SRGB_CURVE else _profile(colorants, curve)


def _profile(colorants: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """Return a profile with three colorants and one curve (ICC.1:2010)."""
    names = (b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    values = [_xyz(_WHITE), *(_xyz(colorant) for colorant in colorants), *(curve,) * 3]
    table, content = struct.pack(">I", len(names)), b""
    start = 128 + 4 + 12 * len(names)
    for name, value in zip(names, values, strict=True):
        table += struct.pack(">4sII", name, start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = start + len(content)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + b"".join(struct.pack(">i", round(value * 65536)) for value in _WHITE)
    return head.ljust(128, b"\0") + table + content


def _xyz(values: tuple[float, ...]) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(value * 65536) for value in values))
