"""Give tests a real browser in front of a real service, and let none of its faults go unseen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from app.cli.synthetic_images import write_folders
from tests.e2e.conftest import service_url as service_url

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A camera that shows a moving disc, and is allowed.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
WAIT_MS = 60_000
AXE = Path(__file__).with_name("axe.min.js")
"""Axe-core 4.14.1 of Deque Systems, under the Mozilla Public License 2.0."""

OpenPage = Callable[..., Page]


class Faults:
    """What went wrong in a browser while a test used it."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.expected: list[str] = []
        """Parts of faults that the test provokes."""

    def watch(self, page: Page) -> None:
        """Note the page's errors, refused loads and requests to other hosts."""
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.found.append(f"error in a script: {error}"))
        page.on("request", self._note_request)

    def left(self) -> list[str]:
        """Return those that no test expects."""
        return [fault for fault in self.found if not any(part in fault for part in self.expected)]

    def _note_message(self, message: ConsoleMessage) -> None:
        # The browser reports what the policy refuses as an error.
        if message.type in {"error", "warning"}:
            self.found.append(f"{message.type} on the console: {message.text}")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and parts.hostname not in {"127.0.0.1", "localhost"}:
            self.found.append(f"request to another host: {request.url}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; not for the whole session, since no other test can run an event loop while Playwright runs its own."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium; on Debian: apt-get install chromium")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def faults() -> Iterator[Faults]:
    noted = Faults()
    yield noted
    assert noted.left() == []


@pytest.fixture
def open_page(chromium: Browser, service_url: str, faults: Faults) -> Iterator[OpenPage]:
    """Open a path of the service in a new browser window; options are those of Playwright's `new_context`."""
    contexts: list[BrowserContext] = []

    def open_path(path: str = "/", **options: object) -> Page:
        contexts.append(chromium.new_context(base_url=service_url, **options))  # type: ignore[arg-type]
        contexts[-1].set_default_timeout(WAIT_MS)
        page = contexts[-1].new_page()
        faults.watch(page)
        page.goto(path)
        return page

    yield open_path
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, of drawn shapes."""
    folder = tmp_path_factory.mktemp("shapes")
    write_folders(folder, num_images=6)
    return folder


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong on a page, by rule and element; the inside of Swagger UI is not ours."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({exclude: ['#swagger']}, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found["violations"] for node in rule["nodes"]
    ]
