"""Keep a tenant within its quotas."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.domain.access import Caller
from app.domain.errors import QuotaExceededError
from app.infra.access_repository import UsageRepository
from app.infra.tenancy import Sessions


def check_room_for_upload(readers: Sessions, caller: Caller, announced_bytes: int, *, num_images: int = 1) -> None:
    """Refuse an upload that would exceed a quota, before its body is read.

    Args:
        readers: sessions of the caller.
        caller: the sender of the upload.
        announced_bytes: length of the body according to its header; 0 if it has none.
        num_images: support images that it brings at least.

    Raises:
        QuotaExceededError: the upload would exceed a quota.
    """
    quotas = caller.quotas
    if quotas.max_images is None and quotas.max_bytes is None:
        return
    with readers() as session:
        usage = UsageRepository(session)
        if quotas.max_images is not None and num_images:
            _check("support images", quotas.max_images, usage.images() + num_images)
        if quotas.max_bytes is not None:
            _check("bytes", quotas.max_bytes, usage.size_bytes() + max(1, announced_bytes))


def check_storage(session: Session, caller: Caller) -> None:
    """Refuse what this transaction has added if it exceeds a quota; locks the tenant, so that two uploads cannot pass together.

    Raises:
        QuotaExceededError: the tenant has more images or bytes than its quotas allow.
    """
    quotas = caller.quotas
    if quotas.max_images is None and quotas.max_bytes is None:
        return
    usage = UsageRepository(session)
    usage.lock_tenant(caller.tenant_id)
    if quotas.max_images is not None:
        _check("support images", quotas.max_images, usage.images())
    if quotas.max_bytes is not None:
        _check("bytes", quotas.max_bytes, usage.size_bytes())


def check_bytes(session: Session, caller: Caller) -> None:
    """Refuse bytes that this transaction has added if they exceed the quota; locks the tenant.

    Raises:
        QuotaExceededError: the tenant has more bytes than its quota allows.
    """
    if caller.quotas.max_bytes is None:
        return
    usage = UsageRepository(session)
    usage.lock_tenant(caller.tenant_id)
    _check("bytes", caller.quotas.max_bytes, usage.size_bytes())


def check_jobs(session: Session, caller: Caller) -> None:
    """Refuse a job that this transaction has added if the tenant has too many unfinished ones.

    Raises:
        QuotaExceededError: the tenant has more unfinished jobs than its quota allows.
    """
    if caller.quotas.max_unfinished_jobs is None:
        return
    usage = UsageRepository(session)
    usage.lock_tenant(caller.tenant_id)
    _check("jobs that have not ended", caller.quotas.max_unfinished_jobs, usage.unfinished_jobs())


def _check(what: str, bound: int, wanted: int) -> None:
    if wanted > bound:
        raise QuotaExceededError(
            expected=f"at most {bound} {what}",
            got=f"{wanted}, counting this request",
            remedy="Delete what you no longer need, wait until jobs have ended, or ask the operator of the service for more",
        )
