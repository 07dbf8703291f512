"""The frame of all pages, in a real browser: nothing is refused by its policy, and everybody can use it."""

import pytest

from tests.browser.conftest import Faults, OpenPage, violations

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/nowhere", "/docs"])
def test_everybody_can_use_the_frame(open_page: OpenPage, faults: Faults, scheme: str, path: str) -> None:
    faults.expected.append("404")
    page = open_page(path, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_the_description_of_the_api_needs_no_network(open_page: OpenPage) -> None:
    page = open_page("/docs")
    page.locator(".opblock").first.wait_for()
    assert page.locator(".opblock").count() > 20
