"""Keep the images of an evaluation in the store, without their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.domain.errors import DiskFullError, StoreUnavailableError
from app.domain.ids import IMAGE_PREFIX, new_id
from app.evaluations.query_images import QueryImage
from app.infra.object_store import ObjectStore
from app.infra.outages import DATABASE_AWAY
from app.infra.tables import EvaluationImageRow
from vtt_core.ingest.strip_metadata import CleanImage


class KeptImages:
    """The images of one request that are kept.

    Args:
        store: takes them.
        evaluation_id: whose images they are.
        prefix: of the images in the store.
    """

    def __init__(self, store: ObjectStore, evaluation_id: str, prefix: str) -> None:
        self._store = store
        self._evaluation_id = evaluation_id
        self._prefix = prefix
        self.rows: list[EvaluationImageRow] = []

    def keep(self, image: QueryImage, clean: CleanImage) -> str:
        """Store an image, and return its id."""
        image_id = new_id(IMAGE_PREFIX)
        row = EvaluationImageRow(
            id=image_id,
            evaluation_id=self._evaluation_id,
            label=image.label,
            file_name=image.name,
            sha256=image.sha256,
            size_bytes=len(clean.content),
            image_format=clean.facts.image_format,
            blob_key=f"{self._prefix}/{image_id}",
        )
        self.rows.append(row)
        self._store.put(row.blob_key, clean.content)
        return image_id

    @contextmanager
    def removed_on_failure(self) -> Iterator[None]:
        """Leave no bytes behind when the rows that would name them are not committed."""
        try:
            yield
        except DATABASE_AWAY:
            # The commit may have arrived although its answer did not, and rows without bytes are worse than bytes without rows.
            raise
        except BaseException:
            with suppress(StoreUnavailableError, DiskFullError):
                for row in self.rows:
                    self._store.delete(row.blob_key)
            raise
