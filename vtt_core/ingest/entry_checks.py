"""Check the entries of an archive or folder: kind, size and number."""

from __future__ import annotations

import stat
from typing import NoReturn

from vtt_core.contract.errors import (
    ArchiveLayoutError,
    ArchiveTooLargeError,
    ImageTooManyBytesError,
    NotAFileError,
    VttError,
)
from vtt_core.contract.limits import Limits
from vtt_core.ingest.printable import printable

_NESTED = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ")
"""First bytes of archives inside an archive."""


def refuse_entries(got: str, limits: Limits) -> NoReturn:
    """Raise ArchiveTooLargeError for too many entries."""
    raise ArchiveTooLargeError(expected=f"at most {limits.max_archive_entries} entries", got=got, remedy="Send fewer images")


def refuse_size(got: str, limits: Limits) -> NoReturn:
    """Raise ArchiveTooLargeError for too many unpacked bytes."""
    raise ArchiveTooLargeError(
        expected=f"at most {limits.max_unpacked_bytes} bytes unpacked", got=got, remedy="Send fewer or smaller images"
    )


def entry_problem(path: str, mode: int, size_bytes: int, limits: Limits) -> VttError | None:
    """Return why an entry cannot be used, judged by its kind and size.

    Args:
        path: of the entry, for messages.
        mode: as in os.stat; 0 if the archive does not say.
        size_bytes: declared size.
        limits: maximum sizes.
    """
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a link" if stat.S_ISLNK(mode) else "a pipe, socket or device"
        return not_a_file(path, kind)
    return too_many_bytes(path, size_bytes, limits) if size_bytes > limits.max_image_bytes else None


def not_a_file(path: str, kind: str) -> NotAFileError:
    """Return the error for a link, a pipe or a device.

    Args:
        path: of the entry.
        kind: what it is, such as `a link`.
    """
    return NotAFileError(
        expected="an ordinary file or folder",
        got=f"{printable(path)!r}, {kind}, which is not followed",
        remedy="Put the images themselves in its place",
    )


def too_many_bytes(path: str, size_bytes: int, limits: Limits) -> ImageTooManyBytesError:
    """Return the error for an image that is too large."""
    return ImageTooManyBytesError(
        expected=f"at most {limits.max_image_bytes} bytes",
        got=f"{size_bytes} or more in {printable(path)!r}",
        remedy="Scale the image down",
    )


def checked_content(content: bytes, name: str, limits: Limits) -> bytes:
    """Return the content unchanged, if it is allowed.

    Raises:
        ImageTooManyBytesError: it is larger than an image may be.
        ArchiveLayoutError: it is an archive itself.
    """
    if len(content) > limits.max_image_bytes:
        raise too_many_bytes(name, len(content), limits)
    if content.startswith(_NESTED) or content[257:262] == b"ustar":
        raise ArchiveLayoutError(
            expected="images",
            got=f"{printable(name)!r}, which is an archive itself",
            remedy="Unpack it into its class folder",
        )
    return content
