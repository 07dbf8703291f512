"""Keep blobs under keys, on disk or in any object store that fsspec speaks to."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.domain.errors import BlobMissingError

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class ObjectStore:
    """Blobs by key; a reader sees a whole blob or none.

    Args:
        url: fsspec URL of the folder or bucket: `file:///path`, `s3://bucket/prefix`, `memory://name`.
    """

    def __init__(self, url: str) -> None:
        self._filesystem, root = fsspec.core.url_to_fs(url)
        self._root = str(root).rstrip("/")

    def put(self, key: str, content: bytes) -> None:
        """Store the bytes, replacing what was there at once."""
        path = self._path(key)
        if isinstance(self._filesystem, LocalFileSystem):
            _replace_file(Path(path), content)
        else:
            self._filesystem.pipe_file(path, content)

    def get(self, key: str) -> bytes:
        """Return the bytes.

        Raises:
            BlobMissingError: nothing is stored under the key.
        """
        try:
            return bytes(self._filesystem.cat_file(self._path(key)))
        except FileNotFoundError as error:
            raise _missing(key) from error

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the bytes of every key, fetched side by side where the store can.

        Raises:
            BlobMissingError: nothing is stored under one of the keys.
        """
        paths = {key: self._path(key) for key in keys}
        if not paths:
            return {}
        fetched: dict[str, Any] = self._filesystem.cat(list(paths.values()), on_error="return")
        by_path = {str(path): content for path, content in fetched.items()}
        for key, path in paths.items():
            content = by_path.get(path)
            if content is None or isinstance(content, FileNotFoundError):
                raise _missing(key)
            if isinstance(content, Exception):
                raise content
        return {key: bytes(by_path[path]) for key, path in paths.items()}

    def exists(self, key: str) -> bool:
        """Return whether something is stored under the key."""
        return bool(self._filesystem.isfile(self._path(key)))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix and a slash, in alphabetical order."""
        found = (str(path).removeprefix(f"{self._root}/") for path in self._filesystem.find(self._path(prefix)))
        return sorted(key for key in found if _KEY.fullmatch(key) and key.startswith(f"{prefix}/"))

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is no error."""
        try:
            self._filesystem.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with the prefix and a slash; none is no error."""
        try:
            self._filesystem.rm(self._path(prefix), recursive=True)
        except FileNotFoundError:
            return

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"expected a key of plain segments, got {key!r}")
        return f"{self._root}/{key}"


def _replace_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _missing(key: str) -> BlobMissingError:
    return BlobMissingError(
        expected=f"bytes under {key!r}", got="nothing", remedy="Check that every process has the same VTT_STORE_URL"
    )
