"""All 16 bits of a PNG are used, not only the upper 8."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fixtures.pictures import difference, known_alpha, known_grey, known_rgb
from tests.fixtures.png_writer import png_chunk, write_png
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.png_header import read_png_header
from vtt_core.ingest.png_samples import samples_of


@pytest.mark.parametrize("num_bands", [1, 2, 3, 4])
def test_every_bit_is_read(num_bands: int) -> None:
    written = np.random.default_rng(0).integers(0, 65536, (30, 40, num_bands)).astype(np.uint16)
    encoded = write_png(written, 16)
    samples = samples_of(encoded, read_png_header(encoded))
    assert np.array_equal(np.concatenate([block for _, block in samples.blocks()]), written)


@pytest.mark.parametrize(("white", "bits"), [(4095, 12), (65535, 12), (65535, 16), (1023, 10)])
def test_sbit_says_which_white_is_meant(white: int, bits: int) -> None:
    """By the standard values are scaled to 16 bits; some programs leave them as they are."""
    values = (known_grey() * (white / 255)).round().astype(np.uint16)
    encoded = write_png(values, 16, png_chunk(b"sBIT", bytes([bits])))
    assert difference(decode_image(encoded), known_grey()) <= 1


def test_a_dark_picture_with_sbit_is_not_lifted() -> None:
    dark = known_grey() // 10
    encoded = write_png(dark.astype(np.uint16) * 257, 16, png_chunk(b"sBIT", bytes([12])))
    assert difference(decode_image(encoded), dark) <= 1


def test_12_bits_in_16_with_alpha_of_12_bits_too() -> None:
    samples = np.concatenate([known_rgb(), np.full_like(known_alpha(), 255)], axis=-1).astype(np.uint16) * 16
    assert difference(decode_image(write_png(samples, 16)), known_rgb()) <= 2
