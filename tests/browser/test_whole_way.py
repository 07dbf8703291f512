"""From a folder of photographs to a second, better informed model, in a browser."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.cli.synthetic_images import make_image, write_folders
from app.pages.texts import text
from tests.browser.conftest import OpenPage
from tests.browser.steps import answers, drop, start, wait_for_model
from tests.fixtures.noise_images import noise

pytestmark = [pytest.mark.services, pytest.mark.slow]

NEW_NAME = "a five-pointed star"


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two photographs that no model has seen, and one of nothing."""
    folder = tmp_path_factory.mktemp("queries")
    rng = random.Random("queries")
    images = [make_image("chessboard", rng), make_image("rings", rng), noise(side=(96, 96))]
    paths = [folder / f"{place}.png" for place in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    return paths


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, to measure models on."""
    folder = tmp_path_factory.mktemp("judged")
    write_folders(folder, num_images=4, seed=5)
    return folder


def rename_class(page: Page, label: str, new_label: str) -> None:
    card = page.locator(f'.class[data-label="{label}"]')
    card.locator(".rename summary").click()
    card.get_by_label(text("set.class_name")).fill(new_label)
    card.get_by_role("button", name=text("set.save")).click()
    page.locator(f'.class[data-label="{new_label}"]').wait_for()


def expected_accuracy(page: Page, model_id: str) -> str:
    metrics = page.request.get(f"/v1/models/{model_id}").json()["metrics"]
    return f"{100 * metrics['expected_accuracy']['accuracy']:.0f}\N{NO-BREAK SPACE}%"


def test_from_a_dropped_folder_to_two_compared_models(
    open_page: OpenPage, photos: Path, queries: list[Path], judged: Path
) -> None:
    page = open_page()
    drop(page, "drop-zone .zone", photos)
    page.wait_for_url("**/sets/*")
    expect(page.locator("#set .class")).to_have_count(5)
    expect(page.locator("#set .thumb[id]")).to_have_count(30)
    expect(page.locator("#findings .findings")).to_be_visible()
    rename_class(page, "star", NEW_NAME)
    start(page)
    first = wait_for_model(page)
    expect(page.locator("h2#expect + .big")).to_have_text(expected_accuracy(page, first))

    page.get_by_role("link", name=text("result.try")).click()
    page.locator("#images").set_input_files(queries)
    assert answers(page, 3) == ["chessboard", "rings", text("script.try.none_of_these")]
    card = page.locator(".answer").first
    card.locator(".choices summary").click()
    card.get_by_role("button", name=NEW_NAME).click()
    expect(card.locator(".done")).to_contain_text(NEW_NAME)
    page.get_by_role("link", name=text("script.try.train_again")).click()
    page.get_by_role("button", name=text("start.button")).click()
    second = wait_for_model(page)
    assert second != first

    page.goto("/models")
    for box in page.locator("input[form=compare]").all():
        box.check()
    page.get_by_role("button", name=text("models.compare")).click()
    page.locator("#folder").set_input_files(judged)
    page.wait_for_url("**evaluation=*")
    expect(page.locator("#result .difference-axis")).to_be_visible()
    expect(page.locator("#result tbody tr").first).to_contain_text("16")
    page.reload()
    expect(page.locator("#result .difference-axis")).to_be_visible()


def test_without_scripts_a_zip_becomes_a_model_that_answers(
    open_page: OpenPage, photos: Path, queries: list[Path], tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "shapes"), "zip", photos)
    page = open_page(java_script_enabled=False)
    page.get_by_label(text("new.form.zip")).set_input_files(archive)
    page.get_by_role("button", name=text("new.form.send")).click()
    expect(page.locator("#set .thumb[id]")).to_have_count(30)
    start(page)
    page.wait_for_url("**/jobs/*")
    reload, done = (page.get_by_role("link", name=text(f"watch.{name}")) for name in ("reload", "done_button"))
    while "/jobs/" in page.url:
        page.wait_for_timeout(200)
        reload.or_(done).first.click()
    expect(page.locator("h2#expect + .big")).to_be_visible()
    page.get_by_role("link", name=text("result.try")).click()
    page.get_by_label(text("try.choose")).set_input_files(queries)
    page.get_by_role("button", name=text("try.send")).click()
    assert answers(page, 3) == ["chessboard", "rings", text("try.none_of_these")]
