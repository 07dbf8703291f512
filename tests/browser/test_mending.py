"""What a page says when photographs cannot be taken as they came, and while the service is not ready."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from app.pages.texts import text
from tests.browser.conftest import Faults, OpenPage
from tests.browser.steps import drop, upload

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def few(photos: Path, tmp_path: Path) -> Path:
    """Two classes in a folder."""
    folder = tmp_path / "mine"
    for label in ("star", "rings"):
        (folder / label).mkdir(parents=True)
        for path in sorted((photos / label).iterdir())[:2]:
            shutil.copy(path, folder / label)
    return folder


def test_a_photograph_beside_the_folders_of_the_classes_is_in_no_class(open_page: OpenPage, few: Path, photos: Path) -> None:
    shutil.copy(sorted((photos / "star").iterdir())[3], few / "loose.png")
    (few / "notes.txt").write_text("Taken in June.")
    page = open_page()
    drop(page, "drop-zone .zone", few)
    expect(page.locator(".uploads .class")).to_have_count(2)
    tray = page.locator(".uploads .card.notice")
    expect(tray).to_contain_text(text("script.drop.tray", n=1))
    expect(tray).to_contain_text("loose.png")


def test_what_a_class_cannot_take_is_said_at_the_class_and_duplicates_are_not_counted(
    open_page: OpenPage, few: Path, tmp_path: Path, faults: Faults
) -> None:
    faults.expected.append("Failed to load resource")  # none of the two images is taken, which is a status of an error
    page = open_page()
    upload(page, few)
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    with page.expect_file_chooser() as chooser:
        page.locator('[data-add="star"]').click()
    chooser.value.set_files([broken, next((few / "star").iterdir())])
    said = page.locator('.class[data-label="star"] .said')
    expect(said.locator(".card.problem")).to_be_in_viewport()
    expect(said).to_contain_text(text("script.refusals.image.not_an_image"))
    expect(said).to_contain_text(text("script.drop.known_of", n=1, label="star"))
    expect(page.locator('.class[data-label="star"] .thumb[id]')).to_have_count(2)


def test_a_rename_begins_in_its_field_and_ends_at_the_heading(open_page: OpenPage, few: Path) -> None:
    page = open_page()
    upload(page, few)
    # No key may come between the click and the field.
    assert (
        page.locator(".class .rename summary").first.evaluate("(it) => (it.click(), document.activeElement.name)")
        == "new_label"
    )
    page.keyboard.press("Escape")
    page.locator('.class[data-label="star"] .rename summary').click()
    page.keyboard.type("a star")
    page.keyboard.press("Enter")
    expect(page.locator('.class[data-label="a star"] h2')).to_be_focused()


def test_the_findings_wait_until_the_service_is_ready(open_page: OpenPage, few: Path, faults: Faults) -> None:
    faults.expected.append("503")
    page = open_page()
    answer = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"code": "predictions.not_ready"}}
    refused: list[Route] = []

    def refuse_once(route: Route) -> None:
        refused.append(route)
        route.fulfill(**answer) if len(refused) == 1 else route.continue_()  # type: ignore[arg-type]

    page.route("**/report", refuse_once)
    upload(page, few)
    expect(page.locator("#findings")).to_contain_text(text("script.findings.getting_ready"))
    expect(page.locator("#findings .findings")).to_be_visible()
