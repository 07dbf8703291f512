"""Metrics of what can be read, whatever is down."""

from datetime import timedelta

from sqlalchemy import select

from app.domain.jobs import HELD_STATES, JobState
from app.health.collector import StateCollector, _buckets
from app.infra.clock import utc_now
from app.infra.export_leases import ExportLeases
from app.infra.job_repository import JobRepository
from app.infra.leases import LeaseRepository
from app.infra.tables import ExportRow, WebhookDeliveryRow, WebhookRow
from app.webhooks.sender import AttemptOutcome
from tests.fixtures.http_api import Api, MakeApi
from tests.fixtures.rows import add_batch


def read(api: Api, *, later_seconds: float = 0.0) -> dict[str, float]:
    collector = StateCollector(api.context, lambda: utc_now() + timedelta(seconds=later_seconds))
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}


def read_with_labels(api: Api, *, later_seconds: float = 0.0) -> dict[tuple[str, str], float]:
    """Return each value by its name and its label, if it has one."""
    collector = StateCollector(api.context, lambda: utc_now() + timedelta(seconds=later_seconds))
    samples = [sample for metric in collector.collect() for sample in metric.samples]
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}


def test_without_a_broker_the_other_metrics_are_there(make_api: MakeApi) -> None:
    values = read(make_api(broker_url="redis://127.0.0.1:1/0"))
    assert values["vtt_models"] == 0
    assert "vtt_queue_messages" not in values


def test_the_queue_is_as_old_as_its_longest_waiting_job(api: Api) -> None:
    assert read(api)["vtt_oldest_queued_job_age_seconds"] == 0
    api.start_job()
    assert 600 <= read(api, later_seconds=600)["vtt_oldest_queued_job_age_seconds"] < 660


def test_a_job_that_is_queued_again_begins_to_wait_again(api: Api) -> None:
    job_id = api.start_job()
    later = utc_now() + timedelta(seconds=500)
    with api.context.sessions.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 10, utc_now())
    assert read(api)["vtt_oldest_queued_job_age_seconds"] == 0
    with api.context.sessions.begin() as session:
        JobRepository(session).release_expired(later)
    with api.context.readers() as session:
        assert JobRepository(session).unchanged_since(frozenset({JobState.QUEUED})) == later


def test_a_running_job_without_progress_is_noticed(api: Api) -> None:
    job_id = api.start_job()
    with api.context.sessions.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 10, utc_now())
    assert 900 <= read(api, later_seconds=900)["vtt_running_job_silence_seconds"] < 960
    with api.context.readers() as session:
        assert JobRepository(session).unchanged_since(HELD_STATES) is not None


def test_the_counts_of_the_reaper_are_metrics(api: Api) -> None:
    assert api.context.reaper is not None
    api.context.reaper.stop()
    api.context.reaper.num_expired = 3
    values = read(api)
    assert (values["vtt_expired_leases_total"], values["vtt_resent_messages_total"]) == (3, 0)


def test_batches_exports_and_webhooks_tell_how_many_wait_and_how_they_ended(api: Api) -> None:
    assert api.context.webhooks is not None
    api.context.webhooks.stop()
    model_id = api.publish()
    for kind in ("onnx", "web"):
        assert api.client.post(f"/v1/models/{model_id}/exports/{kind}").status_code == 202
    with api.context.sessions.begin() as session:
        add_batch(session, model_id)
        session.add(WebhookRow(id="whk_1", url="http://x.test", events=[], secret="s", created_at=utc_now()))
        session.flush()
        for state in ("pending", "failed"):
            owner = {"id": f"evt_{state}", "webhook_id": "whk_1", "event": "job.failed", "payload": {}, "state": state}
            session.add(WebhookDeliveryRow(**owner, next_attempt_at=utc_now(), created_at=utc_now()))
        lease = ExportLeases(session).claim(session.scalars(select(ExportRow.id)).first() or "", "worker", 60, utc_now())
        assert lease is not None
    values = read_with_labels(api, later_seconds=1)
    assert [values["vtt_exports", state] for state in ("queued", "running", "succeeded", "failed")] == [1, 1, 0, 0]
    assert values["vtt_batches", "running"] + values["vtt_batches", "queued"] == 1
    assert [values["vtt_webhook_deliveries", state] for state in ("pending", "delivered", "failed")] == [1, 0, 1]
    waiting = [values["vtt_waiting", work] for work in ("batches", "exports", "webhook_deliveries")]
    assert waiting == [1, 1, 1]


def test_the_counts_of_the_sender_are_metrics(api: Api) -> None:
    sender = api.context.webhooks
    assert sender is not None
    sender.stop()
    sender.counts[AttemptOutcome.GIVEN_UP], sender.counts[AttemptOutcome.DELIVERED], sender.delivery_seconds = 2, 4, 6.0
    values = read_with_labels(api)
    assert values["vtt_webhook_attempts_total", "given_up"] == 2
    assert values["vtt_webhook_attempts_total", "not_delivered"] == 0
    assert (values["vtt_webhook_seconds_count", ""], values["vtt_webhook_seconds_sum", ""]) == (4, 6.0)


def test_buckets_hold_all_batches_up_to_their_bound() -> None:
    buckets = dict(_buckets({1: 4, 3: 2, 500: 1}))
    assert (buckets["1.0"], buckets["2.0"], buckets["4.0"], buckets["128.0"], buckets["+Inf"]) == (4, 4, 6, 6, 7)
