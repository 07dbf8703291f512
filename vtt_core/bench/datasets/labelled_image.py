"""Describe one image of a data set whose bytes are read only when they are asked for."""

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
"""Bounds for data on this machine: a data set is larger than any upload. The pixels stay under Pillow's own bound."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image and the class that it truly is."""

    name: str
    """`<class>/<file>` or what comes closest to it, for messages."""
    label: str
    """Class name as a prompt says it."""
    group: str | None
    """What must not be on both sides of an episode: a patient or a lesion. None where that is unknown or was not asked for."""
    read: Callable[[], bytes]
    """Returns the encoded image, in a format that `decode_image` knows."""


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
    """Return an image of a format that `decode_image` does not open, such as PPM, as PNG; no pixel changes.

    Raises:
        DatasetFileError: it cannot be read or decoded.
    """
    try:
        with Image.open(io.BytesIO(read_file(path))) as image:
            return to_png(image)
    except DatasetFileError:
        raise
    except Exception as error:  # damaged bytes make the decoders raise about anything
        raise DatasetFileError(
            expected="a complete image", got=f"{path!r} ({str(error)[:120]})", remedy="Unpack the download again"
        ) from error


def to_png(image: Image.Image) -> bytes:
    """Encode an image without loss, quickly rather than small."""
    encoded = io.BytesIO()
    image.save(encoded, format="PNG", compress_level=1)
    return encoded.getvalue()
