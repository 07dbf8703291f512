"""Webhooks over HTTP, from the request to the signed event."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from app.domain.errors import JobCrashedError
from app.infra.clock import utc_now
from app.infra.leases import LeaseRepository
from app.infra.webhook_repository import MAX_WEBHOOKS
from app.webhooks.sender import WebhookSender
from tests.fixtures.http_api import Api, MakeApi
from tests.fixtures.receivers import Receiver

EVENTS = ["job.succeeded", "job.failed", "model.published", "batch.succeeded", "batch.failed"]


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """A service that may reach the receiver, and sends only when it is told to."""
    started = make_api(webhooks_may_reach_private=True)
    assert started.context.webhooks is not None
    started.context.webhooks.stop()
    return started


def sender(api: Api) -> WebhookSender:
    return WebhookSender(api.context.settings, api.context.sessions)  # type: ignore[arg-type]


def hook(api: Api, receiver: Receiver, events: list[str]) -> dict[str, str]:
    answer = api.client.post("/v1/webhooks", json={"url": receiver.url, "events": events})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_secret_is_shown_once(api: Api, receiver: Receiver) -> None:
    made = hook(api, receiver, ["model.published", "model.published"])
    assert made["secret"].startswith("whsec_")
    shown = api.client.get(f"/v1/webhooks/{made['id']}").json()
    listed = api.client.get("/v1/webhooks").json()["items"]
    assert (shown["events"], shown["deliveries"], len(listed)) == (["model.published"], [], 1)
    assert made["secret"] not in json.dumps([shown, listed])


def test_a_job_that_succeeds_is_told_and_so_is_its_model_with_a_signature_that_can_be_verified(
    api: Api, receiver: Receiver
) -> None:
    made = hook(api, receiver, EVENTS)
    model_id = api.publish()
    assert sender(api).sweep() == 2
    sent = {json.loads(request.body)["type"]: request for request in receiver.requests}
    assert sorted(sent) == ["job.succeeded", "model.published"]
    assert json.loads(sent["model.published"].body)["data"]["model_id"] == model_id
    for request in sent.values():
        key = base64.b64decode(made["secret"].removeprefix("whsec_"))
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{expected}"
    deliveries = api.client.get(f"/v1/webhooks/{made['id']}").json()["deliveries"]
    assert {(one["state"], one["attempt"], one["status"], one["last_error"]) for one in deliveries} == {
        ("delivered", 1, 200, None)
    }
    assert sender(api).sweep() == 0


def test_a_job_that_fails_is_told_with_its_error(api: Api, receiver: Receiver) -> None:
    hook(api, receiver, ["job.failed"])
    job_id = api.start_job()
    with api.context.sessions.begin() as session:
        lease = LeaseRepository(session).claim(job_id, "tester", 60, utc_now())
        assert lease is not None
        LeaseRepository(session).fail(lease, JobCrashedError(expected="no crash", got="one", remedy="Report it"), utc_now())
    sender(api).sweep()
    data = json.loads(receiver.requests[0].body)["data"]
    assert (data["job_id"], data["state"], data["error"]["code"]) == (job_id, "failed", "job.crashed")


def test_only_what_was_asked_for_is_told(api: Api, receiver: Receiver) -> None:
    hook(api, receiver, ["batch.failed"])
    api.publish()
    assert sender(api).sweep() == 0


def test_a_failure_is_shown_and_tried_again_later(api: Api, receiver: Receiver) -> None:
    made = hook(api, receiver, ["job.succeeded"])
    receiver.statuses, receiver.body = [503], b"busy"
    api.publish()
    assert sender(api).sweep() == 1
    (shown,) = api.client.get(f"/v1/webhooks/{made['id']}").json()["deliveries"]
    assert (shown["state"], shown["attempt"], shown["status"], shown["last_error"]) == (
        "pending",
        1,
        503,
        "the answer 503: busy",
    )
    assert sender(api).sweep() == 0  # not due yet
    assert len(receiver.requests) == 1


def test_a_deleted_webhook_is_told_nothing_more(api: Api, receiver: Receiver) -> None:
    made = hook(api, receiver, ["job.succeeded"])
    api.publish()
    assert api.client.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    assert sender(api).sweep() == 0
    assert api.client.get(f"/v1/webhooks/{made['id']}").status_code == 404


def test_the_running_service_sends_by_itself(make_api: MakeApi, receiver: Receiver) -> None:
    api = make_api(webhooks_may_reach_private=True, reaper_seconds=0.02)
    made = hook(api, receiver, ["model.published"])
    api.publish()
    while not api.client.get(f"/v1/webhooks/{made['id']}").json()["deliveries"][0]["delivered_at"]:
        pass
    assert len(receiver.requests) == 1


def test_what_cannot_be_a_webhook_is_refused(make_api: MakeApi, receiver: Receiver) -> None:
    api = make_api()
    for request, code in (
        ({"url": receiver.url, "events": ["job.failed"]}, "webhook.bad_url"),
        ({"url": "https://lab.example/", "events": []}, "request.invalid"),
        ({"url": "https://lab.example/", "events": ["job.started"]}, "request.invalid"),
    ):
        answer = api.client.post("/v1/webhooks", json=request)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (
        "VTT_WEBHOOKS_MAY_REACH_PRIVATE"
        in api.client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.failed"]}).json()["remedy"]
    )


def test_a_tenant_has_so_many_and_no_more(api: Api, receiver: Receiver) -> None:
    for _ in range(MAX_WEBHOOKS):
        hook(api, receiver, ["job.failed"])
    answer = api.client.post("/v1/webhooks", json={"url": receiver.url, "events": ["job.failed"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "access.quota_exceeded")
