"""The page of `vtt export --format web` in Chromium, from a plain file server, and then without any."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.cli.export import run_export
from tests.browser.conftest import Faults, violations
from vtt_core.adapter.classify import adapter_scores, read_for
from vtt_core.adapter.files import load_adapter, save_adapter
from vtt_core.adapter.strip import frozen_adapter
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.exports import ExportKind
from vtt_core.contract.recipe import make_recipe

pytestmark = [pytest.mark.slow, pytest.mark.services]
LABELS = ("river", "forest", "sea ice")


@pytest.fixture(scope="module")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(frozen_adapter(load_backbone("mini"), LABELS, make_recipe("frozen", backbone_id="mini"), 0), folder)
    return folder


@pytest.fixture(scope="module")
def exported(adapter_folder: Path) -> Path:
    out = adapter_folder.parent / "web"
    run_export(adapter_folder, ExportKind.WEB, out)
    return out


class QuietHandler(SimpleHTTPRequestHandler):
    """What `python -m http.server` uses, without its lines on standard error."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(exported: Path) -> Iterator[ThreadingHTTPServer]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(exported)))
    Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def page(chromium: Browser, server: ThreadingHTTPServer, faults: Faults) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 360, "height": 780})
    opened = context.new_page()
    faults.watch(opened)
    opened.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    expect(opened.get_by_text("The model is ready.")).to_be_visible()
    yield opened
    context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (71, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_pictures_are_resized_to_the_bit_as_by_pillow(page: Page, picture: Path) -> None:
    image = Image.open(picture)
    for side in (20, 48, 224, 300):
        resized = page.evaluate(
            "async ([w, h, side, data]) => [...(await import('./resize.js')).squash(new Uint8Array(data), w, h, side)]",
            [*image.size, side, np.asarray(image.convert("RGBA")).ravel().tolist()],
        )
        ours = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
        assert np.array_equal(np.array(resized, np.uint8), ours.ravel())


def test_the_browser_gives_the_logits_of_the_adapter(page: Page, picture: Path, adapter_folder: Path) -> None:
    image = Image.open(picture)
    theirs = page.evaluate(
        """async ([w, h, data]) => {
            const { classify } = await (await import('./classify.js')).loadClassifier();
            const canvas = new OffscreenCanvas(w, h);
            canvas.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(data), w, h), 0, 0);
            return (await classify(canvas)).logits;
        }""",
        [*image.size, np.asarray(image.convert("RGBA")).ravel().tolist()],
    )
    adapter = load_adapter(adapter_folder)
    ours = adapter_scores(adapter, read_for(load_backbone("mini"), adapter, [image]))[0].tolist()
    assert theirs == pytest.approx(ours, abs=0.05)  # its weights are in float16
    assert max(ours) - min(ours) > 0.2


def test_a_phone_classifies_pictures_and_says_what_it_cannot_read(page: Page, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    page.set_input_files("#files", [picture, tmp_path / "notes.png"])
    expect(page.locator("article h2")).to_have_count(1)
    expect(page.locator("article", has_text="notes.png")).to_contain_text("This picture could not be read.")
    assert page.locator("article h2").inner_text() in LABELS
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_text("About this model").click()
    expect(page.locator("dl")).to_contain_text("river, forest, sea ice")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []


def test_a_dropped_picture_is_classified(page: Page, picture: Path) -> None:
    page.evaluate(
        """async (data) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], 'dropped.png', { type: 'image/png' }));
            document.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        list(picture.read_bytes()),
    )
    expect(page.locator("article", has_text="dropped.png").locator("h2")).to_be_visible()


def test_a_picture_of_the_camera_is_classified(page: Page) -> None:
    page.get_by_role("button", name="Camera").click()
    expect(page.locator("#video")).to_be_visible()
    page.wait_for_function("document.querySelector('#video').videoWidth > 0")
    page.get_by_role("button", name="Take the picture").click()
    expect(page.locator("article", has_text="Camera").locator("h2")).to_be_visible()
    page.get_by_role("button", name="Close the camera").click()
    expect(page.locator("#video")).to_be_hidden()


def test_it_opens_again_when_server_and_network_are_gone(page: Page, server: ThreadingHTTPServer, picture: Path) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    expect(page.get_by_text("The model is ready.")).to_be_visible()
    server.shutdown()
    server.server_close()
    page.context.set_offline(True)
    page.reload()
    expect(page.get_by_text("The model is ready.")).to_be_visible()
    page.set_input_files("#files", picture)
    expect(page.locator("article h2")).to_have_count(1)
