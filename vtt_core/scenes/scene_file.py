"""Read a GeoTIFF in rows of tiles, so that a scene of any size takes the memory of a few rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import (
    ImageTooComplexError,
    InputError,
    NotAnImageError,
    TruncatedImageError,
    UnsupportedKindError,
)
from vtt_core.ingest.band_values import are_numbers, colours_of
from vtt_core.ingest.optional_formats import package_for
from vtt_core.ingest.samples import Array

EXTRA = "remote-sensing"
CACHE_MIB = 64
"""Memory that GDAL keeps blocks in."""
ADAPT_WITH_BANDS = "Adapt with the bands that you want to see: vtt adapt --bands 4,3,2"
_NO_MEASUREMENTS = frozenset(
    {"palette", "cyan", "magenta", "yellow", "black", "hue", "lightness", "saturation", "Y", "Cb", "Cr"}
)
"""Meanings of bands that are no colours by themselves, as GDAL calls them."""
MAX_ROW_BYTES = 2**30
"""Most bytes of one row of the file's blocks, or of one row of tiles."""


class SceneFile:
    """An open GeoTIFF.

    Args:
        source: of rasterio.
        choice: which bands are shown; None for an 8-bit image of grey or red, green and blue.

    Raises:
        UnsupportedKindError: without a choice it is not clear what to show, or the choice does not fit.
    """

    def __init__(self, source: Any, choice: BandChoice | None) -> None:
        self._source, self._choice = source, choice
        self.path = Path(source.name)
        self.width, self.height = int(source.width), int(source.height)
        self.crs, self.transform = source.crs, source.transform
        self._bands = _bands(source, choice)
        self._check_blocks()

    def read_rows(self, top: int, num_rows: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return some rows over the whole width: colours [rows, width, 3], and which pixels have data [rows, width].

        Raises:
            TruncatedImageError: the rows are damaged.
        """
        from rasterio.errors import RasterioError  # noqa: PLC0415  # optional

        window = ((top, top + num_rows), (0, self.width))
        try:
            values: Array = np.moveaxis(self._source.read(self._bands, window=window), 0, -1)
            valid = (self._source.dataset_mask(window=window) > 0) & are_numbers(values)
        except RasterioError as error:
            raise TruncatedImageError(
                expected="a complete GeoTIFF", got=f"damaged rows {top} to {top + num_rows}", remedy="Copy the file again"
            ) from error
        if self._choice is not None:
            return colours_of(values, self._choice, valid), valid
        colours = np.broadcast_to(values, (*values.shape[:2], 3)).copy()
        colours[~valid] = 0
        return colours, valid

    def check_tile_rows(self, tile: int) -> None:
        """Refuse tiles that are so high that a row of them does not fit into memory.

        Raises:
            InputError: they are.
        """
        row_bytes = tile * self.width * 3 * 8
        if row_bytes > MAX_ROW_BYTES:
            raise InputError(
                expected=f"rows of tiles of at most {MAX_ROW_BYTES} bytes", got=f"{row_bytes}", remedy="Choose a smaller --tile"
            )

    def _check_blocks(self) -> None:
        """Check what GDAL has in memory to read one row."""
        num_rows, _ = self._source.block_shapes[0]
        item_bytes = max(np.dtype(name).itemsize for name in self._source.dtypes)
        row_bytes = num_rows * self.width * self._source.count * item_bytes
        if row_bytes > MAX_ROW_BYTES:
            raise ImageTooComplexError(
                expected=f"a scene whose rows of blocks have at most {MAX_ROW_BYTES} bytes",
                got=f"{row_bytes}",
                remedy="Write it in tiles: gdal_translate -co TILED=YES IN OUT",
            )


@contextmanager
def open_scene(path: Path, choice: BandChoice | None) -> Iterator[SceneFile]:
    """Open a GeoTIFF.

    Raises:
        FormatPackageMissingError: rasterio is not installed.
        NotAnImageError: it is no readable GeoTIFF.
        UnsupportedKindError: see `SceneFile`.
        ImageTooComplexError: reading a row would take too much memory.
    """
    rasterio = package_for("a scene", "rasterio", EXTRA)
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError  # noqa: PLC0415  # optional

    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE_MIB):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            source = rasterio.open(path.resolve(), driver="GTiff")
        except RasterioIOError as error:
            raise NotAnImageError(
                expected="a GeoTIFF",
                got=f"{str(path)!r}, which cannot be read as one",
                remedy="Convert it: gdal_translate IN OUT.tif",
            ) from error
        with source:
            yield SceneFile(source, choice)


def _bands(source: Any, choice: BandChoice | None) -> list[int]:
    """Return the bands to read, counted from 1."""
    kinds = sorted(set(source.dtypes))
    meanings = {band.name for band in source.colorinterp}
    converted = source.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE")  # by GDAL, so these are not the file's bands
    if choice is not None and converted is not None:
        meanings = {str(converted)}
    if meanings & _NO_MEASUREMENTS or (choice is not None and converted is not None):
        raise UnsupportedKindError(
            expected="a scene whose bands are measured values, or red, green and blue",
            got=f"bands of the kind {', '.join(sorted(meanings))}",
            remedy="Convert it to RGB, such as with gdal_translate -expand rgb where it has a palette",
        )
    if choice is not None:
        if max(choice.bands) > source.count or any(kind.startswith("complex") for kind in kinds):
            wanted = f"bands {', '.join(map(str, choice.bands))} of real numbers, which the adapter has learnt from"
            raise _unsupported(wanted, source, "Give a scene of the same sensor, with all of its bands")
        return list(choice.bands)
    if kinds != ["uint8"] or source.count not in (1, 3, 4):
        raise _unsupported("a scene of 8 bits in red, green and blue, or an adapter that names the bands", source)
    if source.count == 4 and source.colorinterp[3].name != "alpha":
        raise _unsupported("a fourth band that is alpha, or an adapter that names the bands", source)
    return [1] if source.count == 1 else [1, 2, 3]


def _unsupported(expected: str, source: Any, remedy: str = ADAPT_WITH_BANDS) -> UnsupportedKindError:
    return UnsupportedKindError(
        expected=expected,
        got=f"{source.count} bands of {', '.join(sorted(set(source.dtypes)))}",
        remedy=remedy,
    )
