"""Read and delete models, and move the aliases that point to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain.errors import GoneError, InterimModelError, ModelNotReadyError, NotFoundError
from app.domain.ids import JOB_PREFIX, MODEL_PREFIX
from app.domain.jobs import JobState
from app.infra.paging import fetch_page, fetch_page_by_name
from app.infra.tables import AliasRow, ExportRow, JobRow, ModelRow


class ModelRepository:
    """Models and aliases in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, model_id: str) -> ModelRow:
        """Return a model by its id.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
        """
        row = self._session.get(ModelRow, model_id, populate_existing=True)
        if row is None:
            raise NotFoundError(
                expected="the id of a model, or an alias", got=repr(model_id), remedy="List the models with GET /v1/models"
            )
        if row.deleted_at is not None:
            raise GoneError(
                expected="a model that exists",
                got=f"{row.id}, deleted at {row.deleted_at.isoformat(timespec='seconds')}",
                remedy=self._instead_of(row) or "Choose another one with GET /v1/models, or create the job again",
            )
        return row

    def get_lasting(self, model_id: str) -> ModelRow:
        """Return a model that exists until its owner deletes it.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted.
            InterimModelError: the service will delete it when its job succeeds.
        """
        row = self.get(model_id)
        if row.is_interim and not JobState(self._session.get_one(JobRow, row.job_id).state).is_final:
            raise InterimModelError(
                expected="a model that stays",
                got=f"{row.id}, which the model of {row.job_id} will replace",
                remedy=f"Wait for that one with GET /v1/jobs/{row.job_id}/events",
            )
        return row

    def resolve(self, reference: str) -> ModelRow:
        """Return the model for its id, an alias, or the id of the job that published it.

        Raises:
            NotFoundError: nothing has this id or alias.
            GoneError: the model was deleted, or the job without having published one.
            ModelNotReadyError: the job has not published a model.
        """
        if reference.startswith(JOB_PREFIX):
            return self._published_by(reference)
        # No alias has an underscore, so an id needs no second query.
        alias = None if reference.startswith(MODEL_PREFIX) else self._find_alias(reference)
        return self.get(alias.model_id if alias is not None else reference)

    def list_page(self, cursor: str | None, limit: int) -> tuple[list[ModelRow], str | None]:
        """Return a page of models that were not deleted, newest first, and the cursor of the next one."""
        return fetch_page(self._session, select(ModelRow).where(ModelRow.deleted_at.is_(None)), cursor, limit)

    def ids_by_job(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return the ids of the models that the jobs have ended with, including deleted ones."""
        statement = select(ModelRow.job_id, ModelRow.id).where(ModelRow.job_id.in_(list(job_ids)), ~ModelRow.is_interim)
        return {job_id: model_id for job_id, model_id in self._session.execute(statement).all()}

    def interim_ids_by_job(self, job_ids: Iterable[str]) -> dict[str, str]:
        """Return the ids of the interim models of the jobs that were not deleted."""
        is_there = (ModelRow.is_interim, ModelRow.deleted_at.is_(None))
        statement = select(ModelRow.job_id, ModelRow.id).where(ModelRow.job_id.in_(list(job_ids)), *is_there)
        return {job_id: model_id for job_id, model_id in self._session.execute(statement).all()}

    def taken_names(self, names: Iterable[str]) -> set[str]:
        """Return those of the names that a model has which was not deleted."""
        has_name = ModelRow.name.in_(list(names))
        return set(self._session.scalars(select(ModelRow.name).where(has_name, ModelRow.deleted_at.is_(None)).distinct()))

    def list_of_set(self, support_set_id: str) -> list[ModelRow]:
        """Return the models that were learnt from a support set and not deleted, newest first."""
        of_set = select(JobRow.id).where(JobRow.support_set_id == support_set_id)
        statement = select(ModelRow).where(ModelRow.job_id.in_(of_set), ModelRow.deleted_at.is_(None))
        return list(self._session.scalars(statement.order_by(ModelRow.created_at.desc())))

    def aliases(self, model_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return the aliases of each model, in alphabetical order."""
        statement = select(AliasRow).where(AliasRow.model_id.in_(list(model_ids))).order_by(AliasRow.name)
        names: dict[str, list[str]] = {}
        for row in self._session.scalars(statement):
            names.setdefault(row.model_id, []).append(row.name)
        return names

    def delete(self, model_id: str, now: datetime) -> ModelRow:
        """Mark a model as deleted. Its aliases stay and report that it was deleted; the caller deletes its files.

        Its exports are removed by the reaper.

        Raises:
            NotFoundError: there was never one with this id.
            GoneError: it was deleted before.
        """
        row = self.get(model_id)
        row.deleted_at = now
        self._session.flush()
        self._session.execute(update(ExportRow).where(ExportRow.model_id == model_id).values(needs_clearing=True))
        return row

    def point_alias(self, name: str, model_id: str, now: datetime) -> AliasRow:
        """Create the alias or move it to another model.

        Raises:
            NotFoundError: there was never a model with this id.
            GoneError: the model was deleted.
            InterimModelError: the service will delete it when its job succeeds.
        """
        self.get_lasting(model_id)
        row = self._find_alias(name)
        if row is None:
            row = AliasRow(name=name, model_id=model_id, updated_at=now)
            self._session.add(row)
        row.model_id, row.updated_at = model_id, now
        self._session.flush()
        return row

    def get_alias(self, name: str) -> AliasRow:
        """Return an alias; its model may have been deleted.

        Raises:
            NotFoundError: there is no such alias.
        """
        row = self._find_alias(name)
        if row is None:
            raise NotFoundError(expected="the name of an alias", got=repr(name), remedy="List them with GET /v1/aliases")
        return row

    def list_aliases(self, cursor: str | None, limit: int) -> tuple[list[AliasRow], str | None]:
        """Return a page of aliases in alphabetical order, and the cursor of the next one."""
        return fetch_page_by_name(self._session, select(AliasRow), cursor, limit)

    def delete_alias(self, name: str) -> None:
        """Delete an alias; its model stays.

        Raises:
            NotFoundError: there is no such alias.
        """
        self._session.delete(self.get_alias(name))
        self._session.flush()

    def set_pinned(self, model_id: str, is_pinned: bool) -> ModelRow:
        """Pin or unpin a model.

        Raises:
            NotFoundError: there was never a model with this id.
            GoneError: it was deleted.
            InterimModelError: it is to be pinned, and the service will delete it when its job succeeds.
        """
        row = self.get_lasting(model_id) if is_pinned else self.get(model_id)
        row.is_pinned = is_pinned
        self._session.flush()
        return row

    def change(self, model_id: str, changes: Mapping[str, Any]) -> ModelRow:
        """Change what a user may change about a model.

        Args:
            model_id: of the model.
            changes: new values by column: `name`, and `false_rejects`, the share of images of the classes that the model may
                take for none of them, None for the usual one.

        Raises:
            NotFoundError: there was never a model with this id.
            GoneError: it was deleted.
        """
        row = self.get(model_id)
        for column, value in changes.items():
            setattr(row, column, value)
        self._session.flush()
        return row

    def pinned(self) -> list[ModelRow]:
        """Return the models that are pinned, the oldest first."""
        statement = select(ModelRow).where(ModelRow.is_pinned, ModelRow.deleted_at.is_(None)).order_by(ModelRow.created_at)
        return list(self._session.scalars(statement))

    def count(self) -> int:
        """Return how many models were not deleted."""
        return self._session.scalar(select(func.count()).select_from(ModelRow).where(ModelRow.deleted_at.is_(None))) or 0

    def _find_alias(self, name: str) -> AliasRow | None:
        return self._session.scalar(
            select(AliasRow).where(AliasRow.name == name), execution_options={"populate_existing": True}
        )

    def _published_by(self, job_id: str) -> ModelRow:
        job = self._session.get(JobRow, job_id, populate_existing=True)
        if job is None:
            raise NotFoundError(expected="the id of a job", got=repr(job_id), remedy="List the jobs with GET /v1/jobs")
        model_id = self.ids_by_job([job_id]).get(job_id)
        if model_id is not None:
            return self.get(model_id)
        if job.deleted_at is not None:
            raise GoneError(
                expected="a job that exists, or one that has published a model",
                got=f"{job_id}, deleted at {job.deleted_at.isoformat(timespec='seconds')}",
                remedy="List the models with GET /v1/models",
            )
        is_over, interim_id = JobState(job.state).is_final, self.interim_ids_by_job([job_id]).get(job_id)
        remedy = f"See why with GET /v1/jobs/{job_id}" if is_over else f"Wait for it with GET /v1/jobs/{job_id}/events"
        raise ModelNotReadyError(
            expected="a job that has succeeded",
            got=f"{job_id}, which is {job.state}",
            remedy=remedy if interim_id is None else f"{remedy}, or use its interim model {interim_id}",
        )

    def _instead_of(self, row: ModelRow) -> str | None:
        """Return what to do instead of asking for a deleted interim model that another has replaced."""
        final_id = self.ids_by_job([row.job_id]).get(row.job_id) if row.is_interim else None
        final = None if final_id is None else self._session.get(ModelRow, final_id)
        if final is None or final.deleted_at is not None:
            return None
        return f"Use {final.id}, which has replaced this interim model"
