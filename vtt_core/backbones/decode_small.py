"""Decode many images with a bound on memory: each is shrunk to the backbone's side at once, and its full size dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image

from vtt_core.backbones.preprocess import resize
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.contract.manifest import Preprocessing
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image


def decode_threads(num_threads: int | None = None) -> int:
    """Return how many images may be decoded side by side, and so be in memory at their full size.

    Args:
        num_threads: cores of the job; None for as many as torch uses.
    """
    return min(num_threads if num_threads is not None else torch.get_num_threads(), usable_cores())


def decode_small(
    images: Iterable[Callable[[], bytes]],
    preprocessing: Preprocessing,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int | None = None,
) -> list[Image.Image]:
    """Return the images at the backbone's side; `preprocess` makes of them the very tensors that it makes of the full ones.

    Args:
        images: each gives the bytes of one image.
        preprocessing: of the backbone.
        limits: bounds on one image.
        num_threads: cores of the job; None for as many as torch uses.

    Raises:
        ImageError: one cannot be decoded.
    """
    with ThreadPoolExecutor(decode_threads(num_threads)) as pool:
        return list(pool.map(lambda read: resize(decode_image(read(), limits), preprocessing), images))


def decode_support(
    support_set: SupportSet, preprocessing: Preprocessing, limits: Limits = DEFAULT_LIMITS, num_threads: int | None = None
) -> list[Image.Image]:
    """Return the images of a support set as `decode_small` does, class by class."""
    encoded = [image.encoded for support_class in support_set.classes for image in support_class.images]
    return decode_small([lambda one=one: one for one in encoded], preprocessing, limits, num_threads)  # type: ignore[misc]
