"""Every screen: usable by everybody, on a phone, by keyboard, in light and dark, and quick to load."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, Request, expect

from app.cli.demo import running_service
from app.pages.texts import text
from tests.browser.conftest import Faults, OpenPage, violations
from tests.browser.steps import answers
from vtt_client import Client

pytestmark = [pytest.mark.services, pytest.mark.slow]

SCREENS = (
    "new",
    "sets",
    "set",
    "used set",
    "start",
    "jobs",
    "finished job",
    "failed job",
    "models",
    "result",
    "try",
    "compare",
    "compared",
    "measured",
    "about",
    "api",
    "nowhere",
)
PHONE = {"width": 360, "height": 740}
FIRST_VISIT_BYTES = 150_000
OPEN_ALL = "for (const one of document.querySelectorAll('main details')) one.open = true"
WIDER_THAN_PAGE = """[...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table, pre, #swagger'))
    .map((one) => `${one.tagName} ${one.className}`)"""
FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one);
    return {text: one.textContent.trim(), is_seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
}"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def service_url(data_dir: Path) -> Iterator[str]:
    with running_service(data_dir) as url:
        yield url


@pytest.fixture(scope="module")
def screens(service_url: str, data_dir: Path, photos: Path) -> dict[str, str]:
    """The path of each screen, after two jobs that succeeded and one that failed."""
    with Client(service_url) as client, httpx2.Client(base_url=service_url, timeout=60.0) as http:
        names = ("Shapes of a long afternoon in autumn", "shapes", "damaged")
        used, unused, damaged = (upload(http, photos, name) for name in names)
        jobs = [finished_job(client, used, name=name) for name in ("first", "second")]
        kept = {path: path.read_bytes() for path in (data_dir / "blobs" / "support-sets" / damaged).glob("img_*")}
        for path in kept:
            path.write_bytes(b"damaged")
        failed = finished_job(client, damaged)
        for path, content in kept.items():
            path.write_bytes(content)
        assert client.job(failed).state == "failed"
        one, other = (client.job(job_id).model_id for job_id in jobs)
        pair = f"/models/compare?model={one}&model={other}"
        files = [(path.parent.name, (path.name, path.read_bytes())) for path in sorted(photos.glob("*/00[01].png"))]
        measured = http.post(pair.replace("/models/compare", "/v1/evaluations"), files=files).json()["evaluations"]
    return {
        **{name: f"/{name}" for name in ("sets", "jobs", "models", "about", "nowhere")},
        "new": "/",
        "set": f"/sets/{unused}",
        "used set": f"/sets/{used}",
        "start": f"/sets/{unused}/start",
        "finished job": f"/jobs/{jobs[0]}",
        "failed job": f"/jobs/{failed}",
        "result": f"/models/{one}",
        "try": f"/models/{one}/try",
        "compare": pair,
        "compared": f"{pair}&evaluation={measured[-1]['id']}",
        "measured": f"/models/measure?model={other}&evaluation={measured[-1]['id']}",
        "api": "/docs",
    }


def upload(http: httpx2.Client, photos: Path, name: str) -> str:
    files = [(path.parent.name, (path.name, path.read_bytes())) for path in sorted(photos.glob("*/*.png"))]
    return str(http.post("/v1/support-sets", params={"name": name}, files=files).json()["id"])


def finished_job(client: Client, set_id: str, name: str = "") -> str:
    job_id = client.train(set_id, name=name).id
    for _ in client.follow(job_id):
        pass
    return job_id


def fill(page: Page, screen: str, photos: Path) -> None:
    """Wait for what a screen shows only after a while."""
    page.wait_for_load_state("networkidle")
    if screen == "set":
        expect(page.locator("#findings .findings")).to_be_visible()
    if screen == "api":
        page.locator(".opblock").nth(20).wait_for()
    if screen == "try":
        page.locator("#images").set_input_files([photos / "star" / "000.png", photos / "rings" / "000.png"])
        answers(page, 2)


@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_use(open_page: OpenPage, faults: Faults, screens: dict[str, str], photos: Path, screen: str) -> None:
    if screen == "nowhere":
        faults.expected.append("404")
    page = open_page(screens[screen], color_scheme="light", reduced_motion="reduce")
    fill(page, screen, photos)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    if screen != "api":
        page.evaluate(OPEN_ALL)
    assert violations(page) == []
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.evaluate(WIDER_THAN_PAGE)


def test_a_job_can_be_watched_by_everybody(open_page: OpenPage, service_url: str, photos: Path) -> None:
    with Client(service_url) as client, httpx2.Client(base_url=service_url, timeout=60) as http:
        set_id = upload(http, photos, "")
        job_id = client.train(set_id, method="clip-lora+vtt", recipe={"iterations": 2000}).id
        page = open_page(f"/jobs/{job_id}", viewport=PHONE, reduced_motion="reduce")
        expect(page.locator("[data-chart=absorption_loss] svg")).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.evaluate(WIDER_THAN_PAGE)
        http.post(f"/v1/jobs/{job_id}/cancel")
        expect(page.get_by_role("heading", name=text("watch.cancelled_title"))).to_be_visible()
        assert violations(page) == []


def test_photographs_can_be_chosen_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    # From here on, so that the browser surely asks us and not the system when a button is pressed.
    page.on("filechooser", lambda chooser: None)
    wanted = {text(f"script.drop.{name}") for name in ("folder", "zip", "images", "camera")}
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["is_seen"], focused
        seen.add(focused["text"])
        if seen >= wanted:
            break
    assert seen >= wanted
    with page.expect_file_chooser():
        page.keyboard.press("Enter")


def test_a_first_visit_is_light(open_page: OpenPage) -> None:
    page = open_page("/about")
    page.context.clear_cookies()
    loaded: list[Request] = []
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.on("requestfinished", lambda request: loaded.append(request))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    sizes = {one.url: one.sizes()["responseBodySize"] for one in loaded if one.resource_type != "image"}
    assert len(sizes) > 5
    assert 0 < sum(sizes.values()) < FIRST_VISIT_BYTES, sizes
