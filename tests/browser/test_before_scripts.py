"""What somebody does on a page that has not got its scripts yet: it counts, as soon as they are there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import answers, start, upload, wait_for_model

pytestmark = [pytest.mark.services, pytest.mark.slow]


def open_without_script(page: Page, path: str, script: str) -> Callable[[], None]:
    """Open a path whose script is held back; return what lets the script come."""
    held: list[Route] = []
    page.route(re.compile(f"/{script}$"), lambda route: held.append(route), times=1)
    page.goto(path, wait_until="commit")

    def let_come() -> None:
        while not held:
            page.wait_for_timeout(20)
        held.pop().continue_()
        page.wait_for_load_state()

    return let_come


def test_a_name_that_was_opened_is_ready_to_be_written(open_page: OpenPage, photos: Path) -> None:
    page = open_page()
    address = upload(page, photos)
    let_come = open_without_script(page, address, "set-editor.js")
    page.locator('.class[data-label="star"] .rename summary').click()
    let_come()
    page.keyboard.type("a star")
    page.keyboard.press("Enter")
    expect(page.locator('.class[data-label="a star"] h2')).to_be_focused()


def test_images_that_were_chosen_are_answered_and_measured(open_page: OpenPage, photos: Path) -> None:
    page = open_page()
    upload(page, photos)
    start(page)
    model_id = wait_for_model(page)
    let_come = open_without_script(page, f"/models/{model_id}/try", "try-images.js")
    page.locator("#images").set_input_files(photos / "star" / "000.png")
    let_come()
    assert len(answers(page, 1)) == 1
    let_come = open_without_script(page, f"/models/measure?model={model_id}", "compare-images.js")
    page.locator("#folder").set_input_files(photos)
    let_come()
    page.wait_for_url("**evaluation=*")
