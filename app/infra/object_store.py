"""Keep blobs under keys, on disk or in any object store that fsspec speaks to."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from app.domain.errors import BlobMissingError, StoreUnavailableError
from app.infra.disk import disk_full_error

LASTING = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Errors of the system that trying again does not mend."""
S3_OPTIONS: dict[str, Any] = {
    # One request a blob: a second one would ask for its size first, to read a large one in pieces.
    "max_concurrency": 1,
    # Beside these two attempts s3fs itself tries five times where an answer breaks off or does not come.
    "config_kwargs": {"connect_timeout": 3, "read_timeout": 10, "retries": {"mode": "standard", "total_max_attempts": 2}},
}
"""Endpoint, keys and region come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, or from wherever botocore finds them."""
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class ObjectStore:
    """Blobs by key; a reader sees a whole blob or none.

    Every method raises StoreUnavailableError while the store does not answer, and DiskFullError where it has no room.

    Args:
        url: fsspec URL of the folder or bucket: `file:///path`, `s3://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        # Other processes write as well, so a listing that is kept would be outdated.
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if url.startswith("s3://"):
            options |= S3_OPTIONS
        self._filesystem, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")

    def ping(self) -> None:
        """Check that the store answers and, where it has buckets, that ours is there."""
        if not hasattr(self._filesystem, "call_s3"):
            self.exists("health/probe")
            return
        bucket = self._filesystem.split_path(self._root)[0]
        with _naming_outages(bucket, may_be_missing=False):
            self._filesystem.call_s3("head_bucket", Bucket=bucket)

    def put(self, key: str, content: bytes) -> None:
        """Store the bytes, replacing what was there at once."""
        path = self._path(key)
        with _naming_outages(key, may_be_missing=False):
            if isinstance(self._filesystem, LocalFileSystem):
                _replace_file(Path(path), content)
            else:
                self._filesystem.pipe_file(path, content)

    def get(self, key: str) -> bytes:
        """Return the bytes.

        Raises:
            BlobMissingError: nothing is stored under the key.
        """
        path = self._path(key)
        try:
            with _naming_outages(key):
                return bytes(self._filesystem.cat_file(path))
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
        with _naming_outages(next(iter(paths))):
            # Not `cat`, which takes brackets and stars in the root for a pattern.
            fetched = self._filesystem.cat_ranges(list(paths.values()), None, None, on_error="return")
        contents: dict[str, bytes] = {}
        for key, content in zip(paths, fetched, strict=True):
            if isinstance(content, FileNotFoundError):
                raise _missing(key) from content
            if isinstance(content, Exception):
                with _naming_outages(key):
                    raise content
            contents[key] = bytes(content)
        return contents

    def exists(self, key: str) -> bool:
        """Return whether something is stored under the key."""
        path = self._path(key)
        with _naming_outages(key):
            try:
                # Not `isfile`, which takes every failure for an absence.
                return str(self._filesystem.info(path)["type"]) == "file"
            except FileNotFoundError:
                return False

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with the prefix and a slash, in alphabetical order."""
        path = self._path(prefix)
        with _naming_outages(prefix):
            found = [str(found).removeprefix(f"{self._root}/") for found in self._filesystem.find(path)]
        return sorted(key for key in found if _KEY.fullmatch(key) and key.startswith(f"{prefix}/"))

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is no error."""
        path = self._path(key)
        with suppress(FileNotFoundError), _naming_outages(key):
            self._filesystem.rm_file(path)

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with the prefix and a slash; none is no error."""
        path = self._path(prefix)
        with suppress(FileNotFoundError), _naming_outages(prefix):
            self._filesystem.rm(path, recursive=True)

    def folders(self, prefix: str) -> list[str]:
        """Return the names right below a prefix that have blobs below them."""
        path = self._path(prefix)
        with _naming_outages(prefix):
            try:
                found = self._filesystem.ls(path, detail=True)
            except FileNotFoundError:
                return []
        return sorted(str(entry["name"]).rstrip("/").rsplit("/", 1)[1] for entry in found if entry["type"] == "directory")

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise ValueError(f"expected a key of plain segments, got {key!r}")
        return f"{self._root}/{key}"


@contextmanager
def _naming_outages(key: str, *, may_be_missing: bool = True) -> Iterator[None]:
    """Give every way in which a store may fail to answer one name; what is missing or lasting keeps its own."""
    try:
        yield
    except (MemoryError, TypeError):
        raise
    # File systems of fsspec raise what their clients raise: OSError here, errors of botocore or aiohttp there.
    except Exception as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            raise
        if isinstance(error, OSError) and error.errno in LASTING:
            raise
        if (full := disk_full_error(error)) is not None:
            raise full from error
        raise StoreUnavailableError(
            expected=f"a store that answers for {key!r}",
            got=f"{type(error).__name__}: {str(error)[:300]}",
            remedy="Try again in a moment; check VTT_STORE_URL if it stays",
        ) from error


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
