"""Where keys are asked for, a browser signs in once and acts for its key until it signs out."""

from collections.abc import Callable

from tests.app.pages.conftest import Browser, csrf_in
from tests.fixtures.http_api import Api

MakeKey = Callable[..., str]


def test_a_page_leads_to_the_sign_in_and_back(locked_browser: Browser, make_key: MakeKey) -> None:
    refused = locked_browser.open("/")
    assert (refused.status_code, refused.headers["location"]) == (303, "/sign-in?next=/")
    sent = locked_browser.send("/sign-in", key=make_key(), next="/")
    assert (sent.status_code, sent.headers["location"]) == (303, "/")
    assert locked_browser.open("/").status_code == 200


def test_a_wrong_key_is_told_so_and_signs_nobody_in(locked_browser: Browser) -> None:
    answer = locked_browser.send("/sign-in", key="vtt_wrong")
    assert answer.status_code == 403
    assert "not valid" in answer.text
    assert locked_browser.open("/").status_code == 303


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(locked_browser: Browser, make_key: MakeKey) -> None:
    cookie = locked_browser.send("/sign-in", key=make_key()).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_form_of_another_site_signs_nobody_out(locked_browser: Browser, make_key: MakeKey) -> None:
    """It comes without the cookie, and its answer must not bring another one."""
    locked_browser.send("/sign-in", key=make_key())
    client = locked_browser.api.client
    kept = client.cookies["vtt_page"]
    client.cookies.clear()
    for path in ("/sign-out", "/sign-in", "/sets/set_none/name"):
        assert "set-cookie" not in client.post(path, data={"name": "x"}, follow_redirects=False).headers
    client.cookies.set("vtt_page", kept)
    assert locked_browser.open("/").status_code == 200


def test_a_link_of_another_site_leads_to_the_page_and_not_to_the_sign_in(locked_browser: Browser) -> None:
    """The browser sends no cookie with it, but does when a page of ours asks for the same address."""
    headers = {"Accept": "text/html", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = locked_browser.api.client.get("/models", headers=headers, follow_redirects=False)
    assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    assert 'http-equiv="refresh" content="0"' in answer.text
    asked_again = locked_browser.open("/models")
    assert asked_again.headers["location"] == "/sign-in?next=/models"


def test_signing_in_changes_the_token(locked_browser: Browser, make_key: MakeKey) -> None:
    """A token that somebody planted before is worth nothing."""
    locked_browser.open("/sign-in")
    before = locked_browser.api.client.cookies["vtt_page"]
    locked_browser.send("/sign-in", key=make_key())
    after = locked_browser.api.client.cookies["vtt_page"]
    assert before != after
    locked_browser.api.client.cookies.clear()
    locked_browser.api.client.cookies.set("vtt_page", before)
    assert locked_browser.open("/").status_code == 303


def test_signing_out_ends_it_for_the_token_too(locked_browser: Browser, make_key: MakeKey) -> None:
    locked_browser.send("/sign-in", key=make_key())
    token = locked_browser.api.client.cookies["vtt_page"]
    locked_browser.send("/sign-out", page="/")
    assert locked_browser.open("/").status_code == 303
    locked_browser.api.client.cookies.clear()
    locked_browser.api.client.cookies.set("vtt_page", token)
    assert locked_browser.open("/").status_code == 303


def test_a_revoked_key_signs_its_browsers_out(locked: Api, locked_browser: Browser, make_key: MakeKey) -> None:
    from app.infra.access_repository import AccessRepository
    from app.infra.clock import utc_now

    key = make_key()
    locked_browser.send("/sign-in", key=key)
    assert locked_browser.open("/").status_code == 200
    with locked.context.sessions.begin() as session:
        AccessRepository(session).revoke_key(key.split("_")[1], utc_now())
    assert locked_browser.open("/").status_code == 303


def test_scripts_of_a_signed_in_browser_reach_the_api_with_the_pages_value_only(
    locked: Api, locked_browser: Browser, make_key: MakeKey
) -> None:
    locked_browser.send("/sign-in", key=make_key())
    assert locked.client.get("/v1/models").status_code == 200
    without = locked.client.put("/v1/aliases/best", json={"model_id": "mdl_none"})
    assert (without.status_code, without.json()["code"]) == (403, "access.forged_form")
    csrf = csrf_in(locked_browser.open("/").text)
    with_it = locked.client.put("/v1/aliases/best", json={"model_id": "mdl_none"}, headers={"X-CSRF-Token": csrf})
    assert (with_it.status_code, with_it.json()["code"]) == (404, "not_found")


def test_a_browser_that_has_not_signed_in_cannot_use_the_api(locked: Api, locked_browser: Browser) -> None:
    locked_browser.open("/sign-in")
    assert locked.client.get("/v1/models").json()["code"] == "access.key_refused"


def test_without_keys_there_is_nothing_to_sign_in_to(browser: Browser) -> None:
    answer = browser.open("/sign-in?next=/models")
    assert (answer.status_code, answer.headers["location"]) == (303, "/models")
