"""Show images of many bands: measure black and white on all of them once, and turn each into a picture of three bands."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vtt_core.contract.bands import BandChoice, BandWish
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.support_set import SupportImage, SupportSet
from vtt_core.ingest.decode import band_values, decode_image
from vtt_core.ingest.spool import Spool

_FULLY_MEASURED = 128
"""Images whose measured values are held together. Of more images, fewer values of each are taken, so that memory suffices."""


def measure_bands(images: Sequence[Callable[[], bytes]], wish: BandWish, limits: Limits = DEFAULT_LIMITS) -> BandChoice:
    """Measure black and white on all images together.

    Args:
        images: each returns the bytes of one.
        wish: which bands, and which percentiles.
        limits: bounds on each image.

    Raises:
        ImageError: an image is no TIFF with these bands.
        UnsupportedKindError: every pixel is missing.
    """
    from vtt_core.ingest.band_values import measure_range  # noqa: PLC0415  # numpy: see vtt_core/ingest/samples.py

    step = max(1, len(images) // _FULLY_MEASURED)
    values = [band_values(read(), wish.bands, limits)[::step].copy() for read in images]
    try:
        black, white = measure_range(values, wish.low_percentile, wish.high_percentile)
    except ValueError as error:
        raise UnsupportedKindError(
            expected="images with pixels", got="images whose every pixel is missing", remedy="Leave them out"
        ) from error
    return BandChoice(wish.bands, black, white)


def own_bands(encoded: bytes, wish: BandWish, limits: Limits = DEFAULT_LIMITS) -> BandChoice:
    """Measure black and white on one image alone, to look at it before its support set is complete; as `measure_bands`."""
    return measure_bands([lambda: encoded], wish, limits)


def measure_support(support_set: SupportSet, wish: BandWish, limits: Limits = DEFAULT_LIMITS) -> BandChoice:
    """Measure black and white on a support set, images of its negative class included; errors as `measure_bands`."""
    images = [*(image for known in support_set.classes for image in known.images), *support_set.negatives]
    return measure_bands([image.read for image in images], wish, limits)


def show_support(support_set: SupportSet, choice: BandChoice, limits: Limits = DEFAULT_LIMITS) -> SupportSet:
    """Return the support set with a PNG of the chosen bands in place of each image."""
    spool = Spool()
    classes = tuple(
        replace(known, images=tuple(show_images(known.images, choice, limits, spool))) for known in support_set.classes
    )
    return replace(support_set, classes=classes, negatives=tuple(show_images(support_set.negatives, choice, limits, spool)))


def show_images(
    images: Iterable[SupportImage], choice: BandChoice, limits: Limits = DEFAULT_LIMITS, spool: Spool | None = None
) -> Iterable[SupportImage]:
    """Yield each image as a PNG of the chosen bands.

    Args:
        images: of many bands.
        choice: which bands are shown, and how.
        limits: bounds on each image.
        spool: where the PNGs are kept; None for one of their own.
    """
    spool = spool or Spool()
    for image in images:
        yield replace(image, content=spool.keep(shown_png(image.encoded, choice, limits)))


def shown_png(encoded: bytes, choice: BandChoice, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return a PNG of the chosen bands of an image; errors as `decode_image`."""
    buffer = io.BytesIO()
    decode_image(encoded, limits, choice).save(buffer, "PNG")
    return buffer.getvalue()
