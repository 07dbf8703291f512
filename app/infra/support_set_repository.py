"""Read and change support sets and their images."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, delete, func, select
from sqlalchemy.orm import Session

from app.domain.errors import GoneError, NotFoundError, SupportSetFrozenError
from app.domain.ids import SUPPORT_SET_PREFIX, new_id
from app.infra.paging import fetch_page
from app.infra.tables import SupportImageRow, SupportSetRow

_FRESH = {"populate_existing": True}


class SupportSetRepository:
    """Support sets in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, name: str, now: datetime, support_set_id: str | None = None) -> SupportSetRow:
        """Add a support set without images.

        Args:
            name: name that the user chose.
            now: the current time.
            support_set_id: an id from `new_id`, if blobs have been stored under it already.
        """
        row = SupportSetRow(id=support_set_id or new_id(SUPPORT_SET_PREFIX), name=name, empty_labels=[], created_at=now)
        self._session.add(row)
        self._session.flush()
        return row

    def get(self, support_set_id: str) -> SupportSetRow:
        """Return the support set.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
        """
        row = _check_found(self._session.get(SupportSetRow, support_set_id, populate_existing=True), support_set_id)
        check_not_deleted(row)
        return row

    def lock(self, support_set_id: str) -> SupportSetRow:
        """Return the support set, deleted or not, and lock it until the transaction ends.

        Raises:
            NotFoundError: there was never one with this id.
        """
        statement = select(SupportSetRow).where(SupportSetRow.id == support_set_id).with_for_update()
        return _check_found(self._session.scalar(statement, execution_options=_FRESH), support_set_id)

    def lock_open(self, support_set_id: str) -> SupportSetRow:
        """Return a support set that may still change, and lock it until the transaction ends.

        Raises:
            SupportSetFrozenError: a job has used it.
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
        """
        row = self.lock(support_set_id)
        check_not_deleted(row)
        check_open(row)
        return row

    def list_page(self, cursor: str | None, limit: int) -> tuple[list[SupportSetRow], str | None]:
        """Return a page of support sets that were not deleted, newest first, and the cursor of the next one."""
        return fetch_page(self._session, select(SupportSetRow).where(SupportSetRow.deleted_at.is_(None)), cursor, limit)

    def names(self, support_set_ids: Iterable[str]) -> dict[str, str]:
        """Return the names of those of these sets that were not deleted."""
        statement = select(SupportSetRow.id, SupportSetRow.name).where(SupportSetRow.id.in_(list(support_set_ids)))
        found = self._session.execute(statement.where(SupportSetRow.deleted_at.is_(None)))
        return {set_id: name for set_id, name in found.all()}

    def images(self, support_set_id: str) -> list[SupportImageRow]:
        """Return the images of a set grouped by class, the classes in the order of their first image."""
        statement = select(SupportImageRow).where(SupportImageRow.support_set_id == support_set_id)
        rows = list(self._session.scalars(statement.order_by(SupportImageRow.position)))
        first = {row.label: row.position for row in reversed(rows)}
        return sorted(rows, key=lambda row: (first[row.label], row.position))

    def shots(self, support_set_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """Return the number of images by support set and label, the labels in the order of their first image."""
        statement = (
            select(SupportImageRow.support_set_id, SupportImageRow.label, func.count())
            .where(SupportImageRow.support_set_id.in_(list(support_set_ids)))
            .group_by(SupportImageRow.support_set_id, SupportImageRow.label)
            .order_by(func.min(SupportImageRow.position))
        )
        shots: dict[str, dict[str, int]] = {}
        for support_set_id, label, shot in self._session.execute(statement).all():
            shots.setdefault(support_set_id, {})[label] = shot
        return shots

    def first_images(self, support_set_ids: Iterable[str], limit: int) -> dict[str, tuple[SupportImageRow, ...]]:
        """Return the first image of each of the first classes, at most `limit` for each set."""
        is_asked_for = SupportImageRow.support_set_id.in_(list(support_set_ids))
        firsts = (
            select(func.min(SupportImageRow.position).label("position"), SupportImageRow.support_set_id)
            .where(is_asked_for)
            .group_by(SupportImageRow.support_set_id, SupportImageRow.label)
            .subquery()
        )
        is_first = and_(
            SupportImageRow.support_set_id == firsts.c.support_set_id, SupportImageRow.position == firsts.c.position
        )
        found: dict[str, tuple[SupportImageRow, ...]] = {}
        statement = select(SupportImageRow).where(is_asked_for).join(firsts, is_first)
        for row in self._session.scalars(statement.order_by(SupportImageRow.position)):
            known = found.get(row.support_set_id, ())
            found[row.support_set_id] = (*known, row)[:limit]
        return found

    def add_images(self, rows: Iterable[SupportImageRow]) -> None:
        """Add image rows of a set that was created or locked in this transaction."""
        self._session.add_all(rows)
        self._session.flush()

    def get_image(self, support_set_id: str, image_id: str) -> SupportImageRow:
        """Return an image of the set.

        Raises:
            NotFoundError: the set has no such image.
        """
        row = self._session.get(SupportImageRow, image_id)
        if row is None or row.support_set_id != support_set_id:
            raise NotFoundError(
                expected=f"the id of an image of {support_set_id}",
                got=repr(image_id),
                remedy=f"List them with GET /v1/support-sets/{support_set_id}",
            )
        return row

    def remove_images(self, support_set_id: str, image_ids: Iterable[str] | None = None) -> None:
        """Remove some or all image rows of the set; the caller removes the blobs."""
        statement = delete(SupportImageRow).where(SupportImageRow.support_set_id == support_set_id)
        if image_ids is not None:
            statement = statement.where(SupportImageRow.id.in_(list(image_ids)))
        self._session.execute(statement)

    def freeze(self, row: SupportSetRow, now: datetime) -> None:
        """Freeze a locked set; a frozen one keeps its first time."""
        row.frozen_at = row.frozen_at or now
        self._session.flush()


def check_not_deleted(row: SupportSetRow) -> None:
    """Refuse to use a deleted set.

    Raises:
        GoneError: it was deleted.
    """
    if row.deleted_at is not None:
        raise GoneError(
            expected="a support set that exists",
            got=f"{row.id}, deleted at {row.deleted_at.isoformat(timespec='seconds')}",
            remedy="Create it again with POST /v1/support-sets",
        )


def check_open(row: SupportSetRow) -> None:
    """Refuse to change a frozen set.

    Raises:
        SupportSetFrozenError: a job has used it.
    """
    if row.frozen_at is not None:
        raise SupportSetFrozenError(
            expected="a support set that no job has used",
            got=f"{row.id}, frozen since {row.frozen_at.isoformat(timespec='seconds')}",
            remedy=f"Copy it with POST /v1/support-sets/{row.id}/copy and change the copy",
        )


def _check_found(row: SupportSetRow | None, support_set_id: str) -> SupportSetRow:
    if row is None:
        raise NotFoundError(
            expected="the id of a support set", got=repr(support_set_id), remedy="List them with GET /v1/support-sets"
        )
    return row
