"""Read a multipart form into one spool file, with a limit for each part.

Starlette's parser opens a temporary file for each part: a support set of 200 classes with 16 images would need 3,200 of
them. Here one file holds all parts. Of a part over its limit only the size is kept, so that the others can still be used.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from app.domain.errors import MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
from app.uploads.disposition import read_disposition

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MEMORY_BYTES = 2**20
"""Spool size that stays in memory; more goes to a temporary file."""
MAX_NAME_BYTES = 2**21
"""Limit of the names and text fields of a whole form, which stay in memory: about 600 bytes for each of 3,200 images."""
WRITE_BYTES = 2**18
"""Bytes that are collected before a thread writes them to the spool."""


@dataclass(frozen=True)
class FormLimits:
    """What a form may hold."""

    max_parts: int
    max_text_bytes: int
    """Size of a text field."""
    max_file_bytes: Callable[[str], int]
    """Limit of a file, by the name of its field; of a larger one only the size is kept."""
    description: str
    """What a form may hold, in words, as in "at most 64 images"."""
    example: str
    """How curl sends a file, as in "-F images=@photo.jpg"."""
    remedy: str = "Send the images in several requests"
    """What to do with more files than a form may hold."""
    long_texts: Mapping[str, int] = field(default_factory=dict)
    """Text fields that may be longer than the others, with their limits."""

    def text_bytes(self, field_name: str) -> int:
        """Return the limit of a text field."""
        return self.long_texts.get(field_name, self.max_text_bytes)


@dataclass
class FormPart:
    """One field of a form, a file or a text."""

    field_name: str
    file_name: str | None
    """None for a text field."""
    text: str = ""
    offset: int = 0
    """Where the file begins in the spool."""
    size_bytes: int = 0
    """As sent."""
    is_kept: bool = True
    """Whether the bytes are there; false for a file over its limit."""


@dataclass
class SpooledForm:
    """The parts of a form in the order they came, and their bytes."""

    spool: BinaryIO
    parts: list[FormPart] = field(default_factory=list)

    @property
    def files(self) -> list[FormPart]:
        """The parts that are files."""
        return [part for part in self.parts if part.file_name is not None]

    @property
    def texts(self) -> list[FormPart]:
        """The parts that are texts."""
        return [part for part in self.parts if part.file_name is None]

    @property
    def size_bytes(self) -> int:
        """Bytes of all files, as sent."""
        return sum(part.size_bytes for part in self.files)

    def read(self, part: FormPart) -> bytes:
        """Return the bytes of a file that was kept."""
        self.spool.seek(part.offset)
        return self.spool.read(part.size_bytes)

    @contextmanager
    def open(self, part: FormPart) -> Iterator[BinaryIO]:
        """Open a file that was kept, without copying it."""
        with io.BufferedReader(_SpoolRange(self.spool, part.offset, part.size_bytes)) as stream:
            yield cast("BinaryIO", stream)

    def close(self) -> None:
        """Remove the spool."""
        self.spool.close()


async def spool_form(content_type: str, chunks: AsyncIterator[bytes], limits: FormLimits) -> SpooledForm:
    """Read a whole form.

    Args:
        content_type: the request's header.
        chunks: the body.
        limits: what the form may hold.

    Returns:
        The form, which the caller closes.

    Raises:
        UnsupportedMediaTypeError: the body is not a multipart form.
        MalformedRequestError: it is truncated or not valid.
        RequestTooLargeError: too many parts, or a text over its limit.
    """
    form = SpooledForm(cast("BinaryIO", SpooledTemporaryFile(max_size=MEMORY_BYTES)))
    try:
        collector = _Collector(form, limits)
        parser = MultipartParser(_boundary_of(content_type, limits), collector.callbacks())
        async for chunk in chunks:
            parser.write(chunk)
            if collector.num_waiting >= WRITE_BYTES:
                await run_in_threadpool(collector.write_waiting)
        parser.finalize()
        if not collector.is_complete:
            raise _malformed("one that breaks off before its last boundary")
        if collector.num_kept < MEMORY_BYTES:
            collector.write_waiting()  # stays in memory, where a thread would cost more than the write
        else:
            await run_in_threadpool(collector.write_waiting)
    except FormParserError as error:
        form.close()
        raise _malformed(repr(str(error))) from error
    except BaseException:
        form.close()
        raise
    return form


class _Collector:
    """Collects the parts of a form from the parser's events."""

    def __init__(self, form: SpooledForm, limits: FormLimits) -> None:
        self._form = form
        self._limits = limits
        self._waiting: list[bytes] = []
        self._offset = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._text = bytearray()
        self._num_name_bytes = 0
        self._part: FormPart | None = None
        self.num_waiting = 0
        self.is_complete = False

    @property
    def num_kept(self) -> int:
        """Bytes of files so far, but for those over their limit."""
        return self._offset

    def callbacks(self) -> MultipartCallbacks:
        """Return the methods by the names of the parser's events."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }

    def write_waiting(self) -> None:
        """Append what has come since the last call to the spool."""
        self._form.spool.write(b"".join(self._waiting))
        self._waiting.clear()
        self.num_waiting = 0

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._part = None
        self._text = bytearray()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        named = read_disposition(self._headers.get(b"content-disposition", b""))
        self._count_held(len(self._headers.get(b"content-disposition", b"")))
        self._part = FormPart(named.field_name, named.file_name, offset=self._offset)
        self._form.parts.append(self._part)
        if len(self._form.parts) > self._limits.max_parts:
            raise RequestTooLargeError(
                expected=self._limits.description,
                got="more than that",
                remedy=self._limits.remedy,
            )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        part = self._part
        part.size_bytes += end - start
        if part.file_name is None:
            self._text += data[start:end]
            self._count_held(end - start)
            limit = self._limits.text_bytes(part.field_name)
            if part.size_bytes > limit:
                raise RequestTooLargeError(
                    expected=f"at most {limit} bytes in the text field {part.field_name[:80]!r}",
                    got="more",
                    remedy=f"Send files as files (with curl: {self._limits.example})",
                )
        elif part.size_bytes <= self._limits.max_file_bytes(part.field_name):
            self._waiting.append(data[start:end])
            self.num_waiting += end - start
            self._offset += end - start
        else:
            part.is_kept = False

    def _on_part_end(self) -> None:
        assert self._part is not None
        self._part.text = _decode(bytes(self._text))

    def _on_end(self) -> None:
        self.is_complete = True

    def _count_held(self, num_bytes: int) -> None:
        self._num_name_bytes += num_bytes
        if self._num_name_bytes > MAX_NAME_BYTES:
            raise RequestTooLargeError(
                expected=f"at most {MAX_NAME_BYTES} bytes of field names, file names and text fields in one form",
                got="more",
                remedy="Send shorter names, or the images in several requests",
            )


class _SpoolRange(io.RawIOBase):
    """A part of the spool as a seekable file."""

    def __init__(self, spool: BinaryIO, offset: int, size_bytes: int) -> None:
        self._spool = spool
        self._offset = offset
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))  # as a file does, which zipfile counts on
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._spool.seek(self._offset + self._position)
        content = self._spool.read(max(0, min(len(buffer), self._size_bytes - self._position)))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _boundary_of(content_type: str, limits: FormLimits) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaTypeError(
            expected="a multipart form with files",
            got=f"the content type {content_type[:80]!r}" if content_type else "no Content-Type header",
            remedy=f"Send the files as a form (with curl: {limits.example})",
        )
    if b"boundary" not in options:
        raise _malformed("no boundary in Content-Type")
    return options[b"boundary"]


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _malformed(got: str) -> MalformedRequestError:
    return MalformedRequestError(
        expected="a complete multipart/form-data body", got=got, remedy="Let an HTTP client encode the form (with curl: -F)"
    )
