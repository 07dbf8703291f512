"""The page that shows a model photographs, in a browser without scripts."""

from __future__ import annotations

import json
import re

from app.domain.access import Scope
from app.infra.settings import Role
from tests.app.pages.conftest import Browser, csrf_in
from tests.fixtures.http_api import Api, MakeApi, encode_image

IMAGE = ("images", ("field.png", encode_image(3)))


def set_of(api: Api, model: str) -> str:
    job = api.client.get(f"/v1/models/{model}").json()["job_id"]
    return str(api.client.get(f"/v1/jobs/{job}").json()["support_set_id"])


def test_scripts_are_told_the_classes_and_the_image_set(api: Api, browser: Browser) -> None:
    model = api.publish()
    page = browser.open(f"/models/{model}/try").text
    labels = re.search(r"data-labels='([^']+)'", page)
    assert labels is not None
    assert json.loads(labels[1]) == ["cat", "dog"]
    assert f'data-set="{set_of(api, model)}"' in page


def test_without_scripts_a_form_is_answered_in_words(api: Api, browser: Browser) -> None:
    model = api.publish()
    csrf = csrf_in(browser.open(f"/models/{model}/try").text)
    files = [IMAGE, ("images", ("letter.png", b"text"))]
    page = api.client.post(f"/models/{model}/try", data={"csrf": csrf, "coverage": "0.95"}, files=files)
    assert page.status_code == 200
    assert ">cat</h3>" in page.text
    assert "90\N{NO-BREAK SPACE}% sure." in page.text
    assert "It is 4 bytes beginning with" in page.text
    assert api.engine.options is not None
    assert api.engine.options.coverage == 0.95


def test_where_no_photograph_can_be_read_each_one_says_why(api: Api, browser: Browser) -> None:
    model = api.publish()
    csrf = csrf_in(browser.open(f"/models/{model}/try").text)
    page = api.client.post(f"/models/{model}/try", data={"csrf": csrf}, files=[("images", ("letter.png", b"text"))])
    assert "It is 4 bytes beginning with" in page.text


def test_a_form_of_another_page_is_refused(api: Api, browser: Browser) -> None:
    model = api.publish()
    browser.open(f"/models/{model}/try")
    assert api.client.post(f"/models/{model}/try", files=[IMAGE]).status_code == 403
    assert api.engine.num_loads == 0


def test_where_another_process_predicts_the_page_says_that_it_needs_scripts(make_api: MakeApi) -> None:
    model = make_api(role=Role.ALL).publish()
    browser = Browser(make_api(role=Role.CONTROL))
    page = browser.open(f"/models/{model}/try").text
    assert "needs JavaScript" in page
    assert 'class="send"' not in page
    refused = browser.api.client.post(f"/models/{model}/try", data={"csrf": csrf_in(page)}, files=[IMAGE])
    assert refused.status_code == 503


def test_without_its_image_set_a_wrong_answer_cannot_be_corrected(api: Api, browser: Browser) -> None:
    model = api.publish()
    assert api.client.delete(f"/v1/support-sets/{set_of(api, model)}").status_code == 204
    page = browser.open(f"/models/{model}/try").text
    assert 'data-set=""' in page
    assert "were deleted" in page


def test_a_key_that_only_predicts_may_try_and_not_correct(locked: Api, locked_browser: Browser, make_key) -> None:  # type: ignore[no-untyped-def]
    locked.client.headers["Authorization"] = f"Bearer {make_key()}"
    model = locked.publish()
    del locked.client.headers["Authorization"]
    assert locked_browser.open(f"/models/{model}/try").headers["location"].startswith("/sign-in")
    locked_browser.send("/sign-in", key=make_key(scopes=frozenset({Scope.PREDICT})))
    page = locked_browser.open(f"/models/{model}/try").text
    assert 'data-set=""' in page
    assert "Your key does not allow training" in page


def test_photographs_are_not_stored_unless_an_answer_can_be_corrected(api: Api, browser: Browser) -> None:
    model = api.publish()
    assert "They are not stored, unless you correct an answer." in browser.open(f"/models/{model}/try").text
    api.client.delete(f"/v1/support-sets/{set_of(api, model)}")
    page = browser.open(f"/models/{model}/try").text
    assert "They are not stored." in page
    assert "unless you correct" not in page
