"""Maps of large scenes: a GeoTIFF is read in rows of tiles, and each tile is classified."""
