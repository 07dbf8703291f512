"""What tests of several pages do with a browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from app.pages.texts import text


def drop(page: Page, target: str, *paths: Path) -> None:
    """Drop files or folders onto an element, as from the desktop: the page gets their entries."""
    box = page.locator(target).bounding_box()
    assert box is not None, target
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + min(box["height"], 100) / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    session.detach()


def upload(page: Page, folder: Path) -> str:
    """Choose a folder on the first page, wait until its images are stored, and return the address of the set."""
    page.locator("drop-zone input[webkitdirectory]").set_input_files(folder)
    page.locator("#set .class").first.wait_for()
    page.wait_for_load_state()
    return page.url


def start(page: Page) -> None:
    """Start on the page of a set, with what the service suggests; ends on the page of the job or of its model."""
    page.get_by_role("link", name=text("set.start")).first.click()
    page.get_by_role("button", name=text("start.button")).click()


def wait_for_model(page: Page) -> str:
    """Wait until the page of a job has gone on to that of its model; return the model's id."""
    page.wait_for_url("**/models/mdl_*", timeout=240_000)
    page.locator("#expect").wait_for()
    return page.url.rsplit("/", 1)[-1]


def answers(page: Page, num_images: int) -> list[str]:
    """Wait for the answers to as many images, and return the verdicts in the order of their files."""
    page.locator(".answer .verdict").nth(num_images - 1).wait_for()
    cards = page.locator(".answer")
    named = [(card.locator(".file").inner_text(), card.locator(".verdict").inner_text()) for card in cards.all()]
    return [verdict for _, verdict in sorted(named)]
