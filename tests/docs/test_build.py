"""`make docs`: no warning, no broken link, nothing from another host; and the search works in a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from docs.site.links import faults
from tests.browser.conftest import chromium as chromium

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.services]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The site, and what its build printed."""
    site = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "docs.site.build", str(site)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return site, result.stdout + result.stderr


def test_the_build_has_no_warning_and_every_link_leads_somewhere(built: tuple[Path, str]) -> None:
    site, printed = built
    assert "Warning" not in printed
    assert "No issues found" in printed
    assert faults(site) == []


def test_every_page_of_the_repository_and_every_reference_is_in_it(built: tuple[Path, str]) -> None:
    site, _ = built
    pages = [path for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"]
    assert [path for path in pages if not (site / path.relative_to(ROOT)).with_suffix(".html").is_file()] == []
    for name in ("commands", "settings", "api", "errors", "python/index", "python/heads"):
        assert (site / "reference" / f"{name}.html").is_file()


def test_the_search_finds_a_word_in_pages_that_are_opened_as_files(built: tuple[Path, str], chromium: Browser) -> None:
    site, _ = built
    asked: list[str] = []
    page = chromium.new_page()
    page.on("request", lambda request: asked.append(_host(request)))
    page.goto((site / "docs" / "tutorial.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("shortcut.border")
    expect(page.get_by_text("shortcut.image_size").first).to_be_visible()
    page.close()
    assert set(asked) == {"file"}


def _host(request: Request) -> str:
    return request.url.partition("://")[0]
