"""The page of a job while its browser, its service or its user interrupts it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from app.pages.texts import text
from tests.browser.conftest import Faults, OpenPage
from tests.browser.steps import upload, wait_for_model
from tests.fixtures.waiting import command_of

pytestmark = [pytest.mark.services, pytest.mark.slow]

LOST_CONNECTION = "net::ERR_"
"""Part of what a browser says of a service that went away."""


def start_fine_tuning(page: Page, photos: Path, steps: int) -> None:
    """Start one with the folded choices, and wait for its first step."""
    upload(page, photos)
    page.get_by_role("link", name=text("set.start")).first.click()
    page.locator("details.more summary").click()
    page.locator("#method").select_option("clip-lora+vtt")
    page.locator("#iterations").fill(str(steps))
    page.get_by_role("button", name=text("start.button")).click()
    wait_for_step(page, 1)


def wait_for_step(page: Page, step: int) -> None:
    page.wait_for_function("step => document.querySelector('[data-part=bar]')?.value >= step", arg=step)


def step_of(page: Page) -> float:
    return float(page.evaluate("document.querySelector('[data-part=bar]').value"))


def api_processes() -> Iterator[psutil.Process]:
    for child in psutil.Process().children(recursive=True):
        if command_of(child)[1:3] == ["-m", "app.cli.api"]:
            yield child


def test_a_job_is_cancelled_after_a_question(open_page: OpenPage, photos: Path) -> None:
    page = open_page()
    start_fine_tuning(page, photos, 2000)
    page.locator(".cancel summary").click()
    page.get_by_role("button", name=text("watch.cancel_sure")).click()
    expect(page.get_by_role("heading", name=text("watch.cancelled_title"))).to_be_visible()
    expect(page.get_by_role("button", name=text("watch.again"))).to_be_visible()


def test_a_job_survives_a_reload_and_the_death_of_the_api(open_page: OpenPage, faults: Faults, photos: Path) -> None:
    page = open_page()
    start_fine_tuning(page, photos, 150)
    before = step_of(page)
    page.reload()
    wait_for_step(page, int(before) + 1)
    expect(page.locator("[data-chart=classification_loss] svg")).to_be_visible()

    faults.expected.append(LOST_CONNECTION)
    killed = list(api_processes())
    for process in killed:
        process.kill()
    assert len(killed) == 1
    notice = page.locator("[data-part=offline]")
    expect(notice).to_be_visible()
    expect(notice).to_be_hidden()
    wait_for_model(page)
    page.go_back()
    assert page.url.endswith("/start")
