"""Keep predictions for a time, but never their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.domain.ids import PREDICTION_PREFIX, new_id
from app.infra.tables import PredictionRow

PURGED_AT_ONCE = 10_000
"""Rows that one transaction deletes at most, so that none takes long after the retention was shortened."""


@dataclass(frozen=True)
class KeptPrediction:
    """What is kept of the prediction for one image."""

    image_sha256: str
    label: str
    probability: float


class PredictionRepository:
    """Kept predictions in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        predictions: Sequence[KeptPrediction],
        model_id: str,
        now: datetime,
        *,
        request_id: str | None,
        tenant_id: str | None = None,
    ) -> None:
        """Keep the predictions of one request, or of one chunk of a batch.

        Args:
            predictions: what is kept.
            model_id: of the model.
            now: the current time.
            request_id: of the request that sent the images.
            tenant_id: owner, for a session that is bound to no tenant.
        """
        owner = {} if tenant_id is None else {"tenant_id": tenant_id}
        self._session.add_all(
            PredictionRow(
                id=new_id(PREDICTION_PREFIX),
                model_id=model_id,
                request_id=request_id,
                image_sha256=prediction.image_sha256,
                label=prediction.label,
                probability=prediction.probability,
                created_at=now,
                **owner,
            )
            for prediction in predictions
        )

    def purge(self, now: datetime, days: float, limit: int = PURGED_AT_ONCE) -> int:
        """Delete predictions older than `days`, at most `limit` rows, and return how many were deleted."""
        oldest = now - timedelta(days=days)
        old = select(PredictionRow.id).where(PredictionRow.created_at <= oldest).order_by(PredictionRow.created_at)
        ids = list(self._session.scalars(old.limit(limit)))
        self._session.execute(delete(PredictionRow).where(PredictionRow.id.in_(ids)))
        return len(ids)
