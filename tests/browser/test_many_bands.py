"""Images with more than three bands: from a folder of TIFFs to an answer, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.pages.texts import text
from tests.browser.conftest import Faults, OpenPage
from tests.browser.steps import answers, start, wait_for_model
from tests.fixtures.band_images import LABELS, band_tiff

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, with 4-band TIFFs of 16 bits."""
    folder = tmp_path_factory.mktemp("fields")
    for label in LABELS:
        (folder / label).mkdir()
        for number in range(3):
            (folder / label / f"{number}.tif").write_bytes(band_tiff(label, number))
    return folder


def are_shown(page: Page) -> bool:
    """Whether the browser has drawn every thumbnail of the set."""
    script = "all => all.length && all.every(one => { one.loading = 'eager'; return one.complete && one.naturalWidth > 0; })"
    return bool(page.locator("#set .thumb img").evaluate_all(script))


def test_bands_are_named_after_the_first_try_was_refused_and_a_model_answers(
    open_page: OpenPage, fields: Path, tmp_path: Path, faults: Faults
) -> None:
    faults.expected.append("Failed to load resource")  # none of the images is taken, which is a status of an error
    page = open_page()
    page.locator("drop-zone input[webkitdirectory]").set_input_files(fields)
    refused = page.locator(".uploads .card.problem")
    expect(refused).to_have_count(2)
    expect(refused.first).to_contain_text(text("script.refusals.image.unsupported_kind"))
    expect(refused.first.locator(".no-picture").first).to_have_text(text("script.drop.unreadable"))

    page.get_by_text(text("new.bands.title"), exact=True).click()
    page.get_by_label(text("new.bands.bands"), exact=True).fill("4,3,2")
    page.get_by_label(text("new.bands.stretch")).fill("0,100")
    first, second = (refused.filter(has_text=label).get_by_role("button", name=text("script.drop.again")) for label in LABELS)
    first.click()
    page.wait_for_url("**/sets/*")  # the set is made with its bands; what was refused before can still be sent
    second.click()
    expect(page.locator("#set .thumb[id]")).to_have_count(6)
    expect(page.locator("#set-title + .hint + .hint")).to_have_text(text("set.bands", bands="4, 3, 2", low="0", high="100"))
    page.wait_for_function("() => [...document.querySelectorAll('#set .thumb img')].every(one => one.naturalWidth > 0)")
    assert are_shown(page)
    expect(page.locator("#findings .findings")).to_be_visible()

    start(page)
    model_id = wait_for_model(page)
    shown = page.request.get(f"/v1/models/{model_id}").json()["bands"]
    assert shown == {"bands": [4, 3, 2], "black": [100] * 3, "white": [4180] * 3}
    page.get_by_role("link", name=text("result.try")).click()
    queries = [tmp_path / f"{place} {label}.tif" for place, label in enumerate(LABELS)]
    for label, path in zip(LABELS, queries, strict=True):
        path.write_bytes(band_tiff(label, 8))
    page.locator("#images").set_input_files(queries)
    assert answers(page, 2) == list(LABELS)
