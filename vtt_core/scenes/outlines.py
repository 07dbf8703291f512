"""Outline the classes of a map as GeoJSON (RFC 7946: longitude and latitude, outer rings counter-clockwise)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 7
"""Of a coordinate in degrees; the last one is a centimetre."""
Ring = list[tuple[float, float]]


def write_outlines(
    classes: NDArray[np.uint8], best: NDArray[np.float32], names: Sequence[str], crs: Any, transform: Any, path: Path
) -> bool:
    """Write a polygon for each patch of cells of one class, with the class and the mean probability of its cells.

    Args:
        classes: index of each cell; 0 is left out.
        best: probability of each cell's likeliest class.
        names: of the indices from 1.
        crs: of the map; None if it is unknown, and then nothing is written.
        transform: from cells to coordinates of the map.
        path: of the file.

    Returns:
        whether the file was written.
    """
    if crs is None:
        return False
    from rasterio.warp import transform_geom  # noqa: PLC0415  # optional

    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [\n')
        for place, (shape, index, probability) in enumerate(_patches(classes, best, transform)):
            geometry = transform_geom(crs, "EPSG:4326", shape)
            rings = [_rounded(ring, is_outer=not number) for number, ring in enumerate(geometry["coordinates"])]
            feature = {
                "type": "Feature",
                "properties": {"class": names[index - 1], "index": index, "probability": round(probability, 4)},
                "geometry": {"type": "Polygon", "coordinates": rings},
            }
            file.write((",\n" if place else "") + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")
    return True


def _patches(
    classes: NDArray[np.uint8], best: NDArray[np.float32], transform: Any
) -> Iterator[tuple[dict[str, Any], int, float]]:
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


def _rounded(ring: Ring, *, is_outer: bool) -> list[list[float]]:
    """Return a ring with short coordinates, in the direction that the standard asks for."""
    area = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(ring[:-1], ring[1:], strict=True))
    turned = ring if (area > 0) == is_outer else ring[::-1]
    return [[round(x, DIGITS), round(y, DIGITS)] for x, y in turned]
