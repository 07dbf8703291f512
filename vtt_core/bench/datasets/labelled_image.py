"""One image of a data set, whose bytes are read on request."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from vtt_core.contract.errors import DatasetFileError
from vtt_core.contract.limits import DEFAULT_LIMITS

LOCAL_LIMITS = replace(
    DEFAULT_LIMITS,
    max_image_bytes=2**28,
    max_image_pixels=178_000_000,
    min_side_pixels=1,
    max_side_ratio=1000.0,
    max_archive_bytes=2**41,
    max_unpacked_bytes=2**41,
    max_archive_entries=20_000_000,
)
"""Limits for data on this machine: a data set is larger than any upload. The pixels stay under Pillow's own limit."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its true class."""

    name: str
    """`<class>/<file>` or something similar, for messages."""
    label: str
    """Class name in the prompt."""
    group: str | None
    """A patient or a lesion, which must not be in both the support set and the queries. None if unknown or not requested."""
    read: Callable[[], bytes]
    """Returns the encoded image, in a format that `decode_image` supports."""


def read_file(path: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        DatasetFileError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise DatasetFileError(
            expected="a readable file", got=f"{path!r} ({error.strerror})", remedy="Check the path and its permissions"
        ) from error


def read_as_png(path: str) -> bytes:
    """Convert an image that `decode_image` does not support, such as PPM, to PNG without changing its pixels.

    Raises:
        DatasetFileError: it cannot be read or decoded.
    """
    try:
        with Image.open(io.BytesIO(read_file(path))) as image:
            return to_png(image)
    except DatasetFileError:
        raise
    except Exception as error:  # damaged bytes can make the decoders raise almost anything
        raise DatasetFileError(
            expected="a complete image", got=f"{path!r} ({str(error)[:120]})", remedy="Unpack the download again"
        ) from error


def to_png(image: Image.Image) -> bytes:
    """Encode an image as PNG, for speed rather than size."""
    encoded = io.BytesIO()
    image.save(encoded, format="PNG", compress_level=1)
    return encoded.getvalue()
