"""Limits on what a user may send."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper and lower bounds on images, archives and support sets."""

    max_image_bytes: int = 20 * 2**20
    """Size of one encoded image, in bytes."""
    max_image_pixels: int = 40_000_000
    """Width times height of one image, in pixels; read from the header, before decoding."""
    min_side_pixels: int = 8
    """Shorter side of an image, in pixels."""
    max_side_ratio: float = 20.0
    """Longer side over shorter side."""
    max_archive_bytes: int = 512 * 2**20
    """Size of a zip as sent, in bytes."""
    max_unpacked_bytes: int = 2 * 2**30
    """Sum of the sizes of a zip's entries, in bytes."""
    max_archive_entries: int = 20_000
    """Number of entries of a zip or files of a folder."""
    max_compression_ratio: float = 200.0
    """Unpacked over packed size of one entry larger than 1 MiB."""
    min_way: int = 2
    """Number of classes."""
    max_way: int = 200
    """Number of classes."""
    max_shot: int = 16
    """Number of images in one class."""
    max_label_characters: int = 100
    """Length of a class label."""
    max_query_images: int = 64
    """Number of images in one prediction request."""
    max_evaluation_images: int = 1000
    """Number of labelled images in one evaluation."""


DEFAULT_LIMITS = Limits()
