"""The forms in which a model can be taken along."""

from __future__ import annotations

from app.infra.tables import ModelRow
from app.pages.texts import text
from tests.app.exports.test_endpoints import make_like_a_worker
from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api


def test_a_form_is_asked_for_followed_and_downloaded(api: Api, browser: Browser) -> None:
    model_id = api.publish()
    here = f"/models/{model_id}"
    page = browser.open(here).text
    assert page.count(f'action="{here}/exports"') == 4
    assert "every 2s" not in page
    sent = browser.send(f"{here}/exports", page=here, kind="web")
    assert (sent.status_code, sent.headers["Location"]) == (303, f"{here}#exports")
    waiting = browser.open(here).text
    assert text("exports.queued") in waiting
    assert "every 2s" in waiting
    make_like_a_worker(api, model_id)
    made = browser.open(here).text
    assert f'href="/v1{here}/exports/web" download' in made
    assert "every 2s" not in made


def test_a_form_without_a_place_for_the_model_is_not_offered(api: Api, browser: Browser) -> None:
    model_id = api.publish()
    with api.context.sessions.begin() as session:
        session.get_one(ModelRow, model_id).recipe = {"method": "frozen"}
    page = browser.open(f"/models/{model_id}").text
    assert page.count(f'action="/models/{model_id}/exports"') == 3
    assert text("exports.impossible", why="one whose vision tower has no LoRA (method &#39;frozen&#39;)") in page


def test_a_form_that_is_none_is_refused(api: Api, browser: Browser) -> None:
    here = f"/models/{api.publish()}"
    assert browser.send(f"{here}/exports", page=here, kind="adapter").status_code == 422
