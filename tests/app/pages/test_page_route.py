"""Errors are pages for people and problem documents for programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.infra.settings import Role
from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api, MakeApi

TEMPLATES = Path(__file__).parents[3] / "app" / "pages" / "templates"


def test_an_unknown_path_is_a_page_for_a_browser_and_a_problem_for_a_program(api: Api, browser: Browser) -> None:
    page = browser.open("/nowhere")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing at this address" in page.text
    assert '<code class="address">/nowhere</code>' in page.text
    assert api.client.get("/nowhere").json()["code"] == "not_found"
    assert api.client.get("/v1/nowhere", headers={"Accept": "text/html"}).json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/models/mdl_none", "/jobs/job_none", "/sets/set_none"])
def test_a_page_of_a_thing_that_is_not_there_tells_people_no_call_of_a_program(browser: Browser, path: str) -> None:
    page = browser.open(path)
    assert path in page.text
    assert not re.search("GET|POST|/v1/", page.text)


def test_an_error_page_shows_what_came_as_text(browser: Browser) -> None:
    page = browser.open("/<script>alert(1)</script>")
    assert page.status_code == 404
    assert "<script>alert" not in page.text


@pytest.mark.parametrize("role", [Role.ALL, Role.CONTROL])
def test_the_first_page_is_there_in_each_role_that_has_pages(make_api: MakeApi, role: Role) -> None:
    assert Browser(make_api(role=role)).open("/").status_code == 200


@pytest.mark.parametrize("role", list(Role))
def test_every_role_describes_its_endpoints(make_api: MakeApi, role: Role) -> None:
    page = Browser(make_api(role=role)).open("/docs")
    assert page.status_code == 200
    assert "swagger-ui-bundle.js" in page.text


def test_pages_allow_only_our_own_scripts_and_styles(browser: Browser) -> None:
    policy = browser.open("/").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.jinja")), ids=lambda path: path.name)
def test_no_template_has_what_the_policy_forbids(template: Path) -> None:
    source = template.read_text()
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=\"|javascript:|https?://(?!www\.w3\.org)", source) == []
    inline = [tag for tag in re.findall(r"<script[^>]*>", source) if "src=" not in tag and 'type="application/json"' not in tag]
    assert inline == []
