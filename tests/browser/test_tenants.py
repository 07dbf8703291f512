"""Two tenants in two browsers, where the service asks for keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from app.cli.demo import running_service
from app.cli.main import cli
from app.pages.texts import text
from tests.browser.conftest import Faults, OpenPage, violations
from tests.browser.steps import start, upload, wait_for_model

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def service_url(data_dir: Path) -> Iterator[str]:
    """The address of a service that asks for keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VTT_REQUIRE_KEYS", "1")
        with running_service(data_dir) as url:
            yield url


def make_key(data_dir: Path, tenant: str) -> str:
    command = ["keys", "create", "--tenant", tenant, "--json"]
    made = CliRunner().invoke(cli, command, env={"VTT_DATA_DIR": str(data_dir)})
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)["key"])


def sign_in(page: Page, key: str) -> None:
    page.get_by_label(text("sign_in.key")).fill(key)
    page.get_by_role("button", name=text("sign_in.button")).click()


def test_a_tenant_never_sees_what_another_has(open_page: OpenPage, faults: Faults, data_dir: Path, photos: Path) -> None:
    faults.expected += ["403", "404"]
    owner = open_page(reduced_motion="reduce")
    assert owner.url.endswith("/sign-in?next=/")
    sign_in(owner, "vtt_wrong")
    expect(owner.get_by_role("alert")).to_have_text(text("sign_in.refused"))
    for scheme in ("light", "dark"):
        owner.emulate_media(color_scheme=scheme)
        assert violations(owner) == []
    sign_in(owner, make_key(data_dir, "orchard"))
    set_address = upload(owner, photos)
    picture = owner.locator("#set .thumb img").first.get_attribute("src")
    assert picture is not None
    start(owner)
    owner.wait_for_url("**/jobs/*")
    job_address = owner.url
    model_id = wait_for_model(owner)
    theirs = [set_address, f"{set_address}/start", job_address, owner.url, f"{owner.url}/try"]

    stranger = open_page(f"/models/{model_id}")
    sign_in(stranger, make_key(data_dir, "clinic"))
    stranger.wait_for_url(owner.url)
    for address in theirs:
        answer = stranger.goto(address)
        assert answer is not None
        assert answer.status == 404, address
        expect(stranger.locator(".card.problem")).to_contain_text(text("error.missing_why"))
    for address in (picture, f"/v1/models/{model_id}", f"/v1/jobs/{job_address.rsplit('/', 1)[-1]}/events"):
        assert stranger.request.get(address).status == 404, address
    for path in ("/", "/sets", "/jobs", "/models"):
        stranger.goto(path)
        hrefs = stranger.locator("main a").evaluate_all("links => links.map((link) => link.href)")
        assert not [href for href in hrefs if any(href.startswith(address) for address in theirs)], path
        assert owner.goto(path) is not None
    expect(owner.locator(f"[id={model_id}]")).to_be_visible()
    assert owner.request.get(picture).ok


def test_after_signing_out_a_browser_sees_nothing(open_page: OpenPage, data_dir: Path) -> None:
    page = open_page("/models")
    sign_in(page, make_key(data_dir, "orchard"))
    page.wait_for_url("**/models")
    cookies = page.context.cookies()
    assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]
    page.get_by_role("button", name=text("base.sign_out")).click()
    page.wait_for_url("**/sign-in")
    page.goto("/sets")
    assert page.url.endswith("/sign-in?next=/sets")
    # The cookie of before is worth nothing either.
    page.context.add_cookies([{"name": str(one["name"]), "value": str(one["value"]), "url": page.url} for one in cookies])
    page.goto("/models")
    assert page.url.endswith("/sign-in?next=/models")


def test_who_follows_a_link_of_another_site_stays_signed_in(open_page: OpenPage, service_url: str, data_dir: Path) -> None:
    page = open_page()
    sign_in(page, make_key(data_dir, "orchard"))
    elsewhere = service_url.replace("127.0.0.1", "localhost") + "/elsewhere"
    link = f'<a href="{service_url}/models">our models</a>'
    page.route(elsewhere, lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(elsewhere)
    page.get_by_text("our models").click()
    page.wait_for_url("**/models")
    expect(page.get_by_role("heading", level=1)).to_have_text(text("models.title"))
