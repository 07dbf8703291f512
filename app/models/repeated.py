"""Recognise a request to add classes that comes a second time with its Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow, ModelRow, SupportSetRow
from app.uploads.form import FormPart, SpooledForm
from app.uploads.results import ImageResult

NOTICE = "This request came before, so no other job was started. `results` names the images that were kept then."

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class ClassesRequest:
    """What was sent to add classes to a model."""

    reference: str
    """Id or alias of the model, or the id of its job."""
    form: SpooledForm
    """Images of new classes."""
    name: str = ""
    """What the user calls the new model and its support set; empty for the model's name."""
    idempotency_key: str | None = None

    def digest(self) -> str:
        """Return the SHA-256 of all of it but the key, files included."""
        digest = hashlib.sha256(json.dumps([self.reference, self.name]).encode())
        for part in self.form.parts:
            facts = [part.field_name, part.file_name, part.text, part.size_bytes, self._content_digest(part)]
            digest.update(json.dumps(facts).encode())
        return digest.hexdigest()

    def _content_digest(self, part: FormPart) -> str | None:
        if part.file_name is None or not part.is_kept:
            return None
        digest = hashlib.sha256()
        with self.form.open(part) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()


def find_job(session: Session, request: ClassesRequest, digest: str) -> JobRow | None:
    """Return the job that the same request has started before, if it came with a key.

    Raises:
        IdempotencyConflictError: the key came before with another request.
        GoneError: the job was deleted.
    """
    return JobRepository(session).find_same_request(request.idempotency_key, digest)


def kept_images(session: Session, job: JobRow) -> list[ImageResult]:
    """Return the results of the new images that a job which adds classes has kept; none if its support set was deleted."""
    support_set = session.get_one(SupportSetRow, job.support_set_id)
    known = {*session.get_one(ModelRow, job.base_model_id).labels, support_set.negative_label}
    return [
        ImageResult.kept(image.file_name, image.label, image.id)
        for image in SupportSetRepository(session).images(support_set.id)
        if image.label not in known
    ]
