"""Jobs over HTTP: create once, watch, cancel."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.errors import JobCrashedError, error_facts
from app.infra.clock import utc_now
from app.infra.leases import Lease, LeaseRepository
from app.infra.queue import JobQueue
from tests.fixtures.http_api import Api, MakeApi
from tests.fixtures.waiting import wait_until
from vtt_core.contract.progress import Phase, StepReport


def claim(api: Api, job_id: str) -> Lease:
    with api.context.sessions.begin() as session:
        lease = LeaseRepository(session).claim(job_id, "tester", 60, utc_now())
    assert lease is not None
    return lease


def report(api: Api, lease: Lease, step: int, phase: Phase = "fine-tuning") -> None:
    facts = StepReport(
        step=step,
        num_steps=250,
        classification_loss=1.5,
        absorption_loss=-0.2,
        conflict_cosine=0.4,
        is_absorbing=True,
        absorption_stopped_at=None,
        phase=phase,
    )
    with api.context.sessions.begin() as session:
        LeaseRepository(session).report_progress(lease, facts, 12.5, utc_now())


def read_events(text: str) -> list[dict[str, Any]]:
    events = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append({"id": int(fields["id"]), "event": fields["event"], "data": json.loads(fields["data"])})
    return events


def wait_until_followed(api: Api) -> None:
    wait_until(lambda: bool(api.context.hub.followers))


def test_a_job_is_accepted_and_its_message_leaves(api: Api) -> None:
    support_set_id = api.upload()
    answer = api.client.post("/v1/jobs", json={"support_set_id": support_set_id, "name": "fields", "seed": 7})
    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == body["links"]["self"] == f"/v1/jobs/{body['id']}"
    assert (body["state"], body["backbone"], body["method"], body["seed"]) == ("queued", "mini", "auto", 7)
    # Only the worker finds out whether a fine-tuning pays.
    assert (body["phase"], body["step"], body["num_steps"], body["seconds_left"]) == (None, 0, 0, None)
    assert api.context.queue.depth() == 1
    assert api.client.get(f"/v1/support-sets/{support_set_id}").json()["is_frozen"]


def test_settings_name_the_backbone_of_a_job_that_names_none(make_api: MakeApi) -> None:
    api = make_api(default_backbone="ViT-B-32/openai")
    job_id = api.start_job(method="clip-lora", recipe={"iterations": 5})
    body = api.client.get(f"/v1/jobs/{job_id}").json()
    assert (body["backbone"], body["method"], body["num_steps"]) == ("ViT-B-32/openai", "clip-lora", 5)
    assert body["recipe"]["host_learning_rate"] == 2e-4  # nothing was measured on it: as released


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "rate"), [({}, 2e-3), ({"preset": "released"}, 2e-4), ({"recipe": {"host_learning_rate": 4e-4}}, 4e-4)]
)
def test_a_job_starts_from_what_was_tuned_for_its_backbone(api: Api, fields: dict[str, Any], rate: float) -> None:
    job_id = api.start_job(**{"method": "clip-lora+vtt"} | fields)
    assert api.client.get(f"/v1/jobs/{job_id}").json()["recipe"]["host_learning_rate"] == rate


@pytest.mark.parametrize(
    ("fields", "num_steps"),
    [
        ({"method": "clip-lora+vtt"}, 160),
        ({"method": "clip-lora+vtt", "recipe": {"validation_folds": 2, "validation_iterations": 30}}, 220),
        ({"method": "frozen"}, 0),
        ({"method": "auto", "recipe": {"iterations": 20}}, 0),
    ],
)
def test_a_job_says_how_many_steps_it_has_where_that_is_known(api: Api, fields: dict[str, Any], num_steps: int) -> None:
    body = api.client.get(f"/v1/jobs/{api.start_job(**fields)}").json()
    assert (body["method"], body["num_steps"]) == (fields["method"], num_steps)


def test_head_and_validation_are_fields_of_the_recipe(api: Api) -> None:
    changes = {"head": "ridge", "validation_folds": 3, "validation_iterations": 40}
    recipe = api.client.get(f"/v1/jobs/{api.start_job(method='coop', recipe=changes)}").json()["recipe"]
    assert recipe | changes == recipe


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"head": "forest"}, "head"),
        ({"validation_folds": 1}, "validation_folds"),
        ({"validation_iterations": 0}, "validation_iterations"),
        ({"method": 5}, "method"),
    ],
)
def test_a_field_out_of_range_is_named(api: Api, recipe: dict[str, Any], expected: str) -> None:
    answer = api.client.post("/v1/jobs", json={"support_set_id": api.upload(), "recipe": recipe})
    assert (answer.status_code, answer.json()["code"]) == (422, "recipe.invalid")
    assert expected in answer.json()["expected"]


def test_a_method_in_the_recipe_starts_from_its_own_preset(api: Api) -> None:
    in_recipe = api.client.get(f"/v1/jobs/{api.start_job(recipe={'method': 'maple'})}").json()["recipe"]
    as_field = api.client.get(f"/v1/jobs/{api.start_job(method='maple')}").json()["recipe"]
    assert in_recipe == as_field


def test_a_job_starts_from_its_hosts_preset(api: Api) -> None:
    job_id = api.start_job(method="maple+vtt", preset="paper", recipe={"batch_size": 5})
    recipe = api.client.get(f"/v1/jobs/{job_id}").json()["recipe"]
    assert (recipe["optimiser"], recipe["batch_size"], recipe["sequence"]) == ("sgd", 5, "paper")


def test_the_same_request_with_the_same_key_gives_the_same_job(api: Api) -> None:
    request = {"support_set_id": api.upload()}
    headers = {"Idempotency-Key": "mine-1"}
    first = api.client.post("/v1/jobs", json=request, headers=headers)
    again = api.client.post("/v1/jobs", json=request, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert api.context.queue.depth() == 1
    other = api.client.post("/v1/jobs", json=request | {"seed": 2}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency.conflict")
    model_id = api.publish(first.json()["id"])
    assert api.client.delete(f"/v1/support-sets/{request['support_set_id']}").status_code == 204
    late = api.client.post("/v1/jobs", json=request, headers=headers)
    assert (late.status_code, late.json()["model_id"]) == (202, model_id)


def test_the_same_request_many_times_at_once_gives_one_job(api: Api) -> None:
    request = {"support_set_id": api.upload()}
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(lambda _: api.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": "k"}), range(4))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert api.context.queue.depth() == 1


@pytest.mark.slow
def test_a_job_is_kept_while_the_broker_is_away(make_api: MakeApi, broker_url: str) -> None:
    api = make_api(broker_url="redis://127.0.0.1:1/0")
    job_id = api.start_job()
    assert api.client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    assert JobQueue(broker_url).depth() == 0


def test_an_unknown_set_gives_no_job(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"support_set_id": "set_nothing"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_running_job_shows_its_losses(api: Api) -> None:
    job_id = api.start_job()
    report(api, claim(api, job_id), 3, "validation")
    body = api.client.get(f"/v1/jobs/{job_id}").json()
    shown = {"state": "running", "attempt": 1, "phase": "validation", "step": 3, "num_steps": 250}
    shown |= {"classification_loss": 1.5, "absorption_loss": -0.2}
    shown |= {"conflict_cosine": 0.4, "is_absorbing": True, "absorption_stopped_at": None, "seconds_left": 12.5, "error": None}
    assert body | shown == body


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_asked(api: Api) -> None:
    waiting, running, done = (api.start_job() for _ in range(3))
    claim(api, running)
    api.publish(done)
    assert api.client.post(f"/v1/jobs/{waiting}/cancel").json()["state"] == "cancelled"
    asked = api.client.post(f"/v1/jobs/{running}/cancel")
    assert (asked.status_code, asked.json()["state"], asked.json()["is_cancel_requested"]) == (202, "running", True)
    late = api.client.post(f"/v1/jobs/{done}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "job.illegal_transition")


def test_the_list_names_the_models(api: Api) -> None:
    first, second = api.start_job(), api.start_job()
    model_id = api.publish(first)
    items = api.client.get("/v1/jobs").json()["items"]
    assert [(item["id"], item["model_id"]) for item in items] == [(second, None), (first, model_id)]


def test_events_are_streamed_to_the_final_state(api: Api) -> None:
    job_id = api.start_job()
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(api.client.get, f"/v1/jobs/{job_id}/events")
        lease = claim(api, job_id)
        report(api, lease, 1, "validation")
        report(api, lease, 2)
        with api.context.sessions.begin() as session:
            LeaseRepository(session).cancel_by_worker(lease, utc_now())
        answer = following.result(30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = read_events(answer.text)
    assert [(event["event"], event["data"].get("state") or event["data"]["step"]) for event in events] == [
        ("state", "queued"),
        ("state", "running"),
        ("progress", 1),
        ("progress", 2),
        ("state", "cancelled"),
    ]
    assert [event["data"].get("phase") for event in events] == [None, None, "validation", "fine-tuning", None]


def test_a_follower_that_comes_back_goes_on_where_it_was(api: Api) -> None:
    job_id = api.start_job()
    api.publish(job_id)
    events = read_events(api.client.get(f"/v1/jobs/{job_id}/events").text)
    rest = api.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(events[1]["id"])})
    assert read_events(rest.text) == events[2:]
    assert events[-1]["data"]["model_id"].startswith("mdl_")
    nothing_new = api.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(events[-1]["id"])})
    assert read_events(nothing_new.text) == events[-1:]


@pytest.mark.parametrize("last_id", [10**6, 2**31 - 1])
def test_an_id_beyond_the_end_gets_the_true_end(api: Api, last_id: int) -> None:
    succeeded, failed = api.start_job(), api.start_job()
    model_id = api.publish(succeeded)
    lease = claim(api, failed)
    error = JobCrashedError(expected="a result", got="none", remedy="Try again")
    with api.context.sessions.begin() as session:
        LeaseRepository(session).fail(lease, error, utc_now())
    ends = []
    for job_id in (succeeded, failed):
        [end] = read_events(api.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(last_id)}).text)
        assert end == read_events(api.client.get(f"/v1/jobs/{job_id}/events").text)[-1]
        ends.append(end)
    assert (ends[0]["data"]["state"], ends[0]["data"]["model_id"]) == ("succeeded", model_id)
    assert (ends[1]["data"]["state"], ends[1]["data"]["error"]) == ("failed", error_facts(error))


def test_an_id_beyond_the_last_event_of_a_running_job_gets_the_next_one(api: Api) -> None:
    job_id = api.start_job()
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(api.client.get, f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "1000000"})
        wait_until_followed(api)
        lease = claim(api, job_id)
        with api.context.sessions.begin() as session:
            LeaseRepository(session).cancel_by_worker(lease, utc_now())
        events = read_events(following.result(30).text)
    assert [event["data"]["state"] for event in events] == ["running", "cancelled"]


@pytest.mark.parametrize("nonsense", ["abc", "-1", "1.5", "99999999999"])
def test_an_id_that_is_no_number_is_named(api: Api, nonsense: str) -> None:
    answer = api.client.get(f"/v1/jobs/{api.start_job()}/events", headers={"Last-Event-ID": nonsense})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["got"] == repr(nonsense)
    assert "last-event-id" in answer.json()["expected"]


def test_the_events_of_an_unknown_job_are_not_found(api: Api) -> None:
    answer = api.client.get("/v1/jobs/job_nothing/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_waiting_job_says_its_place_in_the_queue_and_one_that_runs_has_none(api: Api) -> None:
    first, second, third = (api.start_job() for _ in range(3))
    assert {job["id"]: job["queue_place"] for job in api.client.get("/v1/jobs").json()["items"]} == {
        first: 1,
        second: 2,
        third: 3,
    }
    claim(api, first)
    places = [api.client.get(f"/v1/jobs/{job_id}").json()["queue_place"] for job_id in (first, second, third)]
    assert places == [None, 1, 2]
