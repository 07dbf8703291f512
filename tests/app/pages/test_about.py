"""The page about the service."""

from __future__ import annotations

from app.domain.access import Quotas
from app.infra.settings import Role
from app.infra.workers import LiveWorker
from app.pages.cards import card_html
from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api, MakeApi, encode_image


def test_workers_are_shown_with_device_scan_and_versions(api: Api, browser: Browser) -> None:
    versions = {"torch": "9.9.9"}
    worker = LiveWorker("greenhouse:1", "cuda", "mini", None, scan="triton", scan_reason="the fastest", versions=versions)
    api.context.workers.announce(worker)
    page = browser.open("/about").text
    assert all(said in page for said in ("greenhouse", "cuda", "triton", "the fastest", "torch 9.9.9"))


def test_without_a_worker_the_page_says_what_to_do(browser: Browser) -> None:
    assert "vtt worker" in browser.open("/about").text


def test_a_worker_of_an_earlier_release_says_less(api: Api, browser: Browser) -> None:
    api.context.workers.announce(LiveWorker("old:1", "cpu", None, None))
    assert browser.open("/about").text.count("not said") == 2


def test_the_bundled_backbone_has_its_card(browser: Browser) -> None:
    page = browser.open("/about").text
    assert "<h4>How it was made</h4>" in page
    assert "used unless you say otherwise" in page


def test_quotas_and_their_use_are_those_of_the_caller(locked: Api, locked_browser: Browser, make_key) -> None:  # type: ignore[no-untyped-def]
    key = make_key(quotas=Quotas(max_images=50))
    locked.client.headers["Authorization"] = f"Bearer {key}"
    locked.upload({"cat": [encode_image(1)], "dog": [encode_image(2)]})
    del locked.client.headers["Authorization"]
    locked_browser.send("/sign-in", key=key)
    page = locked_browser.open("/about").text
    assert "2 of 50" in page
    assert "(no limit)" in page


def test_it_needs_no_torch(make_api: MakeApi) -> None:
    page = Browser(make_api(role=Role.CONTROL)).open("/about")
    assert page.status_code == 200
    assert "come from another process" in page.text


def test_a_card_brings_no_tags_and_no_pictures() -> None:
    shown = card_html("# name\n\n<script>alert(1)</script> ![picture](x.png)\n\n| a |\n| --- |\n| b |\n")
    assert "<h3>name</h3>" in shown
    assert "<script>" not in shown
    assert "<img" not in shown
    assert '<div class="table" tabindex="0"><table>' in shown
