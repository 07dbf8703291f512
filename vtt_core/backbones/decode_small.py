"""Decode many images in little memory: each is resized to the backbone's side right after it is decoded."""

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
    """Return how many images may be decoded at once, and so be in memory at full size.

    Args:
        num_threads: cores of the job; None for torch's number of threads.
    """
    return min(num_threads if num_threads is not None else torch.get_num_threads(), usable_cores())


def decode_small(
    images: Iterable[Callable[[], bytes]],
    preprocessing: Preprocessing,
    limits: Limits = DEFAULT_LIMITS,
    num_threads: int | None = None,
) -> list[Image.Image]:
    """Return the images at the backbone's side. `preprocess` gives the same tensors for them as for the full images.

    Args:
        images: each returns the bytes of one image.
        preprocessing: of the backbone.
        limits: of one image.
        num_threads: cores of the job; None for torch's number of threads.

    Raises:
        ImageError: an image cannot be decoded.
    """
    with ThreadPoolExecutor(decode_threads(num_threads)) as pool:
        return list(pool.map(lambda read: resize(decode_image(read(), limits), preprocessing), images))


def decode_support(
    support_set: SupportSet, preprocessing: Preprocessing, limits: Limits = DEFAULT_LIMITS, num_threads: int | None = None
) -> list[Image.Image]:
    """Return the images of a support set at the backbone's side, class by class."""
    images = [image for support_class in support_set.classes for image in support_class.images]
    return decode_small([image.read for image in images], preprocessing, limits, num_threads)
