"""Deliveries are claimed by one process, tried again with growing pauses, and given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import pytest

from app.domain.webhooks import MAX_DELIVERY_ATTEMPTS, DeliveryState, Event, pause_seconds
from app.infra.database import SessionFactory
from app.infra.tables import WebhookDeliveryRow, WebhookRow
from app.infra.webhook_outbox import announce
from app.infra.webhook_repository import KEPT_DAYS, WebhookRepository


@pytest.fixture
def webhook_id(session_factory: SessionFactory, now: datetime) -> str:
    with session_factory.begin() as session:
        row = WebhookRepository(session).create("https://lab.example/", [Event.JOB_FAILED], now)
        announce(session, row.tenant_id, Event.JOB_FAILED, {"job_id": "job_1"}, now)
        announce(session, row.tenant_id, Event.JOB_SUCCEEDED, {"job_id": "job_1"}, now)
        return row.id


def read(session_factory: SessionFactory) -> WebhookDeliveryRow:
    with session_factory() as session:
        return session.query(WebhookDeliveryRow).one()


@pytest.mark.usefixtures("webhook_id")
def test_a_delivery_is_claimed_once_and_again_if_its_process_was_lost(session_factory: SessionFactory, now: datetime) -> None:
    for seconds, expected in ((0, [1]), (1, []), (59, []), (60, [2])):
        with session_factory.begin() as session:
            claimed = WebhookRepository(session).claim_due(now + timedelta(seconds=seconds), 60, 10)
        assert [delivery.attempt for delivery in claimed] == expected


@pytest.mark.usefixtures("webhook_id")
def test_what_a_slow_process_notes_after_it_lost_its_claim_changes_nothing(
    session_factory: SessionFactory, now: datetime
) -> None:
    with session_factory.begin() as session:
        (slow,) = WebhookRepository(session).claim_due(now, 60, 10)
        (other,) = WebhookRepository(session).claim_due(now + timedelta(seconds=60), 60, 10)
        WebhookRepository(session).note_delivered(other, 200, now)
        WebhookRepository(session).note_failed(slow, None, "late", now, 0.5)
    assert (read(session_factory).state, read(session_factory).last_error) == ("delivered", None)


@pytest.mark.usefixtures("webhook_id")
def test_a_delivery_is_given_up_after_the_last_attempt(session_factory: SessionFactory, now: datetime) -> None:
    for attempt in range(1, MAX_DELIVERY_ATTEMPTS + 1):
        with session_factory.begin() as session:
            (claimed,) = WebhookRepository(session).claim_due(now, 60, 10)
            state = WebhookRepository(session).note_failed(claimed, 500, "the answer 500" + "x" * 1000, now, 1.0)
        assert state == (DeliveryState.FAILED if attempt == MAX_DELIVERY_ATTEMPTS else DeliveryState.PENDING)
        now = read(session_factory).next_attempt_at
    with session_factory.begin() as session:
        assert WebhookRepository(session).claim_due(now + timedelta(days=1), 60, 10) == []
    assert len(read(session_factory).last_error or "") == 500


def test_pauses_grow_and_are_left_to_chance_by_half() -> None:
    longest = [pause_seconds(attempt, 1.0) for attempt in range(1, MAX_DELIVERY_ATTEMPTS)]
    assert longest == sorted(longest)
    assert longest[0] == 5.0
    assert 6 * 3600 < sum(longest) < 12 * 3600
    assert pause_seconds(3, 0.0) == pause_seconds(3, 1.0) / 2


@pytest.mark.usefixtures("webhook_id")
def test_what_is_over_is_removed_after_some_days(session_factory: SessionFactory, now: datetime) -> None:
    later = now + timedelta(days=KEPT_DAYS)
    with session_factory.begin() as session:
        (claimed,) = WebhookRepository(session).claim_due(now, 60, 10)
        WebhookRepository(session).purge(later)  # not over yet
        WebhookRepository(session).note_delivered(claimed, 200, now)
        WebhookRepository(session).purge(later - timedelta(seconds=1))
        assert session.query(WebhookDeliveryRow).count() == 1
        WebhookRepository(session).purge(later)
        assert session.query(WebhookDeliveryRow).count() == 0


@pytest.mark.slow
def test_a_webhook_that_is_deleted_at_the_same_moment_undoes_nothing(
    session_factory: SessionFactory, now: datetime, webhook_id: str
) -> None:
    """As when a worker publishes a model whose event somebody no longer wants."""

    def delete() -> None:
        with session_factory.begin() as session:
            WebhookRepository(session).delete(webhook_id)

    with ThreadPoolExecutor(1) as pool:
        with session_factory.begin() as session:
            tenant_id = session.get_one(WebhookRow, webhook_id).tenant_id
            announce(session, tenant_id, Event.JOB_FAILED, {"job_id": "job_2"}, now)
            deletion = pool.submit(delete)
            wait([deletion], timeout=0.3)
        deletion.result()
    with session_factory() as session:
        assert session.query(WebhookDeliveryRow).count() == session.query(WebhookRow).count() == 0
