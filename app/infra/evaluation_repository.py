"""Add, read and delete evaluations with their kept images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.domain.errors import NotFoundError
from app.infra.paging import fetch_page
from app.infra.tables import EvaluationImageRow, EvaluationRow


class EvaluationRepository:
    """Evaluations in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, rows: Sequence[EvaluationRow], images: Iterable[EvaluationImageRow]) -> None:
        """Add the evaluations of one request, and the images that are kept."""
        self._session.add_all(rows)
        self._session.flush()
        self._session.add_all(images)
        self._session.flush()

    def get(self, evaluation_id: str) -> EvaluationRow:
        """Return an evaluation.

        Raises:
            NotFoundError: there is none with this id, or it was deleted.
        """
        row = self._session.get(EvaluationRow, evaluation_id, populate_existing=True)
        if row is None:
            raise NotFoundError(
                expected="the id of an evaluation", got=repr(evaluation_id), remedy="List them with GET /v1/evaluations"
            )
        return row

    def list_page(self, model_id: str | None, cursor: str | None, limit: int) -> tuple[list[EvaluationRow], str | None]:
        """Return a page of evaluations, of one model or of all, newest first, and the cursor of the next one."""
        statement = select(EvaluationRow)
        if model_id is not None:
            statement = statement.where(EvaluationRow.model_id == model_id)
        return fetch_page(self._session, statement, cursor, limit)

    def image(self, row: EvaluationRow, image_id: str) -> EvaluationImageRow:
        """Return a kept image of an evaluation.

        Raises:
            NotFoundError: it has no such image.
        """
        image = None if row.images_of is None else self._session.get(EvaluationImageRow, image_id)
        if image is None or image.evaluation_id != row.images_of:
            kept = row.images_of is not None
            raise NotFoundError(
                expected=f"the id of a kept image of {row.id}",
                got=repr(image_id) if kept else f"{image_id!r}, and {row.id} has no images",
                remedy=f"Take one from `mistakes` of GET /v1/evaluations/{row.id}"
                if kept
                else "Evaluate the images again with ?keep_images=true",
            )
        return image

    def images(self, row: EvaluationRow) -> list[EvaluationImageRow]:
        """Return the kept images of an evaluation, by label and name."""
        statement = select(EvaluationImageRow).where(EvaluationImageRow.evaluation_id == row.images_of)
        order = (EvaluationImageRow.label, EvaluationImageRow.file_name, EvaluationImageRow.id)
        return list(self._session.scalars(statement.order_by(*order)))

    def delete(self, evaluation_id: str) -> None:
        """Delete an evaluation and the rows of the images that it has; the caller deletes their bytes.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = self.get(evaluation_id)
        self._session.execute(delete(EvaluationImageRow).where(EvaluationImageRow.evaluation_id == row.id))
        self._session.execute(update(EvaluationRow).where(EvaluationRow.images_of == row.id).values(images_of=None))
        self._session.delete(row)
        self._session.flush()
