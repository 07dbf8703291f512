"""Many-band TIFFs are measured together, shown, and cleaned without losing a band."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from PIL import Image

from tests.fixtures.band_images import LABELS, WISH, band_tiff, plain_image
from tests.fixtures.noise_images import good
from tests.fixtures.scenes import write_scene
from tests.hostile.mutations import FUZZ, mutated
from vtt_core.contract.bands import MAX_BANDS, BandChoice, BandWish
from vtt_core.contract.errors import ImageError, MetadataNotRemovableError, NotAnImageError, UnsupportedKindError
from vtt_core.contract.limits import Limits
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.ingest import strip_metadata
from vtt_core.ingest.band_images import measure_bands, measure_support, own_bands, show_support
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.strip_metadata import clean_image
from vtt_core.ingest.structure import UnknownStructureError
from vtt_core.ingest.thumbnail import make_thumbnail

SMALL = Limits(max_image_bytes=50_000, max_image_pixels=100_000)
SUPPORT_SET = SupportSet(
    (SupportClass(LABELS[0], (SupportImage("0", band_tiff(LABELS[0], 0)),)),), (SupportImage("1", band_tiff(LABELS[1], 1)),)
)


def test_a_support_set_is_shown_as_the_plain_pictures() -> None:
    choice = measure_support(SUPPORT_SET, WISH)
    assert choice == BandChoice((4, 3, 2), (100,) * 3, (4180,) * 3)
    shown = show_support(SUPPORT_SET, choice)
    assert decode_image(shown.classes[0].images[0].encoded).tobytes() == plain_image(LABELS[0], 0).tobytes()
    assert decode_image(shown.negatives[0].encoded).tobytes() == plain_image(LABELS[1], 1).tobytes()


def test_of_very_many_images_fewer_values_are_held_and_the_range_is_about_the_same() -> None:
    usual = BandWish((4, 3, 2), 2, 98)
    few = measure_bands([lambda: band_tiff(LABELS[0], 0)], usual)
    many = measure_bands([lambda: band_tiff(LABELS[0], 0)] * 400, usual)
    assert np.abs(np.subtract(few.white, many.white)).max() < 200


@pytest.mark.parametrize("num_bands", [4, 13, 20, MAX_BANDS])
@pytest.mark.parametrize("profile", [{"interleave": "pixel"}, {"interleave": "band", "compress": "deflate"}], ids=str)
def test_cleaning_keeps_every_band_and_nothing_else(tmp_path: Path, num_bands: int, profile: dict[str, Any]) -> None:
    values = np.random.default_rng(0).integers(0, 9000, (num_bands, 24, 20), dtype=np.uint16)
    sent = write_scene(tmp_path / "sent.tif", values, **profile).read_bytes()
    wish = BandWish((num_bands, 2, 1))
    clean = clean_image(sent, bands=own_bands(sent, wish))
    assert (clean.facts.image_format, clean.facts.width, clean.facts.height) == ("TIFF", 20, 24)
    assert b"WGS" not in clean.content
    (tmp_path / "clean.tif").write_bytes(clean.content)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(tmp_path / "clean.tif") as kept:
        assert np.array_equal(kept.read(), values)
    assert clean_image(clean.content, bands=own_bands(sent, wish)).content == clean.content


def test_a_tiff_that_cannot_be_cleaned_is_refused_and_no_band_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(encoded: bytes) -> bytes:
        raise UnknownStructureError("as of a file of an unusual kind")

    unknown = tuple((start, kind, give_up) for start, kind, _ in strip_metadata._BEGINNINGS)
    monkeypatch.setattr(strip_metadata, "_BEGINNINGS", unknown)
    sent = band_tiff(LABELS[0], 0)
    with pytest.raises(MetadataNotRemovableError, match="lack its bands"):
        clean_image(sent, bands=own_bands(sent, WISH))


def test_a_thumbnail_has_its_own_black_and_white() -> None:
    thumbnail = Image.open(io.BytesIO(make_thumbnail(band_tiff(LABELS[0], 0), 32, wish=WISH)))
    assert (thumbnail.format, thumbnail.size) == ("WEBP", (32, 32))


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotAnImageError, match="a TIFF with the bands 4, 3, 2"):
        own_bands(good(), WISH)
    empty = write_scene(tmp_path / "e.tif", np.full((4, 20, 20), 7, np.uint16), nodata=7)
    with pytest.raises(UnsupportedKindError, match="every pixel is missing"):
        own_bands(empty.read_bytes(), WISH)


@pytest.mark.slow
def test_damaged_files_are_refused_or_cleaned(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9000, (4, 16, 16), dtype=np.uint16)

    @FUZZ
    @given(mutated(write_scene(tmp_path / "s.tif", values).read_bytes()))
    def clean(encoded: bytes) -> None:
        with suppress(ImageError):
            assert clean_image(encoded, SMALL, own_bands(encoded, WISH, SMALL)).facts.width > 0

    clean()
