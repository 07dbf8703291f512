"""The list of jobs, and the page that follows one, without scripts."""

from __future__ import annotations

import re

import pytest

from app.domain.errors import JobCrashedError
from app.infra.clock import utc_now
from app.infra.leases import Lease, LeaseRepository
from tests.app.models.test_interim import publish_interim
from tests.fixtures.http_api import Api
from vtt_core.contract.progress import StepReport


def page(api: Api, path: str) -> str:
    answer = api.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def csrf(api: Api, path: str) -> str:
    found = re.search(r'name="csrf" content="([^"]+)"', page(api, path))
    assert found is not None
    return found.group(1)


def send(api: Api, path: str, token: str | None, **fields: str) -> int:
    """Send a form without following where it leads; return the status."""
    sent = fields if token is None else {**fields, "csrf": token}
    return api.client.post(path, data=sent, follow_redirects=False).status_code


def claim(api: Api, job_id: str) -> Lease:
    with api.context.sessions.begin() as session:
        lease = LeaseRepository(session).claim(job_id, "tester", 60, utc_now())
    assert lease is not None
    return lease


def fail(api: Api, job_id: str) -> None:
    lease = claim(api, job_id)
    error = JobCrashedError(expected="a fine-tuning that ends", got="<b>a crash</b>", remedy="Look at the log")
    with api.context.sessions.begin() as session:
        LeaseRepository(session).fail(lease, error, utc_now())


def test_the_list_names_the_jobs_with_their_state_and_the_way_to_the_result(api: Api) -> None:
    assert "There are no jobs yet" in page(api, "/jobs")
    waiting = api.start_job(name="leaves & roots")
    done = api.start_job(name="done one")
    model_id = api.publish(done)
    listed = page(api, "/jobs")
    assert "leaves &amp; roots" in listed
    assert f'href="/jobs/{waiting}"' in listed
    assert f'href="/models/{model_id}"' in listed
    assert '<span class="state queued">waiting</span>' in listed


@pytest.mark.slow
def test_a_long_list_has_pages(api: Api) -> None:
    set_id = api.upload()
    for number in range(31):
        api.start_job(set_id, name=f"job number {number:02}")
    first = page(api, "/jobs")
    assert "job number 00" not in first
    older = re.search(r'href="(/jobs\?cursor=[^"]+)"', first)
    assert older is not None
    assert "job number 00" in page(api, older.group(1))


def test_a_waiting_job_says_how_many_are_before_it(api: Api) -> None:
    first, second = api.start_job(), api.start_job()
    assert "It is next" in page(api, f"/jobs/{first}")
    assert "1 job is before it." in page(api, f"/jobs/{second}")


def test_a_running_job_says_its_step_the_time_left_and_offers_its_first_version(api: Api) -> None:
    job_id = api.start_job()
    interim_id = publish_interim(api, job_id)
    with api.context.sessions.begin() as session:
        lease = LeaseRepository(session).claim(job_id, "tester", 60, utc_now())  # the same holder goes on
        assert lease is not None
        report = StepReport(20, 80, 1.5, -0.2, 0.4, is_absorbing=True, absorption_stopped_at=None)
        LeaseRepository(session).report_progress(lease, report, 180.0, utc_now())
    shown = page(api, f"/jobs/{job_id}")
    assert 'max="80" value="20"' in shown
    assert "Step 20 of 80" in shown
    assert "About 3 minutes left" in shown
    assert "Learning from all images" in shown
    assert f'href="/models/{interim_id}/try"' in shown


def test_a_job_is_cancelled_by_a_form_and_started_again_by_another(api: Api) -> None:
    set_id = api.upload()
    job_id = api.start_job(set_id, name="first", method="clip-lora+vtt", recipe={"iterations": 7}, seed=5)
    token = csrf(api, f"/jobs/{job_id}")
    assert send(api, f"/jobs/{job_id}/cancel", token) == 303
    assert "This job was cancelled" in page(api, f"/jobs/{job_id}")
    answer = api.client.post(f"/jobs/{job_id}/again", data={"csrf": token}, follow_redirects=False)
    again_id = answer.headers["location"].removeprefix("/jobs/")
    first, again = (api.client.get(f"/v1/jobs/{one}").json() for one in (job_id, again_id))
    assert again["state"] == "queued"
    for name in ("support_set_id", "backbone", "method", "recipe", "seed", "name"):
        assert again[name] == first[name]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["cancel", "again", "delete"])
def test_a_form_of_another_site_is_refused(api: Api, form: str) -> None:
    job_id = api.start_job()
    page(api, f"/jobs/{job_id}")
    assert send(api, f"/jobs/{job_id}/{form}", None) == 403
    assert api.client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    assert len(api.client.get("/v1/jobs").json()["items"]) == 1


def test_a_failed_job_says_what_came_what_was_expected_and_what_to_do(api: Api) -> None:
    job_id = api.start_job()
    fail(api, job_id)
    shown = page(api, f"/jobs/{job_id}")
    assert "a fine-tuning that ends" in shown
    assert "&lt;b&gt;a crash&lt;/b&gt;" in shown
    assert "Look at the log." in shown
    assert f'action="/jobs/{job_id}/again"' in shown


def test_without_its_images_a_failed_job_cannot_be_started_again(api: Api) -> None:
    set_id = api.upload()
    job_id = api.start_job(set_id)
    fail(api, job_id)
    assert api.client.delete(f"/v1/support-sets/{set_id}").status_code == 204
    shown = page(api, f"/jobs/{job_id}")
    assert "a set that was deleted" in shown
    assert f'action="/jobs/{job_id}/again"' not in shown


def test_a_job_that_has_succeeded_leads_to_its_model(api: Api) -> None:
    job_id = api.start_job()
    model_id = api.publish(job_id)
    assert f'href="/models/{model_id}"' in page(api, f"/jobs/{job_id}")


def test_a_job_that_has_ended_is_deleted_after_a_question_and_its_model_stays(api: Api) -> None:
    job_id = api.start_job()
    assert f"/jobs/{job_id}/delete" not in page(api, f"/jobs/{job_id}")
    model_id = api.publish(job_id)
    shown = page(api, f"/jobs/{job_id}")
    assert "This cannot be undone" in shown
    assert send(api, f"/jobs/{job_id}/delete", csrf(api, f"/jobs/{job_id}")) == 303
    assert api.client.get(f"/v1/jobs/{job_id}").status_code == 410
    assert api.client.get(f"/v1/models/{model_id}").status_code == 200


def test_an_unknown_job_is_a_page_that_says_so(api: Api) -> None:
    answer = api.client.get("/jobs/job_unknown")
    assert answer.status_code == 404
    assert "<h1>" in answer.text
