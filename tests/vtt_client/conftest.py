"""Give tests of the client a real application over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.infra.settings import Role
from tests.app.conftest import make_api, settings
from tests.fixtures.http_api import Api, MakeApi, encode_image
from tests.fixtures.served_app import served_app

__all__ = ["make_api", "settings"]


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    """The application, and what a worker does for it."""
    return make_api(role=Role.ALL)


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    """Its address."""
    with served_app(api.client.app) as address:
        yield address


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of two images, and a file that is none."""
    folder = tmp_path / "photos"
    for slot, label in enumerate(("cat", "dog")):
        (folder / label).mkdir(parents=True)
        for place in range(2):
            (folder / label / f"{place}.png").write_bytes(encode_image(100 * slot + place))
    (folder / "dog" / "notes.txt").write_text("no image")
    (folder / "dog" / ".hidden.png").write_text("not sent")
    return folder
