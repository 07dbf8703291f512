"""A really full disk: other requests are answered, no partial files stay, and uploads work again once there is space."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from app.cli.demo import running_service

pytestmark = [pytest.mark.services, pytest.mark.slow]

SLOWEST_ANSWER_SECONDS = 10.0
"""Longest wait for /livez."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def service(small_disk: Path) -> Iterator[httpx2.Client]:
    with running_service(small_disk / "data") as url, httpx2.Client(base_url=url, trust_env=False, timeout=120) as client:
        yield client


def zip_of(num_images: int, seed: int) -> bytes:
    """Incompressible noise: about 1 MB for each image, in six classes."""
    source = random.Random(seed)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for index in range(num_images):
            image = io.BytesIO()
            Image.frombytes("RGB", (600, 600), source.randbytes(600 * 600 * 3)).save(image, "BMP")
            archive.writestr(f"class {index % 6}/{index}.bmp", image.getvalue())
    return content.getvalue()


def send(service: httpx2.Client, content: bytes, *, announces_length: bool) -> httpx2.Response:
    request = service.build_request("POST", "/v1/support-sets", files={"archive": ("set.zip", content)})
    body = request.read()
    headers = {"Content-Type": request.headers["Content-Type"]}
    chunks = (body[start : start + 2**20] for start in range(0, len(body), 2**20))
    return service.post("/v1/support-sets", content=body if announces_length else chunks, headers=headers)


class Watch:
    """Requests /livez repeatedly, and remembers the longest wait."""

    def __init__(self, url: httpx2.URL) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest_seconds = 0.0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            start = time.monotonic()
            assert httpx2.get(f"{self._url}/livez", trust_env=False, timeout=120).status_code == 200
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - start)
            time.sleep(0.05)


def test_a_full_disk_refuses_new_images_and_nothing_else(service: httpx2.Client, small_disk: Path) -> None:
    kept = send(service, zip_of(20, seed=1), announces_length=True)
    assert kept.status_code == 201
    with Watch(service.base_url) as watch:
        announced = send(service, zip_of(60, seed=2), announces_length=True)
        chunked = send(service, zip_of(60, seed=2), announces_length=False)
    for refused in (announced, chunked):
        assert refused.status_code == 507
        assert refused.json()["code"] == "disk.full"
        assert "Delete" in refused.json()["remedy"]
    assert watch.longest_seconds < SLOWEST_ANSWER_SECONDS
    assert len([path for path in small_disk.rglob("*") if "img_" in path.name]) == 20, "no image of a refused set stays"
    assert [item["id"] for item in service.get("/v1/support-sets").json()["items"]] == [kept.json()["id"]]

    (small_disk / "something else").write_bytes(bytes(shutil.disk_usage(small_disk).free - 2_000_000))
    disk = service.get("/readyz").json()["parts"]["disk"]
    assert (disk["condition"], disk["is_required"]) == ("degraded", False), "told before the disk is full"
    assert service.post("/v1/jobs", json={"support_set_id": kept.json()["id"]}).status_code == 507

    (small_disk / "something else").unlink()
    assert service.delete(f"/v1/support-sets/{kept.json()['id']}").status_code == 204
    assert send(service, zip_of(20, seed=3), announces_length=True).status_code == 201
    assert service.get("/readyz").json()["parts"]["disk"]["condition"] == "ok"


def test_a_disk_that_fills_up_during_an_upload_is_reported_too(service: httpx2.Client, small_disk: Path) -> None:
    before = sorted(small_disk.rglob("img_*"))
    request = service.build_request("POST", "/v1/support-sets", files={"archive": ("set.zip", zip_of(20, seed=4))})
    body = request.read()

    def chunks() -> Iterator[bytes]:
        yield body[:-1]
        # Something else fills the disk after the upload was accepted and before its images are stored.
        (small_disk / "something else").write_bytes(bytes(shutil.disk_usage(small_disk).free - 5_000_000))
        yield body[-1:]

    headers = {"Content-Type": request.headers["Content-Type"], "Content-Length": str(len(body))}
    with Watch(service.base_url) as watch:
        answer = service.post("/v1/support-sets", content=chunks(), headers=headers)
    (small_disk / "something else").unlink()
    assert (answer.status_code, answer.json()["code"]) == (507, "disk.full")
    assert answer.json()["got"] == "a full disk"
    assert sorted(small_disk.rglob("img_*")) == before
    assert watch.longest_seconds < SLOWEST_ANSWER_SECONDS
