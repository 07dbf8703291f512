"""Define the tables; the migrations must create exactly these."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Float, ForeignKey, Index, Integer, MetaData, String, UniqueConstraint, text
from sqlalchemy import false as sql_false
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from app.domain.access import DEFAULT_TENANT_ID

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A column of aware datetimes; SQLite would drop the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, and refuse naive datetimes."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"expected an aware datetime, got {value!r}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone that SQLite does not store."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


_THERE = text("deleted_at IS NULL")


def _listed(table: str) -> Index:
    """Return the index that a list reads, newest first; what was deleted is not in it, however much that is."""
    columns = ("tenant_id", "created_at", "id")
    return Index(f"ix_{table}_tenant_id_created_at_id", *columns, sqlite_where=_THERE, postgresql_where=_THERE)


def _where_true(table: str, column: str) -> Index:
    """Return an index of the few rows where a column is true."""
    return Index(f"ix_{table}_{column}", column, sqlite_where=text(f"{column} = 1"), postgresql_where=text(column))


class Base(DeclarativeBase):
    """Base class of the tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, list[int]: JSON, list[float]: JSON}


class TenantRow(Base):
    """An owner of support sets, jobs and models, with its quotas; None means no limit."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    max_unfinished_jobs: Mapped[int | None]
    max_images: Mapped[int | None]
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_predictions_per_minute: Mapped[int | None]
    created_at: Mapped[datetime]


class ApiKeyRow(Base):
    """A key of a tenant; only the digest of its secret is stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    secret_sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class PageSessionRow(Base):
    """A browser that has signed in with a key; only the digest of its cookie is stored."""

    __tablename__ = "page_sessions"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditRow(Base):
    """A line of the audit log: who changed what; written in the transaction of the change."""

    __tablename__ = "audit_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    key_id: Mapped[str | None] = mapped_column(String(40))
    """None if no key was required, and for the command line."""
    action: Mapped[str] = mapped_column(String(100))
    """Method and route, such as `DELETE /v1/models/{model}`, or a command."""
    path: Mapped[str] = mapped_column(String(400))
    created_ids: Mapped[list[str]]
    address: Mapped[str | None] = mapped_column(String(100))


class TenantOwned:
    """Base of rows that belong to a tenant; a session that is bound to another tenant does not see them."""

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), server_default=DEFAULT_TENANT_ID)


class SupportSetRow(TenantOwned, Base):
    """Labelled images of a user; frozen by the first job that uses them."""

    __tablename__ = "support_sets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    empty_labels: Mapped[list[str]] = mapped_column(default=list)
    """Classes without a usable image; as long as there are any, a job with this set is refused."""
    negative_label: Mapped[str | None] = mapped_column(String(400))
    """The class whose images show none of the others; a class of the set, perhaps one without an image yet."""
    bands: Mapped[list[int] | None]
    """Of images of many bands: those that are shown as red, green and blue, counted from 1; None for ordinary images."""
    stretch: Mapped[list[float] | None]
    """With `bands`: percentiles of all images that become black and white."""
    created_at: Mapped[datetime]
    frozen_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (_listed("support_sets"),)


class SupportImageRow(Base):
    """One usable image of a support set; its bytes are in the store under `blob_key`."""

    __tablename__ = "support_images"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    support_set_id: Mapped[str] = mapped_column(ForeignKey("support_sets.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(400))
    position: Mapped[int]
    """Order of upload within the support set; classes and images keep it."""
    file_name: Mapped[str] = mapped_column(String(400))
    group_name: Mapped[str | None] = mapped_column(String(200))
    """What the image has in common with others of its group, such as the patient; None if nothing is known."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the file as it was uploaded; the stored bytes have no metadata, so theirs is different."""
    size_bytes: Mapped[int]
    """Size of the stored bytes."""
    width: Mapped[int]
    height: Mapped[int]
    image_format: Mapped[str] = mapped_column(String(20))
    blob_key: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("support_set_id", "sha256"),
        Index("ix_support_images_support_set_id_size_bytes", "support_set_id", "size_bytes"),
    )


class JobRow(TenantOwned, Base):
    """The truth about one job; queue messages are only hints."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    support_set_id: Mapped[str] = mapped_column(ForeignKey("support_sets.id"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    backbone_id: Mapped[str] = mapped_column(String(400))
    recipe: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    base_model_id: Mapped[str | None] = mapped_column(String(40))
    """Model whose tower is taken as it is, to learn a head with more classes on it; None for a job that starts anew.
    No foreign key: models name jobs, and tables that name each other could not be filled one after the other."""
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    holder: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    fencing_token: Mapped[int] = mapped_column(Integer, default=0)
    """Grows with every claim; each write of a worker names the token of its claim."""
    is_cancel_requested: Mapped[bool] = mapped_column(default=False)
    enqueued_at: Mapped[datetime | None]
    """When a message for the job was last sent."""
    step: Mapped[int] = mapped_column(Integer, default=0)
    num_steps: Mapped[int]
    """0 where nothing is fine-tuned, and until the worker knows what `auto` does."""
    progress: Mapped[dict[str, Any] | None]
    """Latest step report: phase, losses, conflict cosine, is_absorbing, seconds_left."""
    error: Mapped[dict[str, Any] | None]
    """code, title, expected, got and remedy of the error that ended the job."""
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_sha256: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(100))
    """Id of the request that created the job; it is also in the worker's log lines."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """W3C trace context of that request; attempts belong to the same trace."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    """The row stays, since models name it; of its events only the last one does."""

    __table_args__ = (
        _listed("jobs"),
        Index("ix_jobs_state_deleted_at", "state", "deleted_at"),
        Index("ix_jobs_tenant_id_name", "tenant_id", "name"),
        Index("ix_jobs_tenant_id_backbone_id_state_created_at_id", "tenant_id", "backbone_id", "state", "created_at", "id"),
        UniqueConstraint("tenant_id", "idempotency_key"),
    )


class JobEventRow(Base):
    """One event of a job; the id is the id of the server-sent event."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    """`state`, `progress` or `interim_model`."""
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_job_events_job_id_id", "job_id", "id"),)


class ModelRow(TenantOwned, Base):
    """A published adapter; only its name, its pin, its threshold and its deletion change."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    is_interim: Mapped[bool] = mapped_column(default=False, server_default=sql_false())
    """Whether it was published before the job's fine-tuning, whose model replaces it. A job has at most one of each."""
    name: Mapped[str] = mapped_column(String(200), default="")
    backbone_id: Mapped[str] = mapped_column(String(400))
    backbone_sha256: Mapped[str] = mapped_column(String(64))
    labels: Mapped[list[str]]
    recipe: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    bands: Mapped[dict[str, Any] | None]
    """The adapter's choice of bands, with what is black and white in each; None for a model of ordinary images."""
    adapter_key: Mapped[str] = mapped_column(String(200))
    """Prefix of the adapter's files in the store."""
    adapter_bytes: Mapped[int]
    is_pinned: Mapped[bool] = mapped_column(default=False, server_default=sql_false())
    """Whether the adapter stays in the memory of every process that predicts with it."""
    false_rejects: Mapped[float | None] = mapped_column(Float)
    """Share of images of the classes that may be taken for none of them, where a request does not say; None for the usual."""
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        _listed("models"),
        _where_true("models", "is_pinned"),
        Index(
            "ix_models_tenant_id_adapter_bytes_deleted_at",
            "tenant_id",
            "adapter_bytes",
            "deleted_at",  # else SQLite looks into the table
            sqlite_where=_THERE,
            postgresql_where=_THERE,
        ),
        Index("ix_models_tenant_id_name", "tenant_id", "name"),
        UniqueConstraint("job_id", "is_interim"),
    )


class AliasRow(TenantOwned, Base):
    """A name for a model, which may be moved to another one; every tenant has its own."""

    __tablename__ = "aliases"

    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True, server_default=DEFAULT_TENANT_ID)

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    updated_at: Mapped[datetime]


class EvaluationRow(TenantOwned, Base):
    """What was measured of a model on labelled query images; it stays when the model is deleted."""

    __tablename__ = "evaluations"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    name: Mapped[str] = mapped_column(String(200), default="")
    """What the user calls the images."""
    data_sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the images with their labels; the same for all models of one request."""
    num_images: Mapped[int]
    coverage: Mapped[float] = mapped_column(Float)
    false_rejects: Mapped[float] = mapped_column(Float)
    """Shares that predictions were asked for."""
    result: Mapped[dict[str, Any]]
    images_of: Mapped[str | None] = mapped_column(String(40), index=True)
    """Evaluation that has the kept images: this one, or the first of its request. None where none are kept. No foreign key:
    rows of one table that name each other could not be restored one after the other."""
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_evaluations_tenant_id_created_at_id", "tenant_id", "created_at", "id"),
        Index("ix_evaluations_model_id_created_at_id", "model_id", "created_at", "id"),
    )


class EvaluationImageRow(Base):
    """One kept image of an evaluation; its bytes are in the store under `blob_key`, without metadata."""

    __tablename__ = "evaluation_images"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    evaluation_id: Mapped[str] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(400))
    """As it was sent, cleaned."""
    file_name: Mapped[str] = mapped_column(String(400))
    sha256: Mapped[str] = mapped_column(String(64))
    """Digest of the file as it was sent."""
    size_bytes: Mapped[int]
    """Size of the stored bytes."""
    image_format: Mapped[str] = mapped_column(String(20))
    blob_key: Mapped[str] = mapped_column(String(200))

    __table_args__ = (Index("ix_evaluation_images_evaluation_id_size_bytes", "evaluation_id", "size_bytes"),)


class PredictionRow(TenantOwned, Base):
    """The prediction for one image; kept only if VTT_PREDICTION_RETENTION_DAYS is set, and without the image."""

    __tablename__ = "predictions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    request_id: Mapped[str | None] = mapped_column(String(100))
    image_sha256: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(400))
    probability: Mapped[float] = mapped_column(Float)
    """Probability of the label."""
    created_at: Mapped[datetime] = mapped_column(index=True)


class ExportRow(TenantOwned, Base):
    """A model in a form that other programs read; its files are in the store under `blob_key`."""

    __tablename__ = "exports"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    attempt: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    fencing_token: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[datetime | None]
    """When a message for the export was last sent."""
    blob_key: Mapped[str] = mapped_column(String(200))
    """Prefix of its files in the store."""
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    report: Mapped[dict[str, Any] | None]
    """Its files with their sizes, and how well it agrees with the model."""
    error: Mapped[dict[str, Any] | None]
    """code, title, expected, got and remedy of the error that ended it."""
    request_id: Mapped[str | None] = mapped_column(String(100))
    needs_clearing: Mapped[bool] = mapped_column(default=False, server_default=sql_false())
    """Whether its model was deleted, so that its files and the row are to be removed."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("model_id", "kind"),
        _where_true("exports", "needs_clearing"),
        Index("ix_exports_tenant_id_size_bytes", "tenant_id", "size_bytes"),
    )


class BatchRow(TenantOwned, Base):
    """Many images that a model predicts in the background; their bytes and the results are in the store under `blob_key`."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    name: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(20), index=True)
    coverage: Mapped[float] = mapped_column(Float)
    false_rejects: Mapped[float] = mapped_column(Float)
    num_images: Mapped[int] = mapped_column(default=0)
    """Images and other files that were sent: each has a line in the result."""
    num_done: Mapped[int] = mapped_column(default=0)
    """Those with a result, refused ones included."""
    num_refused: Mapped[int] = mapped_column(default=0)
    num_chunks: Mapped[int] = mapped_column(default=0)
    next_chunk: Mapped[int] = mapped_column(default=0)
    """The first chunk without a result."""
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    """Size of the images as sent."""
    blob_key: Mapped[str] = mapped_column(String(200))
    """Prefix of its images and results in the store."""
    attempt: Mapped[int] = mapped_column(default=0)
    """Claims of the next chunk."""
    holder: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[datetime | None]
    fencing_token: Mapped[int] = mapped_column(default=0)
    enqueued_at: Mapped[datetime | None]
    """When a message for the batch was last sent."""
    not_before: Mapped[datetime | None]
    """When it may go on, if the tenant has used up its predictions of this minute."""
    error: Mapped[dict[str, Any] | None]
    """code, title, expected, got and remedy of the error that ended the batch."""
    request_id: Mapped[str | None] = mapped_column(String(100))
    needs_clearing: Mapped[bool] = mapped_column(default=False)
    """Whether the store may still hold images, or results that nobody may see any more."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    progressed_at: Mapped[datetime | None]
    """When the last chunk was finished."""
    finished_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (_listed("batches"), _where_true("batches", "needs_clearing"))


class WebhookRow(TenantOwned, Base):
    """An address that wants to know when something has happened."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(String(2000))
    events: Mapped[list[str]]
    secret: Mapped[str] = mapped_column(String(100))
    """Signs what is sent, so it is stored as it is."""
    created_at: Mapped[datetime]

    __table_args__ = (Index("ix_webhooks_tenant_id_created_at_id", "tenant_id", "created_at", "id"),)


class WebhookDeliveryRow(TenantOwned, Base):
    """One event on its way to one webhook; written in the transaction in which it happened."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Also what the receiver knows the event by, however often it is sent."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    """When it is due; while it is being sent, when it may be sent again by another process."""
    status: Mapped[int | None]
    """HTTP status of the last answer."""
    last_error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_webhook_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
        Index("ix_webhook_deliveries_state_created_at", "state", "created_at"),
        Index("ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"),
    )


__all__ = [
    "AliasRow",
    "ApiKeyRow",
    "AuditRow",
    "Base",
    "EvaluationImageRow",
    "EvaluationRow",
    "BatchRow",
    "JobEventRow",
    "JobRow",
    "ModelRow",
    "PredictionRow",
    "SupportImageRow",
    "SupportSetRow",
    "TenantOwned",
    "TenantRow",
    "UtcDateTime",
    "WebhookDeliveryRow",
    "WebhookRow",
]
