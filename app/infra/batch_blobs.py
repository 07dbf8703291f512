"""Keep the images and the results of a batch in the store, one blob a chunk.

    <key>/images/<chunk>      a zip, stored: `files.json`, and each image by its place
    <key>/results/<chunk>     a JSON list, a result for each image

A chunk is one blob, since thousands of small ones would each have to be synced to disk.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.infra.object_store import ObjectStore

_FILES = "files.json"


@dataclass(frozen=True)
class SentImage:
    """A file of a batch as it was sent, not yet known to be an image."""

    file: str
    """Its name, to be shown."""
    content: bytes | None
    """None if it cannot be used."""
    refusal: dict[str, Any] | None = None
    """The result of a file that cannot be used."""


class BatchBlobs:
    """The blobs of one batch.

    Args:
        store: holds them.
        blob_key: their prefix.
    """

    def __init__(self, store: ObjectStore, blob_key: str) -> None:
        self._store = store
        self._key = blob_key

    def put_images(self, chunk: int, images: Sequence[SentImage]) -> None:
        """Store the images of a chunk."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            facts = [{"file": image.file, "refusal": image.refusal} for image in images]
            archive.writestr(_FILES, json.dumps(facts))
            for place, image in enumerate(images):
                if image.content is not None:
                    archive.writestr(str(place), image.content)
        self._store.put(self._images_key(chunk), buffer.getvalue())

    def images(self, chunk: int) -> list[SentImage]:
        """Return the images of a chunk; raises BlobMissingError."""
        with zipfile.ZipFile(io.BytesIO(self._store.get(self._images_key(chunk)))) as archive:
            return [
                SentImage(fact["file"], None if fact["refusal"] else archive.read(str(place)), fact["refusal"])
                for place, fact in enumerate(json.loads(archive.read(_FILES)))
            ]

    def put_results(self, chunk: int, results: Sequence[dict[str, Any]]) -> None:
        """Store the results of a chunk."""
        self._store.put(self._results_key(chunk), json.dumps(results).encode())

    def results(self, num_chunks: int) -> Iterator[dict[str, Any]]:
        """Yield the results of all images, a chunk in memory at a time; raises BlobMissingError."""
        for chunk in range(num_chunks):
            yield from json.loads(self._store.get(self._results_key(chunk)))

    def delete_images(self, chunk: int) -> None:
        """Remove the images of a chunk."""
        self._store.delete(self._images_key(chunk))

    def clear(self, *, keeps_results: bool) -> None:
        """Remove what is no longer needed: the images, or everything."""
        self._store.delete_prefix(f"{self._key}/images" if keeps_results else self._key)

    def _images_key(self, chunk: int) -> str:
        return f"{self._key}/images/{chunk}"

    def _results_key(self, chunk: int) -> str:
        return f"{results_prefix(self._key)}/{chunk}"


def results_prefix(blob_key: str) -> str:
    """Return the prefix of a batch's results."""
    return f"{blob_key}/results"
