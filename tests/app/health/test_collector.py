"""Metrics of what can be read, whatever is down."""

from datetime import timedelta

from app.domain.jobs import HELD_STATES, JobState
from app.health.collector import StateCollector, _buckets
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.leases import LeaseRepository
from tests.fixtures.http_api import Api, MakeApi


def read(api: Api, *, later_seconds: float = 0.0) -> dict[str, float]:
    collector = StateCollector(api.context, lambda: utc_now() + timedelta(seconds=later_seconds))
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}


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


def test_buckets_hold_all_batches_up_to_their_bound() -> None:
    buckets = dict(_buckets({1: 4, 3: 2, 500: 1}))
    assert (buckets["1.0"], buckets["2.0"], buckets["4.0"], buckets["128.0"], buckets["+Inf"]) == (4, 4, 6, 6, 7)
