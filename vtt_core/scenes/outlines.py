"""Outline the classes of a map as GeoJSON (RFC 7946: longitude and latitude, outer rings counter-clockwise).

Nothing crosses the antimeridian: what lies on both sides is cut there, as the standard asks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 7
"""Of a coordinate in degrees; the last one is a centimetre."""
WIDEST, HIGHEST = 180.0, 90.0
"""Largest longitude and latitude."""
TURN = 360.0
NO_PLACE = "The scene names no coordinate system that leads to longitude and latitude, so no GeoJSON was written."
Ring = list[tuple[float, float]]
Geometry = dict[str, Any]


def write_outlines(
    classes: NDArray[np.uint8], best: NDArray[np.float32], names: Sequence[str], crs: Any, transform: Any, path: Path
) -> str | None:
    """Write a polygon for each patch of cells of one class, with the class and the mean probability of its cells.

    Args:
        classes: index of each cell; 0 is left out.
        best: probability of each cell's likeliest class.
        names: of the indices from 1.
        crs: of the map; None if it is unknown, and then nothing is written.
        transform: from cells to coordinates of the map.
        path: of the file.

    Returns:
        Why the file was not written; None if it was.
    """
    if crs is None or transform.is_degenerate:
        return NO_PLACE
    from rasterio._err import CPLE_BaseError  # noqa: PLC0415  # optional; GDAL's own errors have no public name
    from rasterio.errors import RasterioError  # noqa: PLC0415

    try:
        with path.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [\n')
            for place, (geometry, index, probability) in enumerate(_placed(classes, best, crs, transform)):
                feature = {
                    "type": "Feature",
                    "properties": {"class": names[index - 1], "index": index, "probability": round(probability, 4)},
                    "geometry": geometry,
                }
                file.write((",\n" if place else "") + json.dumps(feature, ensure_ascii=False))
            file.write("\n]}\n")
    except (CPLE_BaseError, RasterioError, _BeyondTheEarthError):
        path.unlink()
        return NO_PLACE
    return None


class _BeyondTheEarthError(Exception):
    """A corner has no longitude and latitude."""


def _placed(
    classes: NDArray[np.uint8], best: NDArray[np.float32], crs: Any, transform: Any
) -> Iterator[tuple[Geometry, int, float]]:
    """Yield each patch in degrees, its class, and its mean probability."""
    from rasterio.warp import transform_geom  # noqa: PLC0415  # optional

    if crs.is_geographic and transform.b == transform.d == 0:
        patches = _on_the_globe(classes, best, transform)
    else:
        patches = _patches(classes, best, transform)
    for shape, index, probability in patches:
        yield _rounded(transform_geom(crs, "EPSG:4326", shape)), index, probability


def _on_the_globe(
    classes: NDArray[np.uint8], best: NDArray[np.float32], transform: Any
) -> Iterator[tuple[Geometry, int, float]]:
    """Yield the patches of a map in degrees, cut at the antimeridian and at the poles.

    The cells of each turn around the globe are outlined by themselves, and those on its edge end there.
    """
    height, width = classes.shape
    x = transform.c + transform.a * np.arange(width + 1)
    y = transform.f + transform.e * np.arange(height + 1)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or abs(x).max() > 10 * TURN:
        raise _BeyondTheEarthError
    rows = _cells_between(y, -HIGHEST, HIGHEST)
    for turn in range(math.floor((x.min() + WIDEST) / TURN), math.ceil((x.max() + WIDEST) / TURN)):
        west = turn * TURN - WIDEST
        columns = _cells_between(x, west, west + TURN)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        part = type(transform)(transform.a, 0, x[columns.start], 0, transform.e, y[rows.start])
        for shape, index, probability in _patches(
            np.ascontiguousarray(classes[rows, columns]), np.ascontiguousarray(best[rows, columns]), part
        ):
            rings = [
                [(min(max(px, west), west + TURN) - turn * TURN, min(max(py, -HIGHEST), HIGHEST)) for px, py in ring]
                for ring in shape["coordinates"]
            ]
            yield {"type": "Polygon", "coordinates": rings}, index, probability


def _cells_between(edges: NDArray[np.float64], low: float, high: float) -> slice:
    """Return which cells lie between two places, at least in part."""
    inside = np.flatnonzero((np.maximum(edges[:-1], edges[1:]) > low) & (np.minimum(edges[:-1], edges[1:]) < high))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _patches(classes: NDArray[np.uint8], best: NDArray[np.float32], transform: Any) -> Iterator[tuple[Geometry, int, float]]:
    """Yield the outline of each patch in the map's coordinates, its class, and its mean probability."""
    from rasterio.features import rasterize, shapes  # noqa: PLC0415  # optional

    found = [(shape, int(index)) for shape, index in shapes(classes, mask=classes > 0, transform=transform)]
    if not found:
        return
    numbered = ((shape, number) for number, (shape, _) in enumerate(found, start=1))
    patch = rasterize(numbered, out_shape=classes.shape, transform=transform, dtype="int32")
    counts = np.bincount(patch.ravel(), minlength=len(found) + 1)
    sums = np.bincount(patch.ravel(), weights=best.ravel(), minlength=len(found) + 1)
    for number, (shape, index) in enumerate(found, start=1):
        yield shape, index, float(sums[number] / max(1, counts[number]))


def _rounded(geometry: Geometry) -> Geometry:
    """Return a polygon, or several, with short coordinates and each ring in the direction that the standard asks for."""
    is_single = geometry["type"] == "Polygon"
    polygons = [geometry["coordinates"]] if is_single else geometry["coordinates"]
    rounded = [[_rounded_ring(ring, is_outer=not number) for number, ring in enumerate(rings)] for rings in polygons]
    return {"type": geometry["type"], "coordinates": rounded[0] if is_single else rounded}


def _rounded_ring(ring: Ring, *, is_outer: bool) -> list[list[float]]:
    if not all(abs(x) <= WIDEST and abs(y) <= HIGHEST for x, y in ring):  # a NaN fails too
        raise _BeyondTheEarthError
    area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(ring[:-1], ring[1:], strict=True))
    turned = ring if (area > 0) == is_outer else ring[::-1]
    return [[round(x, DIGITS), round(y, DIGITS)] for x, y in turned]
