"""Record predictions in the database if VTT_PREDICTION_RETENTION_DAYS asks for it; by default nothing is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.dependencies import AppContext
from app.infra.prediction_repository import KeptPrediction, PredictionRepository
from app.infra.served_models import ServedModel
from app.infra.telemetry import bound_request_id
from app.predictions.schemas import ImagePrediction
from app.uploads.form import SpooledForm

_log = structlog.get_logger(__name__)


def record_predictions(
    context: AppContext, model: ServedModel, form: SpooledForm, predictions: Sequence[ImagePrediction], now: datetime
) -> None:
    """Record the digest, the label and its probability for each image that was classified, if the settings say so.

    A failure is only logged, so that the answer is never lost.
    """
    if not context.settings.prediction_retention_days:
        return
    kept = [
        KeptPrediction(
            hashlib.sha256(form.read(part)).hexdigest(), prediction.label, prediction.probabilities[prediction.label]
        )
        for part, prediction in zip(form.files, predictions, strict=True)
        if prediction.label is not None and prediction.probabilities is not None
    ]
    try:
        with context.sessions.begin() as session:
            PredictionRepository(session).add(kept, model.id, now, request_id=bound_request_id())
    except SQLAlchemyError as error:
        _log.warning("predictions_not_kept", model_id=model.id, reason=str(error))
