"""Store blobs under keys, on disk or in any object store that fsspec supports."""

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
"""Error numbers of the system that a retry does not fix."""
S3_OPTIONS: dict[str, Any] = {
    # Else s3fs first asks for the size of a blob, to read a large one in parts.
    "max_concurrency": 1,
    # Besides these two attempts, s3fs itself retries five times if an answer breaks off or does not come.
    "config_kwargs": {"connect_timeout": 3, "read_timeout": 10, "retries": {"mode": "standard", "total_max_attempts": 2}},
}
"""Endpoint, keys and region come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on, or where else botocore looks."""
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class ObjectStore:
    """Blobs by key; a reader sees a complete blob or none.

    Every method raises StoreUnavailableError if the store does not answer, and DiskFullError if it is full.

    Args:
        url: fsspec URL of the folder or bucket: `file:///path`, `s3://bucket/prefix`.
    """

    def __init__(self, url: str) -> None:
        # Other processes write too, so a cached listing would be outdated.
        options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
        if url.startswith("s3://"):
            options |= S3_OPTIONS
        self._filesystem, root = fsspec.core.url_to_fs(url, **options)
        self._root = str(root).rstrip("/")

    def ping(self) -> None:
        """Check that the store answers and, on S3, that the bucket exists."""
        if not hasattr(self._filesystem, "call_s3"):
            self.exists("health/probe")
            return
        bucket = self._filesystem.split_path(self._root)[0]
        with _naming_outages(bucket, may_be_missing=False):
            self._filesystem.call_s3("head_bucket", Bucket=bucket)

    def put(self, key: str, content: bytes) -> None:
        """Store the bytes; a blob under the same key is replaced at once."""
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
        """Return the bytes of every key, fetched in parallel if the store can.

        Raises:
            BlobMissingError: nothing is stored under one of the keys.
        """
        paths = {key: self._path(key) for key in keys}
        if not paths:
            return {}
        with _naming_outages(next(iter(paths))):
            # Not `cat`, which reads brackets and stars in the root as a pattern.
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
                # Not `isfile`, which returns False for every error.
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
        """Remove the blob, if there is one."""
        path = self._path(key)
        with suppress(FileNotFoundError), _naming_outages(key):
            self._filesystem.rm_file(path)

    def delete_prefix(self, prefix: str) -> None:
        """Remove every blob whose key begins with the prefix and a slash."""
        path = self._path(prefix)
        with suppress(FileNotFoundError), _naming_outages(prefix):
            self._filesystem.rm(path, recursive=True)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a prefix."""
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
    """Turn errors of the store into StoreUnavailableError, except missing blobs and errors that a retry does not fix."""
    try:
        yield
    except (MemoryError, TypeError):
        raise
    # fsspec lets the errors of its clients through: OSError, or those of botocore and aiohttp.
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
            remedy="Try again in a moment. If the error stays, check VTT_STORE_URL",
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
