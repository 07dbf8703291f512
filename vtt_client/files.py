"""Images on disk, as they are sent."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, TypeAlias
from zipfile import is_zipfile

from vtt_client.errors import BadInputError

Image: TypeAlias = str | Path | tuple[str, bytes]
"""A path, or a name and the bytes of a file."""
LabelledImages: TypeAlias = str | Path | Mapping[str, Sequence[Image]]
"""A folder with a folder per class, a zip of one, or the images of each class by its label."""
Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done and what is to be done in all."""
Groups: TypeAlias = Mapping[str, str] | str | Path
"""By file name, what images have in common, such as the patient; or a file of CSV or JSON that says so."""
MAX_REQUEST_BYTES = 100 * 2**20
"""Bytes of images in one request for predictions."""


class CountedFile:
    """A file that tells how much of it was read, as a request is sent.

    Args:
        file: open for reading.
        size_bytes: of the file.
        progress: told after each read.
    """

    def __init__(self, file: IO[bytes], size_bytes: int, progress: Progress | None) -> None:
        self._file, self._size_bytes, self._progress = file, size_bytes, progress

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._file.read(size)
        if self._progress is not None and data:
            self._progress(self._file.tell(), self._size_bytes)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere: to the beginning, where a request is sent again."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def fileno(self) -> int:
        """Return the descriptor, which tells the length."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def packed(source: str | Path, progress: Progress | None = None) -> CountedFile:
    """Return the images of a folder as an open zip, or a zip as it is.

    Args:
        source: folder with a folder per class, or a zip of one.
        progress: told the bytes that were sent.

    Raises:
        BadInputError: it is neither, or the folder has no file.
    """
    path = Path(source)
    if path.is_file():
        return CountedFile(path.open("rb"), path.stat().st_size, progress)
    names = files_below(path)
    archive = TemporaryFile()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packing:
        for file in names:
            packing.write(file, file.relative_to(path))
    size_bytes = archive.tell()
    archive.seek(0)
    return CountedFile(archive, size_bytes, progress)


def files_below(folder: str | Path) -> list[Path]:
    """Return the files in a folder and its folders by name, without hidden ones.

    Raises:
        BadInputError: there is no such folder, or it has no file.
    """
    path = Path(folder)
    found = [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(file.relative_to(path))]
    if found:
        return found
    raise BadInputError(
        code="client.no_images",
        title="No images",
        expected="a folder with images",
        got=f"{str(folder)!r}, which " + ("has no file" if path.is_dir() else "is no folder"),
        remedy="Check the path",
    )


def image_part(image: Image, folder: Path | None = None) -> tuple[str, tuple[str, bytes]]:
    """Return the form field of an image.

    Args:
        image: path, or name and bytes.
        folder: that a path's name is relative to; None for the name alone.

    Raises:
        BadInputError: the file cannot be read.
    """
    if isinstance(image, tuple):
        return "images", image
    path = Path(image)
    return "images", (path.name if folder is None else path.relative_to(folder).as_posix(), _read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            code="client.unreadable_file",
            title="Unreadable file",
            expected="a file that can be read",
            got=f"{str(path)!r}: {error.strerror or error}",
            remedy="Check the path",
        ) from error


def in_requests(images: Sequence[Path], most: int, max_bytes: int = MAX_REQUEST_BYTES) -> Iterator[list[Path]]:
    """Yield the images in parts that a request takes.

    Args:
        images: files.
        most: images in a part.
        max_bytes: of the files of a part; a larger file is a part of its own.
    """
    part: list[Path] = []
    num_bytes = 0
    for image in images:
        size = image.stat().st_size
        if part and (len(part) == most or num_bytes + size > max_bytes):
            yield part
            part, num_bytes = [], 0
        part.append(image)
        num_bytes += size
    if part:
        yield part


@contextmanager
def form_of(source: LabelledImages, progress: Progress | None, groups: Groups | None = None) -> Iterator[list[tuple[str, Any]]]:
    """Give the form fields of labelled images: a zip, or a field per class.

    Args:
        source: folder, zip, or images by label.
        progress: told the bytes of a zip that were sent.
        groups: by file name, what images have in common.
    """
    more = [("groups", (None, _groups_text(groups)))] if groups else []
    if isinstance(source, Mapping):
        yield [*((label, image_part(image)[1]) for label, images in source.items() for image in images), *more]
        return
    with _zip_field(source, progress) as field:
        yield [field, *more]


@contextmanager
def images_form(source: Image | Sequence[Image], progress: Progress | None) -> Iterator[list[tuple[str, Any]]]:
    """Give the form fields of images without labels: a zip, or a field for each image.

    Args:
        source: folder, zip, an image, or several images.
        progress: told the bytes of a zip that were sent.
    """
    if isinstance(source, str | Path) and (Path(source).is_dir() or is_zipfile(source)):
        with _zip_field(source, progress) as field:
            yield [field]
        return
    images: Sequence[Any] = [source] if isinstance(source, str | Path) or _is_named(source) else source
    yield [image_part(image) for image in images]


@contextmanager
def _zip_field(source: str | Path, progress: Progress | None) -> Iterator[tuple[str, Any]]:
    archive = packed(source, progress)
    try:
        yield "archive", ("images.zip", archive, "application/zip")
    finally:
        archive.close()


def _groups_text(groups: Groups) -> bytes:
    return json.dumps(dict(groups)).encode() if isinstance(groups, Mapping) else _read(Path(groups))


def _is_named(source: object) -> bool:
    """Say whether this is one image with its bytes, and not several images."""
    return isinstance(source, tuple) and len(source) == 2 and isinstance(source[1], bytes)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)
